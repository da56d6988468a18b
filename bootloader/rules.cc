#include "bootloader/rules.h"

namespace hc {

Status may_arm(const BootState& state, Slot slot, unsigned tries) {
  if (slot == state.confirmed)
    return Error(Code::invalid, "slot " + std::string(name(slot)) + " is the confirmed one: there is nothing to try");
  if (tries < 1 || tries > kMostTries)
    return Error(Code::invalid, std::to_string(tries) + " boot attempts were asked for; 1 to " +
                                    std::to_string(kMostTries) + " are possible");
  return ok;
}

Status may_remove(const BootState& state, Slot slot) {
  const bool next = state.trial == slot && state.tries_left > 0;
  if (slot == state.confirmed || next)
    return Error(Code::invalid, "slot " + std::string(name(slot)) + " is the one that boots next: its entry must stay");
  return ok;
}

Error no_entry(Slot slot) { return {Code::invalid, "slot " + std::string(name(slot)) + " has no boot entry"}; }

}  // namespace hc
