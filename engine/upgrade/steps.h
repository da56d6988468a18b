#pragma once

#include <span>

#include "engine/upgrade/machine.h"

namespace hc {

// A step's answer. `reboot`: the machine must restart before this step can go on. `ended`: nothing more to do, take
// back what was prepared; the step has set the transaction's outcome. `later`: a stop was asked for where it must not
// count as a failure; the next start goes on here.
enum class Next { go_on, reboot, ended, later };

using Action = Result<Next> (*)(Transaction&, Machine&, const StopToken&);

// Which transactions have a step: all, those of an OS, or those that need the node to start anew.
enum class Where { everywhere, os, restart };

// One line of the table. Both actions are repeatable; undo may be null. undo takes back also what a half-done run left.
struct Step {
  std::string_view name;
  Action run;
  Action undo;
  Where where = Where::everywhere;
};

// verify, fetch, state-check, stage, install, verify-hooks, check, peripherals, switch, reboot, health, confirm.
std::span<const Step> steps();
bool applies(const Step& step, const Transaction& t);

// The place of a step in the table; nothing for a name of another engine's.
std::optional<std::size_t> step_index(std::string_view name);

// The step with which such a transaction begins.
std::string_view first_step(TransactionKind kind, const Target& target);

// True from the switch on: the new version may be what starts next.
bool switched(const Transaction& t);

}  // namespace hc
