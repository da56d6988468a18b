#include "engine/upgrade/reconcile.h"

#include <algorithm>

#include "engine/base/log.h"
#include "engine/base/text.h"
#include "engine/upgrade/advance.h"
#include "engine/upgrade/degraded.h"
#include "engine/upgrade/parcel.h"
#include "engine/upgrade/run_transaction.h"

namespace hc {
namespace {

std::uint64_t sequence_of(const Repository& repository, const Commit& commit) {
  const auto object = repository.commit_object(commit);
  if (!object) return 0;
  const auto manifest = read_manifest(object->bytes);
  return manifest ? manifest->sequence : 0;
}

// What the OS that runs is, and the peripherals that it brings. Nothing where it is not settled or not signed (a first
// version put there by plain OSTree).
struct RunningOs {
  std::string version;
  std::uint64_t sequence = 0;
  std::vector<Parcel> parcels;
};
Result<std::optional<RunningOs>> running_os(NodeParts& parts) {
  const BootState state = HC_TRY(parts.boot->state());
  if (!parts.node.booted || state.trial || state.confirmed != parts.node.booted) return std::optional<RunningOs>();
  const Side side = HC_TRY(parts.side(Target::os(), *parts.node.booted));
  const Commit commit = HC_TRY(Commit::parse(side.commit));
  Repository& repository = parts.os_store->repository();
  const CommitObject object = HC_TRY(repository.commit_object(commit));
  if (!read_manifest(object.bytes)) return std::optional<RunningOs>();
  const auto verdict = parts.source->judge(Target::os(), commit, object);
  if (!verdict) {
    log(Level::warning,
        "the peripherals are left as they are: the OS that runs is not accepted: " + verdict.error().text());
    return std::optional<RunningOs>();
  }
  std::vector<Parcel> parcels = HC_TRY(parcels_of(repository, verdict->payload));
  return std::optional(RunningOs{side.version, side.sequence, std::move(parcels)});
}

// Whether installing `commit` by ourselves once more would do good. Not after a failure of its own, and not where it
// was the last that happened to its target: then it is there already, or said that it need not be.
bool worth_a_try(const std::vector<Transaction>& history, const Target& target, const Commit& commit) {
  if (last_own_failure(history, target, commit) != nullptr) return false;
  const auto last =
      std::find_if(history.rbegin(), history.rend(), [&](const Transaction& t) { return t.target == target; });
  if (last == history.rend() || last->to.commit != commit.hex()) return true;
  return last->outcome == Outcome::failed || last->outcome == Outcome::cancelled;
}

class Reconciliation {
 public:
  Reconciliation(NodeParts& parts, RunningOs os, std::vector<Transaction> history)
      : parts_(parts), os_(std::move(os)), history_(std::move(history)) {}

  // The transaction that `target` needs, if it needs one.
  Result<std::optional<Transaction>> wanted(const Target& target) {
    if (!HC_TRY(parts_.fitted(target))) return std::optional<Transaction>();
    const std::optional<Slot> current = HC_TRY(parts_.in_use(target));
    const Parcel* parcel = brought(target);
    const bool worth = parcel != nullptr && worth_a_try(history_, target, parcel->payload.commit());
    if (!current) return worth ? deploy(*parcel, Side{}, Slot::a) : Result<std::optional<Transaction>>(std::nullopt);
    const Side from = HC_TRY(parts_.side(target, *current));
    std::optional<std::uint64_t> came_with = HC_TRY(sequence_it_came_with(from));
    if (!came_with && brought_back_by_us(target)) came_with = 0;
    if (!came_with || *came_with == os_.sequence) return std::optional<Transaction>();
    // Brought by another OS, so it is for the one that runs to say. One that brings none has nothing to say about what
    // an older one brought.
    if (parcel != nullptr) return worth ? deploy(*parcel, from, other(*current)) : stays(target, from);
    if (*came_with < os_.sequence) return std::optional<Transaction>();
    const Side before = HC_TRY(parts_.side(target, other(*current)));
    if (before.commit.empty()) return stays(target, from);
    const std::optional<std::uint64_t> before_came_with = HC_TRY(sequence_it_came_with(before));
    const bool usable = !before_came_with || *before_came_with <= os_.sequence;
    return usable ? rollback(target, from, before) : stays(target, from);
  }

