#include "engine/upgrade/reconcile.h"

#include <algorithm>

#include "engine/base/log.h"
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
  const auto verdict = parts.source->judge(Target::os(), commit, object);
  if (!verdict) return std::optional<RunningOs>();
  std::vector<Parcel> parcels = HC_TRY(parcels_of(repository, verdict->payload));
  return std::optional(RunningOs{side.version, side.sequence, std::move(parcels)});
}

bool tried_before(const std::vector<Transaction>& history, const Target& target, const Commit& commit) {
  return std::any_of(history.begin(), history.end(),
                     [&](const Transaction& t) { return t.target == target && t.to.commit == commit.hex(); });
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
    if (!current) {
      if (parcel == nullptr || tried_before(history_, target, parcel->payload.commit()))
        return std::optional<Transaction>();
      return deploy(*parcel, Side{}, Slot::a);
    }
    const Side from = HC_TRY(parts_.side(target, *current));
    if (!HC_TRY(of_newer_os(from))) return std::optional<Transaction>();
    if (parcel != nullptr) return deploy(*parcel, from, other(*current));
    const Side before = HC_TRY(parts_.side(target, other(*current)));
    const bool usable = !before.commit.empty() && !HC_TRY(of_newer_os(before));
    if (usable) return rollback(target, from, before);
    log(Level::warning, target.name() + " " + from.version + " came with a newer OS than " + os_.version +
                            ", but there is no version to go back to");
    return std::optional<Transaction>();
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

  Result<bool> of_newer_os(const Side& side) const {
    const Commit commit = HC_TRY(Commit::parse(side.commit));
    const Repository& repository = parts_.os_store->repository();
    const std::optional<Commit> whole = HC_TRY(repository.part_of(commit));
    return whole && sequence_of(repository, *whole) > os_.sequence;
  }

  Result<std::optional<Transaction>> deploy(const Parcel& parcel, const Side& from, Slot to) {
    const Target& target = parcel.metadata.target;
    if (HC_TRY(parts_.same_content(from.commit, parcel.payload.commit()))) return std::optional<Transaction>();
    const Request request{target, parcel.metadata.config_version.text(), "", true};
    Transaction t =
        HC_TRY(begin_transaction(parts_, TransactionKind::deploy, request, from,
                                 Side{to, parcel.payload.commit().hex(), parcel.metadata.config_version.text(), 0}));
    auto* own = HC_TRY(parts_.target(target));
    const std::optional<SlotContent> replaced = HC_TRY(own->slots->content(to));
    if (replaced) t.replaced = replaced->id;
    t.notes.push_back("brought by os " + os_.version + ", which runs");
    return std::optional(std::move(t));
  }

  Result<std::optional<Transaction>> rollback(const Target& target, const Side& from, const Side& to) {
    const Request request{target, to.version, "", false};
    Transaction t = HC_TRY(begin_transaction(parts_, TransactionKind::rollback, request, from, to));
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
  return t;
}

}  // namespace

Status tidy_up(NodeParts& parts, const Listener& listener) {
  for (const Target& target : HC_TRY(parts.targets())) {
    Machine machine = HC_TRY(parts.machine(target, listener));
    Transaction none;
    none.target = target;
    for (const std::string& path : HC_TRY(tidy(machine, none))) log(Level::warning, "clean-up pending: " + path);
  }
  return ok;
}

Result<std::vector<Report>> repair_degraded(NodeParts& parts, bool now, const Listener& listener,
                                            const StopToken& stop) {
  std::vector<Report> reports;
  DegradedList degraded(parts.records);
  for (const Degraded& entry : HC_TRY(degraded.all())) {
    if (stop.requested()) break;
    if (!now && !entry.due(parts.clock.wall_seconds())) continue;
    const std::optional<Slot> current = HC_TRY(parts.in_use(entry.target));
    if (!HC_TRY(parts.fitted(entry.target))) continue;
    if (!current) {
      std::optional<Transaction> first = HC_TRY(first_version(parts, entry));
      if (!first) {
        HC_TRY(degraded.remove(entry.target));
        continue;
      }
      reports.push_back(HC_TRY(run_transaction(parts, std::move(*first), listener, stop)));
      continue;
    }
    const Side side = HC_TRY(parts.side(entry.target, *current));
    Transaction t = HC_TRY(
        begin_transaction(parts, TransactionKind::repair, Request{entry.target, side.version, "", false}, side, side));
    t.notes.push_back("degraded since transaction " + std::to_string(entry.transaction) + ": " + entry.why);
    reports.push_back(HC_TRY(run_transaction(parts, std::move(t), listener, stop)));
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
