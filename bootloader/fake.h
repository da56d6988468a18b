#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>

#include "bootloader/boot_control.h"
#include "engine/base/file.h"

// The firmware's side of a boot, for sandboxes and tests: what a real machine does between power-on and the kernel.
namespace hc {

// What one power-on starts.
struct BootChoice {
  Slot slot = Slot::a;
  std::string reason;  // as in grub.cfg: "confirmed", "trial-2", "fallback-tries-used", ...
  BootEntry entry;
  std::string command_line;  // as the kernel gets it
};

// Plays bootloader/grub/grub.cfg on the real files of a boot directory, decision by decision.
class Firmware {
 public:
  explicit Firmware(fs::path boot) : boot_(std::move(boot)) {}

  // Makes `boot` the boot directory of a sandbox: GrubControl works in it on any file system, and no real machine may
  // be started from it. Repeatable; keeps what is there.
  static Status prepare_sandbox(const fs::path& boot);

  // One power-on: chooses, counts down on the disk, loads. Fails with Code::unhealthy where no slot can be loaded (a
  // real machine resets and tries again).
  Result<BootChoice> boot_once();

 private:
  Result<std::optional<BootChoice>> load(Slot slot, const std::string& reason) const;

  fs::path boot_;
};

// A bootloader in memory. Firmware's side is boot().
class FakeBootControl final : public BootControl {
 public:
  // Asked before each change of the flash; an error stands for a write that failed (or a power cut) with nothing
  // changed.
  std::function<Status()> before_write;
  // Asked by check().
  std::function<Status()> on_check;

  std::string_view kind() const override { return "fake"; }
  Status check() override { return on_check ? on_check() : Status(ok); }
  Result<BootState> state() override { return state_; }
  Result<std::optional<BootEntry>> entry(Slot slot) override { return entries_.at(index(slot)); }
  Status install_entry(Slot slot, const BootEntry& entry) override;
  Status remove_entry(Slot slot) override;
  Status arm(Slot slot, unsigned tries) override;
  Status confirm(Slot slot) override;
  Status disarm() override;

  // One power-on. Fails with Code::unhealthy where neither slot has an entry.
  Result<BootChoice> boot();

 private:
  static std::size_t index(Slot slot) { return slot == Slot::a ? 0 : 1; }
  Status write(const BootState& state);

  BootState state_;
  std::array<std::optional<BootEntry>, 2> entries_;
};

}  // namespace hc
