#include "engine/base/text.h"
#include "engine/upgrade/degraded.h"
#include "engine/upgrade/parts.h"
#include "engine/upgrade/run_hook.h"
#include "engine/upgrade/run_transaction.h"

// What only looks, and the small services around a transaction.
namespace hc {

namespace {

Result<TargetStatus> status_of(NodeParts& parts, const Target& target) {
  TargetStatus entry;
  entry.target = target;
  NodeParts::TargetParts* own = HC_TRY(parts.target(target));
  const std::optional<Slot> current = HC_TRY(parts.in_use(target));
  const std::optional<Slot> confirmed = HC_TRY(own->choice->confirmed());
  const std::optional<Slot> trial = HC_TRY(own->choice->trial());
  for (const Slot slot : {Slot::a, Slot::b}) {
    std::optional<SlotContent> content = HC_TRY(own->slots->content(slot));
    entry.slots.push_back({slot, std::move(content), current == slot, confirmed == slot, trial == slot});
  }
  const std::optional<Degraded> degraded = HC_TRY(DegradedList(parts.records).find(target));
  if (degraded) entry.problem = degraded->why;
  // A mistake in node.json is shown by whoever needs it; the status must always come.
  if (const auto fitted = parts.fitted(target)) entry.fitted = *fitted;
  if (target.is_os()) entry.tries_left = HC_TRY(parts.boot->state()).tries_left;
  return entry;
}

}  // namespace

Result<NodeStatus> Upgrader::status() {
  NodeStatus status;
  status.node = parts_->node;
  status.model = parts_->settings.model;
  for (const Target& target : HC_TRY(parts_->targets())) {
    auto entry = status_of(*parts_, target);
    if (!entry && target.is_os()) return std::move(entry).error();
    // One damaged peripheral must not hide the rest.
    if (!entry) entry = TargetStatus{target, {}, 0, entry.error().text(), true};
    status.targets.push_back(std::move(entry).value());
  }
  auto journal = read_journal(parts_->records);
  if (journal) status.transaction = std::move(journal).value();
  if (const auto& t = status.transaction) {
    status.waits_for_reboot = waits_for_reboot(*t, parts_->node);
  }
  std::vector<Transaction> ended = HC_TRY(history());
  if (!ended.empty()) status.last = std::move(ended.back());
  return status;
}

Result<std::vector<Transaction>> Upgrader::history() { return History(parts_->records).all(); }

Result<std::vector<std::pair<std::string, Commit>>> Upgrader::kept() {
  return parts_->os_store->repository().refs("honeycomb/");
}

Result<Verdict> Upgrader::verify(const Target& target, Slot slot, const ProgressFn& progress, const StopToken& stop) {
  NodeParts::TargetParts* parts = HC_TRY(parts_->target(target));
  const std::optional<SlotContent> content = HC_TRY(parts->slots->content(slot));
  if (!content) return Error(Code::invalid, "slot " + std::string(name(slot)) + " of " + target.name() + " is empty");
  const CommitObject object = HC_TRY(parts_->os_store->repository().commit_object(content->commit));
  Verdict verdict = HC_TRY(parts_->source->judge(target, content->commit, object));
  HC_TRY(parts->slots->check(slot, content->commit, progress, stop));
  return verdict;
}

namespace {

Result<VersionDiff::End> end_of(NodeParts& parts, const Target& target, const std::string& what,
                                const StopToken& stop) {
  const auto named = parse_slot(what);
  NodeParts::TargetParts* own = HC_TRY(parts.target(target));
  for (const Slot slot : {Slot::a, Slot::b}) {
    // Also by its version: the first one is in no history yet.
    const std::optional<SlotContent> content = HC_TRY(own->slots->content(slot));
    if (content && (named ? *named == slot : content->version == what))
      return VersionDiff::End{content->version, content->commit};
  }
  if (named) return Error(Code::invalid, "slot " + what + " of " + target.name() + " is empty");
  const Found found = HC_TRY(parts.source->find(target, what, stop));
  if (!found.url.empty()) {
    return Error(Code::unavailable, quote(what) + " is not on this node, only on " + found.where)
        .with_hint("deploy it first; a diff reads what is on this node");
  }
  return VersionDiff::End{parts.os_store->repository().version(found.commit), found.commit};
}

}  // namespace

Result<VersionDiff> Upgrader::diff(const Target& target, const std::string& from, const std::string& to,
                                   const StopToken& stop) {
  VersionDiff::End one = HC_TRY(end_of(*parts_, target, from, stop));
  VersionDiff::End two = HC_TRY(end_of(*parts_, target, to, stop));
  TreeDiff files = HC_TRY(parts_->os_store->repository().diff(one.commit, two.commit, stop));
  const CommitObject object = HC_TRY(parts_->os_store->repository().commit_object(two.commit));
  // What was cut out of an OS payload has no manifest of its own.
  const auto manifest = read_manifest(object.bytes);
  std::string changelog = manifest ? manifest->changelog : std::string();
  return VersionDiff{std::move(one), std::move(two), std::move(files), std::move(changelog)};
}

Status Upgrader::check_boot() {
  const FileLock held = HC_TRY(parts_->lock());
  return parts_->boot->check();
}

Result<HealthReport> Upgrader::health(const Listener& listener, const StopToken& stop) {
  return parts_->run_health(Transaction{}, listener, stop);
}

Status Upgrader::pin(const Target& target, const std::string& what, bool pinned, const StopToken& stop) {
  const FileLock held = HC_TRY(parts_->lock());
  const Found found = HC_TRY(parts_->source->find(target, what, stop));
  Repository& repository = parts_->os_store->repository();
  const std::string ref = "honeycomb/pinned/" + found.commit.hex();
  if (pinned && !found.url.empty()) {
    return Error(Code::invalid, quote(what) + " is not on this node, so there is nothing to keep")
        .with_hint("deploy it first; pins hold versions of the history");
  }
  return repository.set_ref(ref, pinned ? std::optional(found.commit) : std::nullopt);
}

Result<std::vector<DriftReport>> Upgrader::check_peripherals(const Listener& listener, const StopToken& stop) {
  const FileLock held = HC_TRY(parts_->lock());
  std::vector<DriftReport> reports;
  for (const Target& target : HC_TRY(parts_->targets())) {
    const std::optional<Slot> current = HC_TRY(parts_->in_use(target));
    if (target.is_os() || !current || stop.requested()) continue;
    const Side side = HC_TRY(parts_->side(target, *current));
    const bool fitted = HC_TRY(parts_->fitted(target));
    DriftReport report{target, side.version, fitted, std::nullopt};
    if (report.fitted) {
      Transaction look;
      look.target = target;
      look.from = side;
      look.to = side;
      Machine machine = HC_TRY(parts_->machine(target, listener));
      report.result = HC_TRY(run_hook(look, machine, {HookKind::verify, "check", side}, stop));
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

Result<std::uint64_t> Upgrader::collect_garbage() {
  const FileLock held = HC_TRY(parts_->lock());
  return parts_->source->collect_garbage();
}

}  // namespace hc
