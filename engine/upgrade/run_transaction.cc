#include "engine/upgrade/run_transaction.h"

#include "engine/base/log.h"
#include "engine/upgrade/events.h"

namespace hc {

Result<Transaction> new_transaction(NodeParts& parts, TransactionKind kind, const Request& request, Side from,
                                    Side to) {
  Transaction t;
  t.kind = kind;
  t.target = request.target;
  t.requested = request.what;
  t.requested_by = request.by;
  t.requested_at = parts.clock.wall_seconds();
  t.again = request.again;
  t.from = std::move(from);
  t.to = std::move(to);
  if (kind == TransactionKind::deploy) {
    NodeParts::TargetParts* own = HC_TRY(parts.target(request.target));
    const std::optional<SlotContent> replaced = HC_TRY(own->slots->content(*t.to.slot));
    if (replaced) t.replaced = replaced->id;
  }
  t.step = std::string(first_step(kind, request.target));
  t.boot_id = parts.node.boot_id;
  return t;
}

Result<Transaction> begin_transaction(NodeParts& parts, TransactionKind kind, const Request& request, Side from,
                                      Side to) {
  Transaction t = HC_TRY(new_transaction(parts, kind, request, std::move(from), std::move(to)));
  t.id = HC_TRY(History(parts.records).next_id(std::nullopt));
  event(kBegun, t.label() + ": " + std::string(name(kind)) + " " + t.target.name() + " " + request.what,
        {{"HC_TXN", std::to_string(t.id)}, {"HC_TARGET", t.target.name()}, {"HC_COMMIT", t.to.commit}});
  return t;
}

Result<Report> run_transaction(NodeParts& parts, Transaction t, const Listener& listener, const StopToken& stop) {
  Machine machine = HC_TRY(parts.machine(t.target, listener));
  const Ended ended = HC_TRY(advance(t, machine, stop));
  HC_TRY(remove_tree(parts.node.state / "work"));
  return Report{std::move(t), ended};
}

bool waits_for_reboot(const Transaction& t, const Node& node) {
  if (!t.restarts() || t.direction == Direction::done) return false;
  if (t.direction == Direction::forward) return t.step == "reboot" && t.boot_id == node.boot_id;
  return t.target.is_os() && t.step == "switch" && t.entries > 0 && node.booted == t.to.slot &&
         t.from.slot != t.to.slot;
}

}  // namespace hc
