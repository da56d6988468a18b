#pragma once

#include "bootloader/boot_control.h"
#include "engine/store/os_store.h"

namespace hc {

// The OS slots with their boot entries: what the store installs, the bootloader can start. Each call leaves entry and
// content of a slot in agreement, also when it repeats a half-done one.
class OsSlots final : public SlotStore {
 public:
  OsSlots(OsStore& store, BootControl& boot) : store_(store), boot_(boot) {}

  Result<std::optional<SlotContent>> content(Slot slot) override { return store_.content(slot); }
  Result<SlotSpace> space_for(const VerifiedPayload& payload) override { return store_.space_for(payload); }
  Result<std::vector<std::string>> rehearse(Slot slot, const VerifiedPayload& payload) override {
    return store_.rehearse(slot, payload);
  }
  Result<SlotContent> stage(Slot slot, const VerifiedPayload& payload, const ProgressFn& progress,
                            const StopToken& stop) override;
  Status check(Slot slot, const Commit& commit, const ProgressFn& progress, const StopToken& stop) override;
  Status restore(Slot slot, const std::optional<std::string>& id) override;
  Result<std::vector<std::string>> release() override { return store_.release(); }

  // Brings the slot's entry in line with its content, where they differ.
  Status install_entry(Slot slot);

 private:
  OsStore& store_;
  BootControl& boot_;
};

}  // namespace hc
