#include "engine/cli/reporter.h"

#include <cstdio>

#include "engine/base/text.h"

namespace hc {
namespace {

std::string version_or_nothing(const Side& side) { return side.version.empty() ? "no version" : side.version; }

std::string slot_of(const Side& side) { return side.slot ? std::string(name(*side.slot)) : "-"; }

// The last lines of what a failed hook printed: the reader's first clue.
void print_output_tail(const Transaction& t) {
  if (t.hooks.empty()) return;
  const Json& hook = t.hooks.back();
  const std::string output = hook.value("output", "");
  std::vector<std::string> lines = split(trimmed(output), '\n');
  constexpr std::size_t kLines = 5;
  if (lines.size() > kLines) lines.erase(lines.begin(), lines.end() - kLines);
  for (const std::string& line : lines)
    if (!line.empty()) std::fprintf(stderr, "      | %s\n", printable(line).c_str());
}

}  // namespace

int fail(const Session& session, const Error& error) {
  print_error(error, session.json);
  return exit_status(error.code());
}

void print_json(const Json& json) { std::fputs(dump_json(json).c_str(), stdout); }

Listener Reporter::listener() {
  Listener listener;
  listener.progress = bar_.fn();
  listener.begins = [this](const Transaction& t, const std::string& step, Direction direction) {
    begins(t, step, direction);
  };
  listener.ended = [this](const Transaction& t, const StepRecord& record) { ended(t, record); };
  listener.hook.insight = [this](const Insight& insight) {
    if (insight.kind == Insight::Kind::progress)
      bar_.fn()({insight.text.empty() ? "hook" : insight.text, static_cast<std::uint64_t>(insight.number), 100, false});
  };
  return listener;
}

void Reporter::begins(const Transaction& t, const std::string& step, Direction direction) {
  if (silent()) return;
  if (t.part_of != 0) return;
  if (direction == Direction::undo && !undoing_) {
    undoing_ = true;
    std::fprintf(stderr, "  taking back what was done:\n");
  }
  if (t.steps.empty() && step == first_step(t.kind, t.target)) {
    std::fprintf(stderr, "%s: %s %s to slot %s (slot %s holds %s)\n", t.label().c_str(),
                 std::string(name(t.kind)).c_str(), (t.target.name() + " " + printable(t.requested)).c_str(),
                 slot_of(t.to).c_str(), slot_of(t.from).c_str(), version_or_nothing(t.from).c_str());
  }
}

void Reporter::ended(const Transaction& t, const StepRecord& record) {
  bar_.finish();
  if (silent()) return;
  const bool undo = record.direction == "undo";
  if (t.part_of != 0 && record.outcome != "failed" && record.name != "install") return;
  const std::string part = t.part_of != 0 ? t.target.name() + " " : "";
  const std::string outcome = record.outcome == "ok" ? (undo ? "taken back" : "ok") : record.outcome;
  std::fprintf(stderr, "  %s%s%-13s %-10s %8s%s%s\n", undo ? "  " : "", part.c_str(), record.name.c_str(),
               outcome.c_str(), human_duration(record.duration_ms).c_str(), record.text.empty() ? "" : "  ",
               printable(record.text).c_str());
  if (record.outcome == "failed" &&
      (record.name == "install" || record.name == "verify-hooks" || record.name == "state-check"))
    print_output_tail(t);
}

std::string conclusion(const Report& report, const Node& node) {
  const Transaction& t = report.transaction;
  std::string what = t.target.name() + " " + (t.to.version.empty() ? printable(t.requested) : t.to.version);
  if (report.ended == Ended::finished && !t.degraded.empty())
    return what + " was not installed, and " + t.target.name() + " could not be brought back to " +
           version_or_nothing(t.from) + ": it is degraded (" + printable(t.degraded) +
           "). The engine tries again by itself; `hc-os repair` tries now";
  if (report.ended == Ended::finished && t.kind == TransactionKind::repair && t.failure)
    return t.target.name() + " is still degraded; the engine tries again by itself";
  const std::string stays = t.target.name() + " stays at " + version_or_nothing(t.from) + " in slot " + slot_of(t.from);
  if (report.ended == Ended::reboot && t.direction == Direction::undo)
    return what + " is being rolled back: restart the node to return to " + version_or_nothing(t.from) + " in slot " +
           slot_of(t.from);
  if (report.ended == Ended::reboot) {
    return what + " is ready in slot " + slot_of(t.to) +
           " and is tried at the next boot; should it fail, the node returns to " + version_or_nothing(t.from) +
           " by itself.\nRestart the node to go on" +
           (node.is_sandbox() ? " (`hc-sandbox reboot " + node.sysroot.string() + "`)" : "") +
           ", or take it back with `hc-os rollback`";
  }
  if (report.ended == Ended::later)
    return what + " is still on trial: its checks were interrupted and go on with the next `hc-os resume` or boot";
  switch (t.outcome.value_or(Outcome::failed)) {
    case Outcome::confirmed:
      return what + " is confirmed in slot " + slot_of(t.to);
    case Outcome::not_needed:
      return what + " is not needed: its state check says the target is in that state already. Nothing was changed";
    case Outcome::not_fitted:
      return what + ": " + t.target.name() + " is not fitted on this node. Nothing was changed";
    case Outcome::cancelled:
      return what + " was cancelled. Nothing was lost: " + stays;
    case Outcome::rolled_back:
      return what + " was rolled back. Nothing was lost: " + stays;
    case Outcome::failed:
      return what + " was not installed. Nothing was lost: " + stays;
  }
  return what;
}

int Reporter::conclude(const Report& report, const Node& node) {
  bar_.finish();
  const Transaction& t = report.transaction;
  const bool finished = report.ended == Ended::finished;
  const bool bad = t.failure && (finished || t.direction == Direction::undo);
  const int exit = bad ? exit_status(t.failure->code) : 0;
  if (session_.json) {
    Json json = to_json(t);
    json["waits_for_reboot"] = report.ended == Ended::reboot;
    json["conclusion"] = conclusion(report, node);
    print_json(json);
    return exit;
  }
  if (!session_.quiet)
    for (const std::string& note : t.notes) std::fprintf(stderr, "  note: %s\n", printable(note).c_str());
  if (!bad) {
    if (!session_.quiet) std::printf("%s.\n", conclusion(report, node).c_str());
    return exit;
  }
  std::string hint = t.failure->hint;
  if (hint.empty()) hint = "`hc-os log " + std::to_string(t.id) + "` has the whole story";
  const Error why = Error(t.failure->code, t.failure->step + ": " + t.failure->text + ". " + conclusion(report, node))
                        .with_hint(hint);
  print_error(why, false);
  return exit;
}

}  // namespace hc
