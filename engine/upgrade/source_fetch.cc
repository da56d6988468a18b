#include "engine/upgrade/source_fetch.h"

#include "engine/base/log.h"

namespace hc {
namespace {

bool is_http(const std::string& url) { return url.starts_with("http://") || url.starts_with("https://"); }

}  // namespace

Result<std::optional<Delta>> ShortWays::delta_to(const std::string& url, const Commit& commit,
                                                 const StopToken& stop) const {
  if (!is_http(url)) return std::optional<Delta>();
  std::vector<Commit> from;
  for (const std::string& hex : bases) {
    auto base = Commit::parse(hex);
    if (base) from.push_back(std::move(base).value());
  }
  return DeltaSource(repository, limits).look(url, commit, from, stop);
}

Result<Delta> ShortWays::bundle_of(const std::string& url, const Commit& commit) const {
  Delta bundle = HC_TRY(DeltaSource(repository, limits).open_bundle(url.substr(kBundleScheme.size())));
  if (bundle.to == commit) return bundle;
  return Error(Code::invalid,
               "the bundle " + bundle.place + " holds commit " + bundle.to.brief() + " now, not " + commit.brief());
}

Result<std::optional<CommitObject>> ShortWays::object(const std::string& url, const Commit& commit,
                                                      const StopToken& stop) const {
  if (is_bundle(url)) {
    Delta bundle = HC_TRY(bundle_of(url, commit));
    return std::optional(CommitObject{std::move(bundle.head.commit), std::move(bundle.head.detached)});
  }
  std::optional<Delta> delta = HC_TRY(delta_to(url, commit, stop));
  if (!delta) return std::optional<CommitObject>();
  return std::optional(CommitObject{std::move(delta->head.commit), std::move(delta->head.detached)});
}

Result<bool> ShortWays::fetch(const std::string& url, const VerifiedPayload& payload, const ProgressFn& progress,
                              const StopToken& stop) const {
  const DeltaSource source(repository, limits);
  if (is_bundle(url)) {
    const Delta bundle = HC_TRY(bundle_of(url, payload.commit()));
    HC_TRY(source.take_bundle(bundle, payload, progress, stop));
    return true;
  }
  const std::optional<Delta> delta = HC_TRY(delta_to(url, payload.commit(), stop));
  if (!delta) return false;
  Result<bool> complete = source.fetch(*delta, payload, progress, stop);
  if (complete) return complete;
  const Code code = complete.error().code();
  // What the objects one by one would fail at too.
  if (code == Code::cancelled || code == Code::no_space || code == Code::unavailable) return complete;
  log(Level::warning, "the delta to commit " + payload.commit().brief() + " is of no use (" + complete.error().text() +
                          "); its objects are fetched one by one");
  return false;
}

}  // namespace hc
