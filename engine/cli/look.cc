#include <algorithm>
#include <cstdio>

#include "engine/base/text.h"
#include "engine/cli/reporter.h"

namespace hc {
namespace {

// Opens the node and runs a look at it.
template <typename Look>
int look(const Session& session, Look run) {
  const auto upgrader = Upgrader::open(session.sysroot);
  if (!upgrader) return fail(session, upgrader.error());
  const Status seen = run(**upgrader);
  return seen ? 0 : fail(session, seen.error());
}

std::string marks(const SlotStatus& slot, const Target& target) {
  std::string text;
  const auto add = [&](bool is, const char* word) {
    if (is) text += (text.empty() ? "" : ", ") + std::string(word);
  };
  add(slot.booted, target.is_os() ? "running" : "in use");
  add(slot.confirmed && target.is_os(), "confirmed");
  add(slot.trial, "on trial");
  return text;
}

std::string summary(const Transaction& t) {
  return t.label() + ": " + std::string(name(t.kind)) + " " + t.target.name() + " " +
         printable(t.to.version.empty() ? t.requested : t.to.version);
}

std::string ending(const Transaction& t) {
  const std::string outcome(t.outcome ? name(*t.outcome) : "under way");
  return t.failure ? outcome + " (" + t.failure->step + ": " + printable(t.failure->text) + ")" : outcome;
}

void print(const NodeStatus& status) {
  for (const TargetStatus& target : status.targets) {
    std::printf("%s%s\n", target.target.name().c_str(), target.fitted ? "" : " (not fitted)");
    for (const SlotStatus& slot : target.slots) {
      const std::string version = slot.content ? slot.content->version : "(empty)";
      const std::string commit = slot.content ? slot.content->commit.brief() : "";
      std::printf("  %s %-16s %-12s  %s\n", std::string(name(slot.slot)).c_str(), printable(version).c_str(),
                  commit.c_str(), marks(slot, target.target).c_str());
    }
    if (!target.problem.empty()) std::printf("  degraded: %s\n", printable(target.problem).c_str());
  }
  if (!status.transaction) {
    if (status.last) std::printf("last: %s, %s\n", summary(*status.last).c_str(), ending(*status.last).c_str());
    return;
  }
  const Transaction& t = *status.transaction;
  const std::string state = status.waits_for_reboot
                                ? "waits for the node to restart"
                                : "unfinished at step " + printable(t.step) + "; the next hc-os or boot carries it on";
  std::printf("%s, %s\n", summary(t).c_str(), state.c_str());
}

// One line of the history.
void print_line(const Transaction& t) {
  std::string text = t.failure ? t.failure->step + ": " + t.failure->text : "";
  constexpr std::size_t kMost = 100;
  text = printable(text);
  if (text.size() > kMost) text = text.substr(0, kMost) + "...";
  std::printf("%5llu  %s  %-8s  %-14s %-14s %-11s  %s\n", static_cast<unsigned long long>(t.id),
              iso_time(t.requested_at).c_str(), std::string(name(t.kind)).c_str(), t.target.name().c_str(),
              printable(t.to.version.empty() ? t.requested : t.to.version).c_str(),
              t.outcome ? std::string(name(*t.outcome)).c_str() : "under way", text.c_str());
}

void print_story(const Transaction& t) {
  std::printf("%s: %s %s %s, asked for by %s at %s\n", t.label().c_str(), std::string(name(t.kind)).c_str(),
              t.target.name().c_str(), printable(t.requested).c_str(),
              t.requested_by.empty() ? "the engine" : printable(t.requested_by).c_str(),
              iso_time(t.requested_at).c_str());
  std::printf("  from     %s %s\n  to       %s %s (commit %s)\n",
              t.from.slot ? std::string(name(*t.from.slot)).c_str() : "-", printable(t.from.version).c_str(),
              t.to.slot ? std::string(name(*t.to.slot)).c_str() : "-", printable(t.to.version).c_str(),
              t.to.commit.c_str());
  for (const StepRecord& step : t.steps)
    std::printf("  %-4s %-13s %-7s %8s  %s\n", step.direction.c_str(), step.name.c_str(), step.outcome.c_str(),
                human_duration(step.duration_ms).c_str(), printable(step.text).c_str());
  for (const Json& hook : t.hooks) {
    std::printf("  hook %s (%s): %s\n", hook.value("hook", "").c_str(), hook.value("phase", "").c_str(),
                printable(hook.value("reason", "")).c_str());
    for (const std::string& line : split(trimmed(hook.value("output", "")), '\n'))
      if (!line.empty()) std::printf("      | %s\n", printable(line).c_str());
  }
  if (t.part_of != 0) std::printf("  part of  transaction %llu\n", static_cast<unsigned long long>(t.part_of));
  for (const Transaction& carried : t.carried)
    std::printf("  carried  %s %s: %s\n", carried.target.name().c_str(), printable(carried.to.version).c_str(),
                ending(carried).c_str());
  for (const std::string& note : t.notes) std::printf("  note     %s\n", printable(note).c_str());
  if (t.failure) std::printf("  failed   %s: %s\n", t.failure->step.c_str(), printable(t.failure->text).c_str());
  std::printf("  outcome  %s\n", t.outcome ? std::string(name(*t.outcome)).c_str() : "under way");
}

Result<std::optional<Transaction>> find_transaction(Upgrader& upgrader, const std::string& what) {
  const bool number = !what.empty() && what.size() < 10 && std::all_of(what.begin(), what.end(), ::isdigit);
  if (!number) return std::optional<Transaction>();
  for (Transaction& t : HC_TRY(upgrader.history()))
    if (std::to_string(t.id) == what) return std::optional(std::move(t));
  NodeStatus status = HC_TRY(upgrader.status());
  if (status.transaction && std::to_string(status.transaction->id) == what) return std::move(status.transaction);
  return std::optional<Transaction>();
}

Status print_transaction(const Session& session, Upgrader& upgrader, const std::string& what) {
  const std::optional<Transaction> t = HC_TRY(find_transaction(upgrader, what));
  if (!t) return Error(Code::invalid, "there is no transaction " + quote(what)).with_hint("`hc-os history` lists them");
  if (session.json)
    print_json(to_json(*t));
  else
    print_story(*t);
  return ok;
}

}  // namespace

int status(const Session& session) {
  return look(session, [&](Upgrader& upgrader) -> Status {
    const NodeStatus status = HC_TRY(upgrader.status());
    if (session.json)
      print_json(to_json(status));
    else
      print(status);
    return ok;
  });
}

int history(const Session& session, const HistoryOptions& options) {
  return look(session, [&](Upgrader& upgrader) -> Status {
    const std::vector<Transaction> all = newest_of(HC_TRY(upgrader.history()), options.target, options.most);
    if (session.json) {
      Json list = Json::array();
      for (const Transaction& t : all) list.push_back(to_json(t));
      print_json({{"transactions", std::move(list)}});
      return ok;
    }
    std::printf("%5s  %-20s  %-8s  %-14s %-14s %-11s  %s\n", "id", "asked for at", "kind", "target", "version",
                "outcome", "why");
    for (const Transaction& t : all) print_line(t);
    return ok;
  });
}

int log_of(const Session& session, const std::string& what) {
  return look(session, [&](Upgrader& upgrader) -> Status { return print_transaction(session, upgrader, what); });
}

int show(const Session& session, const std::string& what, const std::string& target_name) {
  return look(session, [&](Upgrader& upgrader) -> Status {
    const std::optional<Transaction> t = HC_TRY(find_transaction(upgrader, what));
    if (t) return print_transaction(session, upgrader, what);
    const Target target = HC_TRY(Target::parse(target_name));
    const Plan plan = HC_TRY(upgrader.plan({target, what, "", true}, session.stop));
    const Json json = {{"commit", plan.found.commit.hex()},
                       {"found_in", plan.found.where},
                       {"signers", plan.verdict.signers},
                       {"manifest", to_json(plan.verdict.manifest)}};
    if (session.json)
      print_json(json);
    else
      std::printf("%s %s\n  commit     %s\n  found in   %s\n  signed by  %s\n  sequence   %llu\n%s\n",
                  target.name().c_str(), plan.verdict.manifest.version.text().c_str(), plan.found.commit.hex().c_str(),
                  printable(plan.found.where).c_str(), json["signers"].dump().c_str(),
                  static_cast<unsigned long long>(plan.verdict.manifest.sequence),
                  printable(plan.verdict.manifest.changelog).c_str());
    return ok;
  });
}

int verify(const Session& session, const std::string& slot_name, const std::string& target_name) {
  ProgressBar bar(session.json || session.quiet);
  return look(session, [&](Upgrader& upgrader) -> Status {
    const Target target = HC_TRY(Target::parse(target_name));
    Json checked = Json::array();
    for (const Slot slot : {Slot::a, Slot::b}) {
      if (!slot_name.empty() && slot_name != name(slot)) continue;
      auto verdict = upgrader.verify(target, slot, bar.fn(), session.stop);
      bar.finish();
      const bool empty = !verdict && verdict.error().text().ends_with("is empty");
      if (empty && slot_name.empty()) continue;
      const Verdict good = HC_TRY(std::move(verdict).in("slot " + std::string(name(slot))));
      checked.push_back({{"slot", name(slot)},
                         {"version", good.manifest.version.text()},
                         {"commit", good.payload.commit().hex()},
                         {"signers", good.signers}});
      if (!session.json)
        std::printf("slot %s: version %s is whole and signed by %s.\n", std::string(name(slot)).c_str(),
                    good.manifest.version.text().c_str(),
                    good.signers.empty() ? "nobody" : good.signers.front().c_str());
    }
    if (session.json) print_json({{"verified", std::move(checked)}});
    return ok;
  });
}

int health(const Session& session) {
  int exit = 0;
  const int looked = look(session, [&](Upgrader& upgrader) -> Status {
    const HealthReport report = HC_TRY(upgrader.health({}, session.stop));
    if (session.json) {
      print_json(to_json(report));
    } else {
      for (const CheckResult& check : report.checks)
        std::printf("  %-24s %-10s %s\n", check.name.c_str(), std::string(name(check.end)).c_str(),
                    printable(check.text).c_str());
      std::printf("%s.\n", report.healthy ? "Healthy" : ("Not healthy: " + printable(report.why)).c_str());
    }
    if (!report.healthy) exit = exit_status(Code::unhealthy);
    return ok;
  });
  return looked != 0 ? looked : exit;
}

}  // namespace hc
