#include "engine/upgrade/os_slots.h"

namespace hc {

Status OsSlots::install_entry(Slot slot) {
  const BootFiles files = HC_TRY(store_.boot_files(slot));
  const BootEntry wanted{files.title, files.kernel, files.initramfs, files.arguments};
  const std::optional<BootEntry> have = HC_TRY(boot_.entry(slot));
  if (have == wanted) return ok;
  return boot_.install_entry(slot, wanted);
}

Result<SlotContent> OsSlots::stage(Slot slot, const VerifiedPayload& payload, const ProgressFn& progress,
                                   const StopToken& stop) {
  SlotContent content = HC_TRY(store_.stage(slot, payload, progress, stop));
  HC_TRY(install_entry(slot));
  return content;
}

Status OsSlots::check(Slot slot, const Commit& commit, const ProgressFn& progress, const StopToken& stop) {
  HC_TRY(store_.check(slot, commit, progress, stop));
  const BootFiles files = HC_TRY(store_.boot_files(slot));
  const std::optional<BootEntry> entry = HC_TRY(boot_.entry(slot));
  if (entry == BootEntry{files.title, files.kernel, files.initramfs, files.arguments}) return ok;
  return Error(Code::io, "the boot entry of slot " + std::string(name(slot)) + " is not what its version needs");
}

Status OsSlots::restore(Slot slot, const std::optional<std::string>& id) {
  // An entry without a tree must never stand, a tree without an entry may.
  if (!id) HC_TRY(boot_.remove_entry(slot));
  HC_TRY(store_.restore(slot, id));
  return id ? install_entry(slot) : Status(ok);
}

}  // namespace hc