  std::vector<Target> brought_targets() const {
    std::vector<Target> targets;
    for (const Parcel& parcel : os_.parcels) targets.push_back(parcel.metadata.target);
    return targets;
  }

 private:
  const Parcel* brought(const Target& target) const {
    const auto it = std::find_if(os_.parcels.begin(), os_.parcels.end(),
                                 [&](const Parcel& parcel) { return parcel.metadata.target == target; });
    return it == os_.parcels.end() ? nullptr : &*it;
  }

  // A version that nobody asked for: it took the place of one that did not fit the OS then.
  bool brought_back_by_us(const Target& target) const {
    const auto last = std::find_if(history_.rbegin(), history_.rend(), [&](const Transaction& t) {
      return t.target == target && t.outcome == Outcome::confirmed;
    });
    return last != history_.rend() && last->kind == TransactionKind::rollback && last->requested_by.empty();
  }

  // The sequence of the OS that brought it; nothing: it was deployed by itself.
  Result<std::optional<std::uint64_t>> sequence_it_came_with(const Side& side) const {
    const Commit commit = HC_TRY(Commit::parse(side.commit));
    const Repository& repository = parts_.os_store->repository();
    const std::optional<Commit> whole = HC_TRY(repository.part_of(commit));
    return whole ? std::optional(sequence_of(repository, *whole)) : std::optional<std::uint64_t>();
  }

  Result<std::optional<Transaction>> stays(const Target& target, const Side& side) const {
    log(Level::warning, target.name() + " stays at " + side.version + ", which came with another OS than " +
                            os_.version + ": there is no version that could take its place");
    return std::optional<Transaction>();
  }

  Result<std::optional<Transaction>> deploy(const Parcel& parcel, const Side& from, Slot to) {
    const Target& target = parcel.metadata.target;
    if (HC_TRY(parts_.same_content(from.commit, parcel.payload.commit()))) return std::optional<Transaction>();
    const Request request{target, parcel.metadata.config_version.text(), "", true};
    Transaction t =
        HC_TRY(begin_transaction(parts_, TransactionKind::deploy, request, from,
                                 Side{to, parcel.payload.commit().hex(), parcel.metadata.config_version.text(), 0}));
    t.notes.push_back("brought by os " + os_.version + ", which runs");
    return std::optional(std::move(t));
  }

  Result<std::optional<Transaction>> rollback(const Target& target, const Side& from, const Side& to) {
    const Request request{target, to.version, "", false};
    Transaction t = HC_TRY(begin_transaction(parts_, TransactionKind::rollback, request, from, to));
    t.restart = HC_TRY(parts_.metadata(to)).reboot;
    t.notes.push_back(target.name() + " " + from.version + " came with a newer OS than " + os_.version +
                      ", which runs: the version before is brought back");
    return std::optional(std::move(t));
  }

