#pragma once

#include <optional>

#include "engine/store/repository.h"
#include "engine/upgrade/machine.h"
#include "engine/upgrade/node.h"

namespace hc {

// Finds the hooks of payloads and says how to run them: which program, in which directory, with which environment,
// limits, retries and narrowing (from the payload's metadata.json), and the secrets of its peripheral.
class HookBook {
 public:
  HookBook(const Node& node, Repository& repository, SlotStore& slots)
      : node_(node), repository_(repository), slots_(slots) {}

  // Nothing where the payload brings no such hook. The state check runs before anything is staged, so its payload's
  // hooks are taken out of the commit into a private directory; all others run where they lie in their slot.
  Result<std::optional<HookCall>> call(const Transaction& t, const HookQuestion& question) const;

 private:
  Result<fs::path> directory(const Transaction& t, const HookQuestion& question) const;
  Status set_limits(const Transaction& t, const HookQuestion& question, HookCall& call) const;
  void protect_slots(HookCall& call) const;
  void set_secrets(const Target& target, HookCall& call) const;
  Result<fs::path> state_directory(const Target& target, const std::string& user) const;

  const Node& node_;
  Repository& repository_;
  SlotStore& slots_;
};

}  // namespace hc
