#include "bootloader/factory.h"

#include "bootloader/grub.h"
#include "engine/base/text.h"

namespace hc {

Result<std::unique_ptr<BootControl>> make_boot_control(std::string_view kind, const fs::path& boot) {
  if (kind == "grub") return std::unique_ptr<BootControl>(std::make_unique<GrubControl>(boot));
  return Error(Code::invalid, "there is no bootloader " + quote(kind) + ": it is `grub`");
}

}  // namespace hc
