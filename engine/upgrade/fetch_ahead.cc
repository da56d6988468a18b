#include "engine/upgrade/parts.h"

namespace hc {

Result<Held> Upgrader::held(const Request& request, const StopToken& stop) {
  const Found found = HC_TRY(parts_->source->find(request.target, request.what, stop));
  const std::optional<Slot> current = HC_TRY(parts_->in_use(found.target));
  if (current && HC_TRY(parts_->side(found.target, *current)).commit == found.commit.hex()) return Held::in_use;
  const bool complete = HC_TRY(parts_->os_store->repository().is_complete(found.commit));
  return complete ? Held::content : Held::no;
}

Status Upgrader::fetch_ahead(const Request& request, const ProgressFn& progress, const StopToken& stop) {
  const FileLock held = HC_TRY(parts_->lock());
  // The pending content of a transaction under way must stay what it is.
  if (const auto t = HC_TRY(read_journal(parts_->records)))
    return Error(Code::busy, t->label() + " is under way; nothing is fetched ahead meanwhile");
  const Found found = HC_TRY(parts_->source->find(request.target, request.what, stop));
  // The source asks for a transaction; this one is never journalled, so it cannot be taken for one that began.
  Transaction t;
  t.target = found.target;
  t.requested = request.what;
  t.requested_by = request.by;
  t.again = request.again;
  t.to.commit = found.commit.hex();
  t.url = found.url;
  const Verdict verdict = HC_TRY(parts_->source->verify(t, stop));
  return parts_->source->fetch(t, verdict.payload, progress, stop);
}

}  // namespace hc