  NodeParts& parts_;
  RunningOs os_;
  std::vector<Transaction> history_;
};

// A first version that could not be taken back: there is no version in use, but its payload still lies in its slot, and
// the undo of the transaction that installed it goes on where it gave up. Nothing: neither is there any more.
Result<std::optional<Transaction>> first_version(NodeParts& parts, const Degraded& entry) {
  std::optional<Transaction> t = HC_TRY(History(parts.records).find(entry.first));
  NodeParts::TargetParts* own = HC_TRY(parts.target(entry.target));
  const bool known = t && t->target == entry.target && t->to.slot;
  const std::optional<SlotContent> content =
      known ? HC_TRY(own->slots->content(*t->to.slot)) : std::optional<SlotContent>();
  if (!content || content->commit.hex() != t->to.commit) {
    log(Level::warning,
        entry.target.name() + " stays as it is: the payload whose rollback hook could take it back is gone");
    return std::optional<Transaction>();
  }
  t->direction = Direction::undo;
  t->step = "install";
  t->entries = 0;
  t->degraded.clear();
  t->ended_at = 0;
  // What earlier tries did would add up without bound.
  t->steps.clear();
  t->hooks = Json::array();
  t->notes.push_back("tried again at " + iso_time(parts.clock.wall_seconds()));
  return t;
}

// Nothing: there was nothing that could be tried.
Result<std::optional<Report>> repair(NodeParts& parts, const Degraded& entry, const Listener& listener,
                                     const StopToken& stop) {
  const bool fitted = HC_TRY(parts.fitted(entry.target));
  if (!fitted) return std::optional<Report>();
  const std::optional<Slot> current = HC_TRY(parts.in_use(entry.target));
  std::optional<Transaction> t;
  if (current) {
    const Side side = HC_TRY(parts.side(entry.target, *current));
    t = HC_TRY(
        begin_transaction(parts, TransactionKind::repair, Request{entry.target, side.version, "", false}, side, side));
    t->notes.push_back("degraded since transaction " + std::to_string(entry.first) + ": " + entry.why);
  } else {
    t = HC_TRY(first_version(parts, entry));
  }
  if (!t) {
    HC_TRY(DegradedList(parts.records).remove(entry.target));
    return std::optional<Report>();
  }
  Report report = HC_TRY(run_transaction(parts, std::move(*t), listener, stop));
  return std::optional(std::move(report));
}

}  // namespace

Status tidy_up(NodeParts& parts, const Listener& listener) {
  for (const Target& target : HC_TRY(parts.targets())) {
    Machine machine = HC_TRY(parts.machine(target, listener));
    Transaction none;
    none.target = target;
    auto stuck = tidy(machine, none);
    if (!stuck && target.is_os()) return std::move(stuck).error();
    // One damaged peripheral must not turn a good boot into an error.
    if (!stuck) log(Level::warning, "clean-up of " + target.name() + " pending: " + stuck.error().text());
    for (const std::string& path : stuck ? *stuck : std::vector<std::string>())
      log(Level::warning, "clean-up pending: " + path);
  }
  return ok;
}

Result<std::vector<Report>> repair_degraded(NodeParts& parts, bool now, const Listener& listener,
                                            const StopToken& stop) {
  std::vector<Report> reports;
  for (const Degraded& entry : HC_TRY(DegradedList(parts.records).all())) {
    if (stop.requested()) break;
    if (!now && !entry.due(parts.clock.wall_seconds())) continue;
    auto report = repair(parts, entry, listener, stop);
    if (!report) log(Level::warning, "repairing " + entry.target.name() + ": " + report.error().text());
    if (report && *report) reports.push_back(std::move(*report.value()));
    // What was begun must be ended before anything else is.
    if (HC_TRY(parts.records.read(std::string(kJournal)))) break;
  }
  return reports;
}

Result<std::vector<Report>> reconcile_peripherals(NodeParts& parts, const Listener& listener, const StopToken& stop) {
  std::vector<Report> reports;
  std::optional<RunningOs> os = HC_TRY(running_os(parts));
  if (!os) return reports;
  std::vector<Transaction> history = HC_TRY(History(parts.records).all());
  Reconciliation reconciliation(parts, std::move(*os), std::move(history));
  std::vector<Target> targets = HC_TRY(parts.targets());
  for (const Target& target : reconciliation.brought_targets())
    if (std::find(targets.begin(), targets.end(), target) == targets.end()) targets.push_back(target);
  for (const Target& target : targets) {
    if (target.is_os() || stop.requested()) continue;
    std::optional<Transaction> t = HC_TRY(reconciliation.wanted(target).in(target.name()));
    if (!t) continue;
    log(Level::info, t->label() + ": " + t->notes.back());
    reports.push_back(HC_TRY(run_transaction(parts, std::move(*t), listener, stop)));
    if (reports.back().ended != Ended::finished) break;
  }
  return reports;
}

}  // namespace hc
