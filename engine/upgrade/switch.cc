#include "engine/upgrade/switch.h"

namespace hc {

Result<std::optional<Slot>> OsSwitch::confirmed() {
  const BootState state = HC_TRY(boot_.state());
  return std::optional(state.confirmed);
}

Result<std::optional<Slot>> OsSwitch::trial() {
  const BootState state = HC_TRY(boot_.state());
  return state.trial;
}

Status OsSwitch::arm(Slot to) {
  HC_TRY(boot_.arm(to, tries_));
  const BootState state = HC_TRY(boot_.state());
  // Some firmware counts in its own way and gives another number of tries.
  if (state.trial != to || state.tries_left == 0)
    return Error(Code::io, "the bootloader's environment does not hold what was written to it");
  return ok;
}

Status OsSwitch::confirm(Slot to) {
  HC_TRY(boot_.confirm(to));
  const BootState state = HC_TRY(boot_.state());
  if (state.confirmed != to || state.trial)
    return Error(Code::io, "the bootloader's environment does not hold what was written to it");
  return ok;
}

Status OsSwitch::back(std::optional<Slot> from) {
  if (!from) return Error(Code::internal, "an OS always has a slot to go back to");
  return confirm(*from);
}

}  // namespace hc
