#include "bootloader/fake.h"

#include "bootloader/boot_dir.h"
#include "bootloader/entry_file.h"
#include "bootloader/grub.h"
#include "bootloader/rules.h"

namespace hc {
namespace {

std::string command_line(const BootEntry& entry, const std::string& reason) {
  return "panic=10 " + entry.arguments + " honeycomb.reason=" + reason;
}

Error nothing_to_boot() { return {Code::unhealthy, "no slot can be loaded: the machine resets and tries again"}; }

// hc_save_left of grub.cfg. Like GRUB's save_env it changes the variable where it stands, or fails.
bool save_tries(const fs::path& boot, unsigned left) {
  auto now = read_grub_boot(boot);
  if (!now || !now->env.faults().empty()) return false;
  now->env.set(kTriesVariable, std::to_string(left));
  const Result<std::string> block = now->env.serialise();
  return block && rewrite_grubenv(grubenv_path(boot), *block);
}

}  // namespace

Status Firmware::prepare_sandbox(const fs::path& boot) {
  HC_TRY(make_dirs(boot / "grub"));
  HC_TRY(make_sandbox(boot));
  std::error_code error;
  if (!fs::exists(grubenv_path(boot), error)) {
    const std::string empty = HC_TRY(GrubEnv().serialise());
    HC_TRY(write_atomically(grubenv_path(boot), empty));
  }
  return GrubControl(boot).check();
}

Result<std::optional<BootChoice>> Firmware::load(Slot slot, const std::string& reason) const {
  const EntryFiles entries(boot_, "slot.cfg", EntryStyle::grub);
  if (!entries.bootable(slot)) return std::optional<BootChoice>();
  const std::optional<BootEntry> entry = HC_TRY(entries.read(slot));
  return std::optional(BootChoice{slot, reason, *entry, command_line(*entry, reason)});
}

Result<BootChoice> Firmware::boot_once() {
  const GrubBoot now = HC_TRY(read_grub_boot(boot_));
  const BootState& state = now.state;
  Slot slot = state.confirmed;
  std::string reason = "confirmed";
  if (now.good_is_bad || now.trial_is_bad) {
    reason = "fallback-bad-env";
  } else if (state.trial && state.tries_left == 0) {
    reason = "fallback-tries-used";
  } else if (state.trial && !save_tries(boot_, state.tries_left - 1)) {
    reason = "fallback-save-failed";
  } else if (state.trial) {
    slot = *state.trial;
    reason = "trial-" + std::to_string(state.tries_left - 1);
  }
  std::optional<BootChoice> choice = HC_TRY(load(slot, reason));
  if (!choice && slot != state.confirmed) {
    save_tries(boot_, 0);
    choice = HC_TRY(load(state.confirmed, "fallback-load-failed"));
  }
  if (!choice) choice = HC_TRY(load(other(state.confirmed), "last-resort"));
  if (!choice) return nothing_to_boot();
  return *std::move(choice);
}

Status FakeBootControl::write(const BootState& state) {
  if (before_write) HC_TRY(before_write());
  state_ = state;
  return ok;
}

Status FakeBootControl::install_entry(Slot slot, const BootEntry& entry) {
  const std::string text = HC_TRY(format_entry(entry, EntryStyle::grub));
  if (before_write) HC_TRY(before_write());
  entries_.at(index(slot)) = entry;
  return ok;
}

Status FakeBootControl::remove_entry(Slot slot) {
  HC_TRY(may_remove(state_, slot));
  if (before_write) HC_TRY(before_write());
  entries_.at(index(slot)).reset();
  return ok;
}

Status FakeBootControl::arm(Slot slot, unsigned tries) {
  HC_TRY(may_arm(state_, slot, tries));
  if (!entries_.at(index(slot))) return no_entry(slot);
  return write({state_.confirmed, slot, tries});
}

Status FakeBootControl::confirm(Slot slot) {
  if (!entries_.at(index(slot))) return no_entry(slot);
  return write({slot, std::nullopt, 0});
}

Status FakeBootControl::disarm() { return write({state_.confirmed, std::nullopt, 0}); }

Result<BootChoice> FakeBootControl::boot() {
  Slot slot = state_.confirmed;
  std::string reason = "confirmed";
  if (state_.trial && state_.tries_left == 0) {
    reason = "fallback-tries-used";
  } else if (state_.trial) {
    slot = *state_.trial;
    --state_.tries_left;
    reason = "trial-" + std::to_string(state_.tries_left);
  }
  if (!entries_.at(index(slot)) && slot != state_.confirmed) {
    state_.tries_left = 0;
    slot = state_.confirmed;
    reason = "fallback-load-failed";
  }
  if (!entries_.at(index(slot))) {
    slot = other(slot);
    reason = "last-resort";
  }
  const std::optional<BootEntry>& entry = entries_.at(index(slot));
  if (!entry) return nothing_to_boot();
  return BootChoice{slot, reason, *entry, command_line(*entry, reason)};
}

}  // namespace hc
