#include "engine/upgrade/run_hook.h"

namespace hc {
namespace {

void record_hook(Transaction& t, const Machine& m, const HookQuestion& question, const HookResult& result) {
  Json entry = {{"hook", file_name(question.kind)},
                {"target", t.target.name()},
                {"version", question.side.version},
                {"phase", question.phase},
                {"at", m.clock.wall_seconds()}};
  entry.update(to_json(result));
  t.hooks.push_back(std::move(entry));
}

}  // namespace

Result<std::optional<HookResult>> run_hook(Transaction& t, Machine& m, const HookQuestion& question,
                                           const StopToken& stop) {
  const std::optional<HookCall> call = HC_TRY(m.hook_call(t, question));
  if (!call) return std::optional<HookResult>();
  HookResult result = m.hooks.run(*call, m.listener.hook, stop);
  record_hook(t, m, question, result);
  return std::optional(std::move(result));
}

Error hook_error(const HookResult& result) {
  if (result.end == HookEnd::cancelled) return {Code::cancelled, result.reason};
  return {Code::hook_failed, result.reason};
}

Status must_pass(Transaction& t, Machine& m, const HookQuestion& question, const StopToken& stop) {
  const std::optional<HookResult> result = HC_TRY(run_hook(t, m, question, stop));
  if (result && !result->passed()) return hook_error(*result);
  return ok;
}

}  // namespace hc
