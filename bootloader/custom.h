#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bootloader/boot_control.h"
#include "bootloader/entry_file.h"
#include "engine/base/file.h"

namespace hc {

// A board whose slots are chosen by a program of its integrator, run with one of these:
//   check               exit 0 where boot attempts can be counted
//   get-state           prints `confirmed=a`, and for a trial `trial=b` and `tries_left=2` (0: used up)
//   arm SLOT TRIES      (a board that cannot count to TRIES takes the number it can)
//   confirm SLOT        disarm
//   entry SLOT FILE     the slot's entry has changed: FILE has it (see EntryStyle::plain), or is gone
// Exit 0 is success; anything else is failure, with the reason on standard error. Each is ended after 60 seconds. The
// promises of BootControl are the program's to keep: one durable write, repeatable.
class CustomBootControl final : public BootControl {
 public:
  CustomBootControl(const fs::path& boot, fs::path program)
      : entries_(boot, "slot.env", EntryStyle::plain), boot_(boot), program_(std::move(program)) {}

  std::string_view kind() const override { return "custom"; }
  Status check() override;
  Result<BootState> state() override;
  Result<std::optional<BootEntry>> entry(Slot slot) override { return entries_.read(slot); }
  Status install_entry(Slot slot, const BootEntry& entry) override;
  Status remove_entry(Slot slot) override;
  Status arm(Slot slot, unsigned tries) override;
  Status confirm(Slot slot) override;
  Status disarm() override;

 private:
  Result<std::string> run(const std::vector<std::string>& arguments) const;
  // Runs a change and then asks whether it is there: a program's exit status alone is not believed.
  Status change(const std::vector<std::string>& arguments, const BootState& wanted);

  EntryFiles entries_;
  fs::path boot_;
  fs::path program_;
};

// What get-state prints; unknown lines are ignored. Fails with Code::invalid on anything that is no state.
Result<BootState> parse_custom_state(std::string_view text);

}  // namespace hc
