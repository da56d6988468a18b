#include "bootloader/rules.h"

namespace hc {
namespace {

// Stands in hc_try for "nothing".
constexpr const char* kNone = "-";

std::optional<Slot> slot_in(const std::string& text) {
  const Result<Slot> slot = parse_slot(text);
  return slot ? std::optional(*slot) : std::nullopt;
}

}  // namespace

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

Variables variables_of(const BootState& state) {
  return {{kGoodVariable, std::string(name(state.confirmed))},
          {kTryVariable, state.trial ? std::string(name(*state.trial)) : kNone},
          {kTriesVariable, std::to_string(state.tries_left)}};
}

SwitchRead read_switch(const std::function<std::optional<std::string>(const char*)>& get) {
  SwitchRead read;
  const std::optional<Slot> good = slot_in(get(kGoodVariable).value_or(""));
  read.good_is_bad = !good;
  if (!good) return read;
  read.state.confirmed = *good;
  const std::string text = get(kTryVariable).value_or("");
  const std::optional<Slot> trial = slot_in(text);
  if (text.empty() || text == kNone || trial == good) return read;
  const std::string tries = get(kTriesVariable).value_or("");
  const bool counted = tries.size() == 1 && tries[0] >= '0' && tries[0] <= '9';
  read.trial_is_bad = !trial || !counted;
  read.state.trial = trial;
  read.state.tries_left = trial && counted ? static_cast<unsigned>(tries[0] - '0') : 0;
  return read;
}

}  // namespace hc
