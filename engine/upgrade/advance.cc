#include "engine/upgrade/advance.h"

#include <algorithm>

#include "engine/base/log.h"
#include "engine/upgrade/carried.h"
#include "engine/upgrade/degraded.h"
#include "engine/upgrade/events.h"
#include "engine/upgrade/history.h"
#include "engine/upgrade/snapshots.h"

namespace hc {
namespace {

Status save(const Transaction& t, Machine& m) {
  return m.records.write(std::string(kJournal), to_json(t)).in("saving the journal");
}

void move_to(Transaction& t, std::string_view step) {
  t.step = std::string(step);
  t.entries = 0;
}

void tell(const Transaction& t, const StepRecord& record, std::string_view code) {
  const bool switched_now = record.name == "switch" && record.direction == "run" && record.outcome == "ok";
  event(switched_now ? kSwitched : kStepEnded,
        t.label() + ": " + record.direction + " " + record.name + ": " + record.outcome,
        {{"HC_TXN", std::to_string(t.id)},
         {"HC_TARGET", t.target.name()},
         {"HC_STEP", record.name},
         {"HC_SLOT", t.to.slot ? std::string(name(*t.to.slot)) : ""},
         {"HC_COMMIT", t.to.commit},
         {"HC_OUTCOME", record.outcome},
         {"HC_CODE", std::string(code)}});
}

// Times one action and tells the listener, the history and the log.
template <typename Work>
Result<Next> recorded(Transaction& t, Machine& m, Work work) {
  if (m.listener.begins) m.listener.begins(t, t.step, t.direction);
  StepRecord record{t.step, t.direction == Direction::undo ? "undo" : "run", "ok", m.clock.wall_seconds(), 0, ""};
  const std::int64_t begun = m.clock.monotonic_ms();
  Result<Next> next = work();
  record.duration_ms = m.clock.monotonic_ms() - begun;
  if (!next) {
    record.outcome = "failed";
    record.text = next.error().text();
  } else if (*next != Next::go_on) {
    record.outcome = *next == Next::reboot ? "reboot" : (*next == Next::later ? "later" : "ended");
  }
  t.steps.push_back(record);
  tell(t, record, next ? "" : name(next.error().code()));
  if (m.listener.ended) m.listener.ended(t, record);
  return next;
}

Result<Next> run_step(Transaction& t, Machine& m, const Step& step, const StopToken& stop) {
  HC_TRY(save(t, m));
  if (t.entries > kMostEntries)
    return Error(Code::internal, "the step was begun " + std::to_string(kMostEntries) + " times and never ended");
  return step.run(t, m, stop);
}

// A step that was not begun, in no life of ours, leaves nothing to take back.
void stop_before(Transaction& t, std::size_t place) {
  const bool begun = t.entries > 0;
  turn_round(t, Error(Code::cancelled, "a stop was asked for"));
  if (begun) return;
  if (t.step == first_step(t.kind, t.target)) {
    t.direction = Direction::done;
  } else {
    move_to(t, steps()[place - 1].name);
  }
}

Result<std::optional<Ended>> forward(Transaction& t, Machine& m, const StopToken& stop) {
  const auto place = step_index(t.step);
  if (!place) {
    const Error unknown(Code::internal, "the journal names the step `" + t.step + "`, which this engine does not have");
    move_to(t, steps().back().name);
    turn_round(t, unknown);
    return std::optional<Ended>();
  }
  const Step& step = steps()[*place];
  if (!applies(step, t)) {
    move_to(t, steps()[*place + 1].name);
    return std::optional<Ended>();
  }
  if (stop.requested() && *place <= *step_index("switch")) {
    stop_before(t, *place);
    return std::optional<Ended>();
  }
  ++t.entries;
  const Result<Next> next = recorded(t, m, [&] { return run_step(t, m, step, stop); });
  if (!next) {
    turn_round(t, next.error());
  } else if (*next == Next::reboot) {
    return std::optional(Ended::reboot);
  } else if (*next == Next::later) {
    return std::optional(Ended::later);
  } else if (*next == Next::ended) {
    t.direction = Direction::undo;
    t.entries = 0;
  } else if (*place + 1 < steps().size()) {
    move_to(t, steps()[*place + 1].name);
  } else {
    t.direction = Direction::done;
    t.outcome = Outcome::confirmed;
  }
  return std::optional<Ended>();
}

// After the last try a step that cannot be undone is left behind with a note, except the switch: restoring a slot that
// may still be booted would pull the ground from under the node.
Status give_up(Transaction& t, const Step& step, const Error& error) {
  if (step.name == "switch") return Error(error).in(t.label() + ": going back to the confirmed slot");
  t.notes.push_back(std::string(step.name) + " could not be undone: " + error.text());
  log(Level::warning, t.label() + ": " + t.notes.back());
  if (!t.target.is_os()) t.degraded = t.notes.back();
  for (Transaction& carried : t.carried)
    if (!carried.ended() && !carried.steps.empty()) carried.degraded = t.notes.back();
  return ok;
}

Result<std::optional<Ended>> backward(Transaction& t, Machine& m, const StopToken& stop) {
  const auto place = step_index(t.step);
  if (!place) {
    // A newer engine's step. All that this one knows is taken back, from the last step on: undo can be repeated.
    t.notes.push_back("the step `" + t.step + "` of a newer engine could not be undone");
    move_to(t, steps().back().name);
    return std::optional<Ended>();
  }
  const Step& step = steps()[*place];
  ++t.entries;
  if (step.undo != nullptr && applies(step, t)) {
    // A journal that cannot be saved must not keep the node from going back: undo can be repeated.
    if (const Status saved = save(t, m); !saved) log(Level::warning, t.label() + ": " + saved.error().text());
    const Result<Next> next = recorded(t, m, [&] { return step.undo(t, m, stop); });
    if (next && *next == Next::reboot && t.entries <= kMostEntries) return std::optional(Ended::reboot);
    if (next && *next == Next::reboot)
      return Error(Code::unhealthy, t.label() + ": the bootloader keeps starting slot " +
                                        std::string(name(*t.to.slot)) + "; the node stays up there, unconfirmed");
    if (!next && t.entries < kMostEntries) return std::optional<Ended>();
    if (!next) HC_TRY(give_up(t, step, next.error()));
  }
  if (t.step == first_step(t.kind, t.target)) {
    t.direction = Direction::done;
  } else {
    move_to(t, steps()[*place - 1].name);
  }
  return std::optional<Ended>();
}

// A peripheral that could not be taken back is degraded until a version of it is confirmed.
Status note_degraded(const Transaction& t, Machine& m) {
  DegradedList degraded(m.records);
  for (const Transaction& carried : t.carried)
    if (!carried.degraded.empty()) HC_TRY(degraded.add(carried, carried.degraded, m.clock.wall_seconds()));
  if (t.target.is_os()) return ok;
  if (t.outcome == Outcome::confirmed) return degraded.remove(t.target);
  const auto was_taken_back = [](const StepRecord& step) {
    return step.name == "install" && step.direction == "undo" && step.outcome == "ok";
  };
  const bool taken_back = t.kind != TransactionKind::repair && t.degraded.empty() &&
                          std::any_of(t.steps.begin(), t.steps.end(), was_taken_back);
  if (taken_back) return degraded.remove(t.target);
  const bool repair_failed = t.kind == TransactionKind::repair && t.failure;
  const std::string why = repair_failed ? t.failure->step + ": " + t.failure->text : t.degraded;
  if (why.empty()) return ok;
  event(kDegraded, t.label() + ": " + t.target.name() + " is degraded: " + why,
        {{"HC_TXN", std::to_string(t.id)}, {"HC_TARGET", t.target.name()}});
  return degraded.add(t, why, m.clock.wall_seconds());
}

// Each part can be repeated, so a crash here costs nothing: the journal says `done` until all is done. What can wait
// for tidy() is no reason to keep the journal, but for the refs of a confirmed version: without them the history could
// not return to it.
Status finish(Transaction& t, Machine& m) {
  HC_TRY(save(t, m));
  const bool confirmed = t.outcome == Outcome::confirmed;
  if (confirmed) HC_TRY(m.source.keep(t));
  if (confirmed) HC_TRY(end_carried(t, m));
  const auto pending = tidy(m, t);
  if (!pending) t.notes.push_back("clean-up pending: " + pending.error().text());
  if (pending) {
    for (const std::string& path : *pending) t.notes.push_back("clean-up pending: " + path);
  }
  HC_TRY(note_degraded(t, m));
  if (t.ended_at == 0) t.ended_at = std::max<std::int64_t>(m.clock.wall_seconds(), 1);
  HC_TRY(History(m.records).put(t));
  HC_TRY(m.records.remove(std::string(kJournal)));
  // A newer engine may have had one more.
  const std::string outcome(t.outcome ? name(*t.outcome) : "unknown");
  const EventId& id = confirmed ? kConfirmed : (t.outcome == Outcome::rolled_back ? kRolledBack : kEnded);
  event(id, t.label() + ": " + t.target.name() + " " + t.to.version + " " + outcome,
        {{"HC_TXN", std::to_string(t.id)},
         {"HC_TARGET", t.target.name()},
         {"HC_SLOT", t.to.slot ? std::string(name(*t.to.slot)) : ""},
         {"HC_COMMIT", t.to.commit},
         {"HC_OUTCOME", outcome},
         {"HC_CODE", t.failure ? std::string(name(t.failure->code)) : ""}});
  return ok;
}

// A restart before the switch was made is no failure: this boot is the one in which it will be made.
Status note_restart(Transaction& t, Machine& m) {
  if (t.direction != Direction::forward || !t.restarts()) return ok;
  const auto place = step_index(t.step);
  if (!place || *place > *step_index("switch")) return ok;
  const bool maybe_switched = t.target.is_os() && t.step == "switch" && m.now.boot_id != t.boot_id;
  if (maybe_switched) {
    const std::optional<Slot> trial = HC_TRY(m.choice.trial());
    if (trial == t.to.slot || m.now.booted == t.to.slot) return ok;
  }
  t.boot_id = m.now.boot_id;
  return ok;
}

}  // namespace

void turn_round(Transaction& t, const Error& error) {
  t.failure = Failure{t.step, error.code(), error.text(), error.hint()};
  if (!t.outcome) {
    t.outcome =
        switched(t) ? Outcome::rolled_back : (error.code() == Code::cancelled ? Outcome::cancelled : Outcome::failed);
  }
  t.direction = Direction::undo;
  t.entries = 0;
}

Result<std::vector<std::string>> tidy(Machine& m, const Transaction& t) {
  std::vector<std::string> stuck = HC_TRY(m.slots.release());
  if (m.snapshots != nullptr && !t.target.is_os()) HC_TRY(drop_old_snapshots(t.target, m));
  HC_TRY(m.source.drop(t));
  return stuck;
}

Result<Ended> advance(Transaction& t, Machine& m, const StopToken& stop) {
  HC_TRY(note_restart(t, m).in(t.label()));
  while (t.direction != Direction::done) {
    const std::optional<Ended> end =
        HC_TRY(t.direction == Direction::forward ? forward(t, m, stop) : backward(t, m, stop));
    if (end) return *end;
  }
  HC_TRY(finish(t, m).in(t.label()));
  return Ended::finished;
}

Result<std::optional<Transaction>> read_journal(Records& records) {
  const std::optional<Json> json = HC_TRY(records.read(std::string(kJournal)));
  if (!json) return std::optional<Transaction>();
  Transaction t = HC_TRY(transaction_from(*json).in("the journal"));
  return std::optional(std::move(t));
}

}  // namespace hc
