#include "engine/upgrade/parts.h"

namespace hc {

Result<bool> Upgrader::has_content(const Request& request, const StopToken& stop) {
  const Found found = HC_TRY(parts_->source->find(request.target, request.what, stop));
  return parts_->os_store->repository().is_complete(found.commit);
}

Status Upgrader::fetch_ahead(const Request& request, const ProgressFn& progress, const StopToken& stop) {
  const FileLock held = HC_TRY(parts_->lock());
  // The pending content of a transaction under way must stay what it is.
  if (const auto t = HC_TRY(read_journal(parts_->records)))
    return Error(Code::busy, t->label() + " is under way; nothing is fetched ahead meanwhile");
  const Found found = HC_TRY(parts_->source->find(request.target, request.what, stop));
  // The source asks for a transaction; this one is never journalled, so it cannot be taken for one that began.
  Transaction t;
  t.target = request.target;
  t.requested = request.what;
  t.requested_by = request.by;
  t.again = request.again;
  t.to.commit = found.commit.hex();
  t.url = found.url;
  const Verdict verdict = HC_TRY(parts_->source->verify(t, stop));
  return parts_->source->fetch(t, verdict.payload, progress, stop);
}

}  // namespace hc
