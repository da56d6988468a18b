#pragma once

#include "engine/upgrade/machine.h"

// How a step runs a hook: it is asked for, run, and told to the history.
namespace hc {

// Nothing: the payload has no such hook.
Result<std::optional<HookResult>> run_hook(Transaction& t, Machine& m, const HookQuestion& question,
                                           const StopToken& stop);

// Ok where the hook passed, and where there is none.
Status must_pass(Transaction& t, Machine& m, const HookQuestion& question, const StopToken& stop);

// Code::hook_failed, or Code::cancelled where a stop ended it. REQUIRES: it did not pass.
Error hook_error(const HookResult& result);

}  // namespace hc
