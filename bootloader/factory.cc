#include "bootloader/factory.h"

#include "bootloader/custom.h"
#include "bootloader/grub.h"
#include "bootloader/systemd_boot.h"
#include "bootloader/uboot.h"
#include "engine/base/text.h"

namespace hc {

Result<std::unique_ptr<BootControl>> make_boot_control(std::string_view kind, const fs::path& boot) {
  using Made = std::unique_ptr<BootControl>;
  constexpr std::string_view kCustom = "custom:/";
  if (kind == "grub") return Made(std::make_unique<GrubControl>(boot));
  if (kind == "uboot") return Made(std::make_unique<UbootControl>(boot, boot.parent_path() / "etc/fw_env.config"));
  if (kind == "systemd-boot") return Made(std::make_unique<SystemdBootControl>(boot));
  if (kind.substr(0, kCustom.size()) == kCustom)
    return Made(std::make_unique<CustomBootControl>(boot, fs::path(kind.substr(kCustom.size() - 1))));
  return Error(Code::invalid, "there is no bootloader " + quote(kind) +
                                  ": it is `grub`, `uboot`, `systemd-boot` or `custom:/path/to/program`");
}

}  // namespace hc
