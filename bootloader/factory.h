#pragma once

#include <memory>
#include <string_view>

#include "bootloader/boot_control.h"
#include "engine/base/file.h"

namespace hc {

// The bootloader that the node's settings name by `kind` ("grub"), on the boot directory `boot`. Nothing is read or
// changed yet. Fails with Code::invalid, listing the kinds there are, for any other name.
Result<std::unique_ptr<BootControl>> make_boot_control(std::string_view kind, const fs::path& boot);

}  // namespace hc
