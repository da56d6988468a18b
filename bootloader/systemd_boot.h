#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "bootloader/boot_control.h"
#include "engine/base/file.h"

namespace hc {

// The name of a slot's entry file: honeycomb-GENERATION-SLOT[+LEFT[-DONE]].conf. systemd-boot takes the entry with the
// highest name, but those whose counter has run out last; it renames a counted entry before it starts it. So:
//   confirmed  the highest generation without a counter
//   on trial   a higher generation with one
//   idle       a lower generation
// and each switch is the rename of one file of one slot. (Boot Loader Specification, "Boot counting"; what
// systemd-bless-boot does to a counted entry is exactly confirm().)
struct EntryName {
  unsigned generation = 0;
  Slot slot = Slot::a;
  std::optional<unsigned> left;
  unsigned done = 0;

  static std::optional<EntryName> parse(std::string_view file);
  std::string file() const;
};

// systemd-boot. `boot` is the boot partition (ESP or XBOOTLDR), with loader/loader.conf and loader/entries; kernels of
// the slots lie on it. systemd-boot cannot tell the kernel a reason.
class SystemdBootControl final : public BootControl {
 public:
  explicit SystemdBootControl(fs::path boot) : boot_(std::move(boot)) {}

  std::string_view kind() const override { return "systemd-boot"; }
  Status check() override;
  Result<BootState> state() override;
  Result<std::optional<BootEntry>> entry(Slot slot) override;
  Status install_entry(Slot slot, const BootEntry& entry) override;
  Status remove_entry(Slot slot) override;
  Status arm(Slot slot, unsigned tries) override;
  Status confirm(Slot slot) override;
  Status disarm() override;

 private:
  struct Entries {
    std::array<std::optional<EntryName>, 2> of_slot;  // the one that counts of each slot
    unsigned highest = 0;
  };
  fs::path directory() const { return boot_ / "loader/entries"; }
  Result<Entries> entries() const;
  static BootState state_of(const Entries& entries);
  Status rename(const EntryName& from, const EntryName& to) const;
  Status may_start(Slot slot);

  fs::path boot_;
};

}  // namespace hc
