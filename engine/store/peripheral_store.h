#pragma once

#include <memory>
#include <string>

#include "engine/store/repository.h"
#include "engine/store/slot_links.h"
#include "engine/store/slot_store.h"

namespace hc {

// The two slots of one peripheral: <directory>/{a,b} are symlinks to checkouts of payload commits below
// <directory>/checkouts, `active` is a symlink to the slot in use. See SlotStore for what each call promises; as with
// OsStore, release() or restore() ends what stage() began.
class PeripheralStore final : public SlotStore {
 public:
  // `directory` is made where it is missing. `repository` is the node's own and must outlive the store.
  static Result<std::unique_ptr<PeripheralStore>> open(const fs::path& directory, Repository& repository);

  Result<std::optional<SlotContent>> content(Slot slot) override;
  Result<SlotSpace> space_for(const VerifiedPayload& payload) override;
  Result<SlotContent> stage(Slot slot, const VerifiedPayload& payload, const ProgressFn& progress,
                            const StopToken& stop) override;
  Status check(Slot slot, const Commit& commit, const ProgressFn& progress, const StopToken& stop) override;
  Status restore(Slot slot, const std::optional<std::string>& id) override;
  Result<std::vector<std::string>> release() override;

  // The slot in use; nothing: none yet.
  Result<std::optional<Slot>> active();
  // One rename; durable. Refuses a slot that is empty.
  Status set_active(std::optional<Slot> slot);

 private:
  PeripheralStore(fs::path directory, Repository& repository);
  Status hold();
  Result<std::vector<std::string>> collect();

  fs::path directory_;
  Repository& repository_;
  SlotLinks links_;
};

}  // namespace hc
