#pragma once

#include <sys/types.h>

#include "engine/base/file.h"

namespace hc {

// Whether GRUB's save_env can write to a file in `dir`: ext2/3/4 or FAT, directly on a partition. Fails with the reason
// on anything else: btrfs, xfs, f2fs, zfs (GRUB only reads them), tmpfs, overlay (no GRUB ever sees them), and on what
// GRUB reads through a layer that it cannot write through (RAID, LVM, encryption).
Status save_env_works(const fs::path& dir);

// The part of it that asks about the block device; `sys` is where sysfs is.
Status is_plain_partition(dev_t device, const fs::path& sys = "/sys");

}  // namespace hc
