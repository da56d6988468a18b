#pragma once

#include <array>
#include <string>
#include <string_view>

#include "bootloader/boot_control.h"
#include "bootloader/entry_file.h"
#include "bootloader/uboot_env.h"
#include "engine/base/file.h"

namespace hc {

// One area of an environment, as a line of fw_env.config names it.
struct EnvArea {
  fs::path device;  // a regular file or a block device
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
// Fails where `text` does not name exactly two areas of one size that do not overlap.
Result<std::array<EnvArea, 2>> parse_fw_env_config(std::string_view text);

// U-Boot with the script bootloader/uboot/boot.cmd and a redundant environment. A switch writes the older of the two
// copies, whole and with a newer serial: until its checksum fits, U-Boot takes the other one.
class UbootControl final : public BootControl {
 public:
  // `config` is the node's fw_env.config.
  UbootControl(const fs::path& boot, fs::path config)
      : entries_(boot, "slot.env", EntryStyle::plain), boot_(boot), config_(std::move(config)) {}

  std::string_view kind() const override { return "uboot"; }
  Status check() override;
  Result<BootState> state() override;
  Result<std::optional<BootEntry>> entry(Slot slot) override { return entries_.read(slot); }
  Status install_entry(Slot slot, const BootEntry& entry) override;
  Status remove_entry(Slot slot) override;
  Status arm(Slot slot, unsigned tries) override;
  Status confirm(Slot slot) override;
  Status disarm() override;

 private:
  Status store(const BootState& state);

  EntryFiles entries_;
  fs::path boot_;
  fs::path config_;
};

// The environment in force, and the areas it was read from: the newer valid copy.
struct UbootCopies {
  std::array<EnvArea, 2> areas;
  std::size_t newest = 0;
  UbootEnv env;
};
Result<UbootCopies> read_uboot_env(const fs::path& config);
// Saves `env` over the older copy; durable and read back.
Status save_uboot_env(const UbootCopies& copies, const UbootEnv& env);

}  // namespace hc
