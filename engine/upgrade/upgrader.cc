#include "engine/upgrade/upgrader.h"

#include <algorithm>

#include "engine/base/log.h"
#include "engine/base/text.h"
#include "engine/upgrade/events.h"
#include "engine/upgrade/inhibit.h"
#include "engine/upgrade/parts.h"
#include "engine/upgrade/reconcile.h"
#include "engine/upgrade/run_transaction.h"

namespace hc {
namespace {

Result<std::optional<Report>> some(Result<Report> report) {
  if (!report) return std::move(report).error();
  return std::optional(std::move(report).value());
}

Error busy(const Transaction& t) {
  return Error(Code::busy, t.label() + " (" + t.target.name() + " " + t.to.version + ") waits for the node to restart")
      .with_hint("restart the node to go on, or take it back with `hc-os rollback`");
}

// Only what somebody asked for bears the job's key, never what the engine does of itself meanwhile.
void tie(Transaction& t, const NodeParts& parts) {
  if (!parts.job.empty()) t.jobs.push_back(parts.job);
}

// The version that was there before the first transaction belongs to the history too: it must be possible to go back to
// it.
Status record_first_version(NodeParts& parts, const Target& target) {
  const std::vector<Transaction> history = HC_TRY(History(parts.records).all());
  const bool known =
      std::any_of(history.begin(), history.end(), [&](const Transaction& t) { return t.target == target; });
  const std::optional<Slot> current = HC_TRY(parts.in_use(target));
  if (known || !current) return ok;
  Side here = HC_TRY(parts.side(target, *current));
  if (here.commit.empty()) return ok;
  Request request{target, "first installation", "", false};
  Transaction t = HC_TRY(begin_transaction(parts, TransactionKind::confirm, request, Side{}, std::move(here)));
  t.direction = Direction::done;
  t.outcome = Outcome::confirmed;
  t.ended_at = t.requested_at;
  HC_TRY(parts.source->keep(t));
  return History(parts.records).put(t);
}

// A journal that this engine cannot read (a kind of transaction that only a newer one knows) would block the node for
// ever: what booted and what the slots hold say enough to go on.
Status set_unreadable_journal_aside(NodeParts& parts) {
  const std::optional<Json> json = HC_TRY(parts.records.read(std::string(kJournal)));
  if (!json) return ok;
  const auto t = transaction_from(*json);
  if (t) return ok;
  const std::string aside = "unreadable/" + std::to_string(parts.clock.wall_seconds());
  log(Level::error, "the journal cannot be read (" + t.error().text() + "); it is kept as " + aside + ".json");
  HC_TRY(parts.records.write(aside, *json));
  return parts.records.remove(std::string(kJournal));
}

Result<FileLock> lock(NodeParts& parts) {
  FileLock held = HC_TRY(parts.lock());
  HC_TRY(set_unreadable_journal_aside(parts));
  return held;
}

// Ends what a crash or a signal left unfinished. Code::busy where that needs a restart first.
Status end_unfinished(NodeParts& parts, const Listener& listener, const StopToken& stop) {
  std::optional<Transaction> t = HC_TRY(read_journal(parts.records));
  if (!t) return ok;
  if (waits_for_reboot(*t, parts.node)) return busy(*t);
  log(Level::info, t->label() + " was left unfinished; it is carried to its end first");
  const Report report = HC_TRY(run_transaction(parts, std::move(*t), listener, stop));
  if (report.ended == Ended::reboot) return busy(report.transaction);
  if (report.ended == Ended::later)
    return Error(Code::cancelled, report.transaction.label() + ": a stop was asked for");
  return parts.learn_what_is_in_use();
}

// A deploy overwrites the slot that does not run, so the one that runs must be the one to fall back to.
Status runs_confirmed(NodeParts& parts) {
  const BootState state = HC_TRY(parts.boot->state());
  if (!parts.node.booted) {
    return Error(Code::unavailable,
                 "this node was not started from one of its slots, so it cannot be said which one is safe to replace")
        .with_hint("restart it from slot a or b (kernel argument ostree=/ostree/slots/a or b)");
  }
  if (state.confirmed == *parts.node.booted) return ok;
  const std::string running(name(*parts.node.booted));
  return Error(Code::busy, "the node runs slot " + running + ", but slot " + std::string(name(state.confirmed)) +
                               " is the confirmed one: a deploy would replace it")
      .with_hint("`hc-os confirm` makes slot " + running + " the confirmed one; a restart goes back to the other");
}

Status may_try(const std::vector<Transaction>& history, const Request& request, const Commit& commit) {
  const Transaction* failed = last_own_failure(history, request.target, commit);
  if (failed == nullptr || request.again) return ok;
  return Error(Code::invalid, "commit " + commit.brief() + " failed on this node before (" + failed->label() +
                                  ", step " + failed->failure->step + ": " + failed->failure->text + ")")
      .with_hint("deploy a mended version, or this one once more with --again");
}

// What honeycomb-boot.service is for: the unfinished transaction, or a trial without one. Nothing: there was neither.
Result<std::optional<Report>> carry_on(NodeParts& parts, const Listener& listener, const StopToken& stop) {
  std::optional<Transaction> pending = HC_TRY(read_journal(parts.records));
  if (pending) {
    if (waits_for_reboot(*pending, parts.node)) return std::optional(Report{std::move(*pending), Ended::reboot});
    return some(run_transaction(parts, std::move(*pending), listener, stop));
  }
  const BootState state = HC_TRY(parts.boot->state());
  if (!state.trial) return std::optional<Report>();
  if (parts.node.booted != state.trial) {
    log(Level::warning, "the bootloader was told to try slot " + std::string(name(*state.trial)) +
                            ", but no transaction is under way: the trial is ended");
    HC_TRY(parts.boot->disarm());
    return std::optional<Report>();
  }
  // The journal of a trial that runs is lost. What booted still has to prove itself.
  const Side from = HC_TRY(parts.side(Target::os(), state.confirmed));
  const Side to = HC_TRY(parts.side(Target::os(), *state.trial));
  Transaction t = HC_TRY(
      begin_transaction(parts, TransactionKind::rollback, Request{Target::os(), to.version, "", false}, from, to));
  t.notes.push_back("the journal was lost; state recovered from the bootloader");
  t.step = "health";
  t.boot_id = "lost";
  return some(run_transaction(parts, std::move(t), listener, stop));
}

// The report that waits for a restart, if one does.
Result<std::optional<Report>> settle(NodeParts& parts, const Listener& listener, const StopToken& stop) {
  HC_TRY(parts.learn_what_is_in_use());
  std::vector<Report> reports = HC_TRY(repair_degraded(parts, false, listener, stop));
  if (reports.empty() || reports.back().ended == Ended::finished)
    reports = HC_TRY(reconcile_peripherals(parts, listener, stop));
  if (reports.empty() || reports.back().ended != Ended::reboot) return std::optional<Report>();
  return std::optional(std::move(reports.back()));
}

}  // namespace

Upgrader::Upgrader(std::unique_ptr<NodeParts> parts) : parts_(std::move(parts)) {}
Upgrader::~Upgrader() = default;
const Node& Upgrader::node() const { return parts_->node; }
const Settings& Upgrader::settings() const { return parts_->settings; }
void Upgrader::work_for(std::string job) { parts_->job = std::move(job); }
Remotes Upgrader::remotes() const { return {parts_->node.lib, parts_->node.etc}; }

Result<std::unique_ptr<Upgrader>> Upgrader::open(const fs::path& sysroot) {
  Node node = HC_TRY(Node::open(sysroot));
  auto parts = std::make_unique<NodeParts>(std::move(node));
  HC_TRY(parts->open_all());
  return std::unique_ptr<Upgrader>(new Upgrader(std::move(parts)));
}

Result<Found> Upgrader::find(const Target& target, const std::string& what, const StopToken& stop) {
  return parts_->source->find(target, what, stop);
}

Result<Plan> Upgrader::plan(const Request& asked, const StopToken& stop) {
  Found found = HC_TRY(parts_->source->find(asked.target, asked.what, stop));
  Request request = asked;
  request.target = found.target;
  const CommitObject object = HC_TRY(parts_->source->object(found, stop));
  Verdict verdict = HC_TRY(parts_->source->judge(request.target, found.commit, object));
  const std::optional<Slot> current = HC_TRY(parts_->in_use(request.target));
  const Slot to = current ? other(*current) : Slot::a;
  Side from;
  if (current) from = HC_TRY(parts_->side(request.target, *current));
  const Side replaced = HC_TRY(parts_->side(request.target, to));
  const TreeSize download = HC_TRY(parts_->source->missing(object));
  const std::vector<Transaction> past = HC_TRY(History(parts_->records).all());
  HC_TRY(may_try(past, request, found.commit));
  return Plan{request, std::move(verdict), std::move(found), std::move(from),
              to,      replaced.version,   download,         request.target.is_os()};
}

Result<Report> Upgrader::deploy(const Request& asked, const Listener& listener, const StopToken& stop) {
  const FileLock held = HC_TRY(lock(*parts_));
  HC_TRY(end_unfinished(*parts_, listener, stop));
  Request request = asked;
  std::optional<Found> in_file;
  if (names_payload_file(asked.what)) {
    in_file = HC_TRY(parts_->source->find(asked.target, asked.what, stop));
    request.target = in_file->target;
  }
  HC_TRY(Inhibitors(parts_->node.state).check());
  if (request.target.is_os()) {
    HC_TRY(parts_->boot->check());
    HC_TRY(runs_confirmed(*parts_));
  }
  HC_TRY(record_first_version(*parts_, request.target));
  const Found found = in_file ? std::move(*in_file) : HC_TRY(parts_->source->find(request.target, request.what, stop));
  const std::vector<Transaction> past = HC_TRY(History(parts_->records).all());
  HC_TRY(may_try(past, request, found.commit));

  const std::optional<Slot> current = HC_TRY(parts_->in_use(request.target));
  Side from;
  if (current) from = HC_TRY(parts_->side(request.target, *current));
  if (from.commit == found.commit.hex() && !request.again) {
    return Error(Code::invalid, request.target.name() + " runs version " + from.version + " (commit " +
                                    found.commit.brief() + ") already")
        .with_hint("nothing to do; --again installs it once more");
  }
  const Slot to = current ? other(*current) : Slot::a;
  Transaction t = HC_TRY(begin_transaction(*parts_, TransactionKind::deploy, request, std::move(from),
                                           Side{to, found.commit.hex(), "", 0}));
  tie(t, *parts_);
  t.url = found.url;
  return run_transaction(*parts_, std::move(t), listener, stop);
}

Result<Report> Upgrader::rollback(const Target& target, const std::string& by, const Listener& listener,
                                  const StopToken& stop) {
  const FileLock held = HC_TRY(lock(*parts_));
  std::optional<Transaction> pending = HC_TRY(read_journal(parts_->records));
  const bool waits = pending && pending->target == target && pending->direction == Direction::forward &&
                     waits_for_reboot(*pending, parts_->node);
  if (waits) {
    pending->outcome = Outcome::cancelled;
    turn_round(*pending, Error(Code::cancelled, "taken back by " + by + " before the restart"));
    tie(*pending, *parts_);
    return run_transaction(*parts_, std::move(*pending), listener, stop);
  }
  HC_TRY(end_unfinished(*parts_, listener, stop));
  HC_TRY(record_first_version(*parts_, target));
  const std::optional<Slot> current = HC_TRY(parts_->in_use(target));
  if (!current) return Error(Code::invalid, target.name() + " has no version in use, so there is none to go back from");
  auto* parts = HC_TRY(parts_->target(target));
  const Side from = HC_TRY(parts_->side(target, *current));
  const Side to = HC_TRY(parts_->side(target, other(*current)));
  if (to.commit.empty()) {
    return Error(Code::invalid, "there is nothing to go back to: slot " + std::string(name(*to.slot)) + " of " +
                                    target.name() + " is empty")
        .with_hint("deploy an older version from the history: `hc-os history`");
  }
  const std::optional<Slot> confirmed = HC_TRY(parts->choice->confirmed());
  if (confirmed == to.slot) {
    return Error(Code::invalid, "slot " + std::string(name(*to.slot)) + " is the confirmed one already")
        .with_hint("restart the node to go back to it");
  }
  if (!HC_TRY(parts_->fitted(target)))
    return Error(Code::invalid, target.name() + " is not fitted on this node, says its node.json");
  Transaction t =
      HC_TRY(begin_transaction(*parts_, TransactionKind::rollback, Request{target, to.version, by, false}, from, to));
  tie(t, *parts_);
  if (!target.is_os()) t.restart = HC_TRY(parts_->metadata(to)).reboot;
  return run_transaction(*parts_, std::move(t), listener, stop);
}

Result<Report> Upgrader::confirm(const std::string& by, const Listener& listener, const StopToken& stop) {
  const FileLock held = HC_TRY(lock(*parts_));
  const Slot booted = parts_->node.booted.value_or(Slot::a);
  std::optional<Transaction> pending = HC_TRY(read_journal(parts_->records));
  const bool on_trial = pending && pending->target.is_os() && pending->direction == Direction::forward &&
                        parts_->node.booted == pending->to.slot && pending->boot_id != parts_->node.boot_id;
  if (on_trial) {
    pending->notes.push_back("confirmed by " + by + " without waiting for the health checks");
    pending->step = "confirm";
    pending->entries = 0;
    tie(*pending, *parts_);
    return run_transaction(*parts_, std::move(*pending), listener, stop);
  }
  HC_TRY(end_unfinished(*parts_, listener, stop));
  HC_TRY(record_first_version(*parts_, Target::os()));
  if (!parts_->node.booted)
    return Error(Code::invalid, "the node was not started from one of its slots: there is nothing to confirm");
  const BootState state = HC_TRY(parts_->boot->state());
  if (state.confirmed == booted && !state.trial)
    return Error(Code::invalid, "slot " + std::string(name(booted)) + " is the confirmed one already")
        .with_hint("nothing to do");
  const Side from = HC_TRY(parts_->side(Target::os(), state.confirmed));
  const Side to = HC_TRY(parts_->side(Target::os(), booted));
  Transaction t = HC_TRY(
      begin_transaction(*parts_, TransactionKind::confirm, Request{Target::os(), to.version, by, false}, from, to));
  tie(t, *parts_);
  return run_transaction(*parts_, std::move(t), listener, stop);
}

Result<std::optional<Report>> Upgrader::resume(const Listener& listener, const StopToken& stop) {
  const FileLock held = HC_TRY(lock(*parts_));
  HC_TRY(record_first_version(*parts_, Target::os()));
  std::optional<Report> report = HC_TRY(carry_on(*parts_, listener, stop));
  if (report && report->ended != Ended::finished) return report;
  HC_TRY(tidy_up(*parts_, listener));
  // What goes wrong with a peripheral is in the history and in the status; the OS is well and must be left alone.
  auto settled = settle(*parts_, listener, stop);
  if (!settled) log(Level::warning, "bringing the peripherals in line: " + settled.error().text());
  if (settled && *settled) return std::move(settled).value();
  return report;
}

Result<std::vector<Report>> Upgrader::repair(bool due, const Listener& listener, const StopToken& stop) {
  const FileLock held = HC_TRY(lock(*parts_));
  // A timer must not judge a version on trial: only the boot service restarts the node where that is needed.
  const bool unfinished = HC_TRY(parts_->records.read(std::string(kJournal))).has_value();
  if (due && unfinished) return std::vector<Report>();
  HC_TRY(end_unfinished(*parts_, listener, stop));
  return repair_degraded(*parts_, !due, listener, stop);
}

}  // namespace hc
