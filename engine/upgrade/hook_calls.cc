#include "engine/upgrade/hook_calls.h"

#include "engine/payload/metadata.h"

namespace hc {
namespace {

// Where a payload keeps its hooks, below its root.
std::string hook_directory(const Target& target) { return target.is_os() ? "usr/lib/honeycomb/upgrade" : ""; }

}  // namespace

Result<fs::path> HookBook::directory(const Transaction& t, const HookQuestion& question) const {
  const std::string below = hook_directory(t.target);
  if (question.kind != HookKind::state_check) {
    const std::optional<SlotContent> content = HC_TRY(slots_.content(*question.side.slot));
    if (!content || content->commit.hex() != question.side.commit) {
      return Error(Code::internal, "slot " + std::string(name(*question.side.slot)) + " does not hold version " +
                                       question.side.version + ", whose hook is wanted");
    }
    return content->root / below;
  }
  const fs::path work = node_.state / "work";
  const fs::path place = work / std::to_string(t.id);
  HC_TRY(remove_tree(place));
  HC_TRY(make_dirs(work, 0700));
  const Commit commit = HC_TRY(Commit::parse(question.side.commit));
  HC_TRY(repository_.checkout(commit, below, place));
  return place;
}

Status HookBook::set_limits(const Transaction& t, const HookQuestion& question, HookCall& call) const {
  if (t.target.is_os()) return ok;  // an OS payload has no metadata.json: the defaults hold
  const std::string text = HC_TRY(read_file(call.directory / "metadata.json", 1 << 20));
  const PeripheralMetadata metadata = HC_TRY(parse_metadata(text).in("metadata.json"));
  switch (question.kind) {
    case HookKind::state_check:
      call.retries = metadata.retry_state_check;
      call.timeout_ms = metadata.timeout_state_check_s * 1000;
      break;
    case HookKind::install:
    case HookKind::rollback:
      call.retries = metadata.retry_install;
      call.timeout_ms = metadata.timeout_install_s * 1000;
      break;
    case HookKind::verify:
      call.retries = metadata.retry_verify;
      call.timeout_ms = metadata.timeout_verify_s * 1000;
      break;
  }
  return ok;
}

Result<std::optional<HookCall>> HookBook::call(const Transaction& t, const HookQuestion& question) const {
  HookCall call;
  call.directory = HC_TRY(directory(t, question));
  call.program = call.directory / file_name(question.kind);
  std::error_code error;
  const bool optional_hook = t.target.is_os() || question.kind == HookKind::rollback;
  if (optional_hook && !fs::exists(fs::symlink_status(call.program, error))) return std::optional<HookCall>();
  HC_TRY(set_limits(t, question, call));
  if (question.kind == HookKind::state_check) call.final_status = 1;

  const fs::path state = node_.state / "state" / t.target.name();
  HC_TRY(make_dirs(state, 0755));
  const std::optional<SlotContent> content =
      question.side.slot ? HC_TRY(slots_.content(*question.side.slot)) : std::optional<SlotContent>();
  call.environment = {
      {"HC_TARGET", t.target.name()},
      {"HC_FROM_VERSION", t.from.version},
      {"HC_TO_VERSION", t.to.version},
      {"HC_PHASE", question.phase},
      {"HC_SLOT", question.side.slot ? std::string(name(*question.side.slot)) : ""},
      {"HC_SLOT_ROOT",
       content && question.kind != HookKind::state_check ? content->root.string() : node_.root.string()},
      {"HC_STATE_DIR", state.string()},
      {"HC_TRANSACTION", std::to_string(t.id)},
  };
  return std::optional(std::move(call));
}

}  // namespace hc
