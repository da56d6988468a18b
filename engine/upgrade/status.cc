#include "engine/base/text.h"
#include "engine/upgrade/parts.h"

// What only looks, and the small services around a transaction.
namespace hc {

Result<NodeStatus> Upgrader::status() {
  NodeStatus status;
  status.node = parts_->node;
  status.model = parts_->settings.model;
  for (const Target& target : HC_TRY(parts_->targets())) {
    TargetStatus entry;
    entry.target = target;
    NodeParts::TargetParts* parts = HC_TRY(parts_->target(target));
    const std::optional<Slot> current = HC_TRY(parts_->in_use(target));
    const std::optional<Slot> confirmed = HC_TRY(parts->choice->confirmed());
    const std::optional<Slot> trial = HC_TRY(parts->choice->trial());
    for (const Slot slot : {Slot::a, Slot::b}) {
      entry.slots.push_back(
          {slot, HC_TRY(parts->slots->content(slot)), current == slot, confirmed == slot, trial == slot});
    }
    if (target.is_os()) entry.tries_left = HC_TRY(parts_->boot->state()).tries_left;
    status.targets.push_back(std::move(entry));
  }
  auto journal = read_journal(parts_->records);
  if (journal) status.transaction = std::move(journal).value();
  if (const auto& t = status.transaction) {
    status.waits_for_reboot = t->target.is_os() && t->step == "reboot" && t->boot_id == parts_->node.boot_id;
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

Result<HealthReport> Upgrader::health(const Listener& listener, const StopToken& stop) {
  return parts_->run_health(Transaction{}, listener, stop);
}

Status Upgrader::pin(const Target& target, const std::string& what, bool pinned, const StopToken& stop) {
  const FileLock held = HC_TRY(FileLock::take(parts_->node.state / "lock"));
  const Found found = HC_TRY(parts_->source->find(target, what, stop));
  Repository& repository = parts_->os_store->repository();
  const std::string ref = "honeycomb/pinned/" + found.commit.hex();
  if (pinned && !found.url.empty()) {
    return Error(Code::invalid, quote(what) + " is not on this node, so there is nothing to keep")
        .with_hint("deploy it first; pins hold versions of the history");
  }
  return repository.set_ref(ref, pinned ? std::optional(found.commit) : std::nullopt);
}

Result<std::uint64_t> Upgrader::collect_garbage() {
  HC_TRY(make_dirs(parts_->node.state));
  const FileLock held = HC_TRY(FileLock::take(parts_->node.state / "lock"));
  return parts_->source->collect_garbage();
}

}  // namespace hc
