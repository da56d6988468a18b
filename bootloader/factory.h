#pragma once

#include <memory>
#include <string_view>

#include "bootloader/boot_control.h"
#include "engine/base/file.h"

namespace hc {

// The bootloader that the node's settings name by `kind`, on the boot directory `boot` (<sysroot>/boot):
//   grub             environment in <boot>/grub/grubenv
//   uboot            environment where <sysroot>/etc/fw_env.config says
//   systemd-boot     `boot` is the ESP or XBOOTLDR partition
//   custom:PROGRAM   an absolute path: a program of the board (see CustomBootControl)
// Nothing is read or changed yet. Fails with Code::invalid, naming the kinds there are, for anything else.
Result<std::unique_ptr<BootControl>> make_boot_control(std::string_view kind, const fs::path& boot);

}  // namespace hc
