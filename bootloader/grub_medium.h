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

// Writes everything on the file system of `dir` to its final place. GRUB reads ext4 without replaying the journal, so a
// file that is durable for the kernel may not be there for GRUB yet; after Ok it is. Needs Linux 5.14 and root on a
// file system with a journal.
Status settle(const fs::path& dir);

}  // namespace hc
