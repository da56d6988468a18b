#include "engine/upgrade/source_fetch.h"

#include "engine/base/log.h"
#include "engine/base/text.h"
#include "engine/payload/manifest.h"
#include "engine/upgrade/signed_archive.h"

namespace hc {
namespace {

bool is_bundle(const std::string& url) { return url.starts_with(kBundleScheme); }
bool is_archive(const std::string& url) { return url.starts_with(kArchiveScheme); }

Result<SignedArchive> archive_of(const std::string& url, const Commit& commit) {
  SignedArchive archive = HC_TRY(SignedArchive::open(url.substr(kArchiveScheme.size())));
  if (archive.commit == commit) return archive;
  return Error(Code::invalid, "the archive " + printable(archive.archive.string()) + " is signed as commit " +
                                  archive.commit.brief() + " now, not " + commit.brief());
}

bool is_http(const std::string& url) { return url.starts_with("http://") || url.starts_with("https://"); }

}  // namespace

bool names_payload_file(std::string_view what) {
  return what.ends_with(".hcb") || what.ends_with(".tar.gz") || what.ends_with(".tgz");
}

Result<Found> ShortWays::find_file(const fs::path& path) const {
  const fs::path place = fs::absolute(path).lexically_normal();
  if (place.extension() != ".hcb") {
    const SignedArchive archive = HC_TRY(SignedArchive::open(place));
    return Found{archive.commit, std::string(kArchiveScheme) + place.string(), "the archive " + place.string(),
                 archive.manifest.target};
  }
  const Delta bundle = HC_TRY(DeltaSource(repository, limits).open_bundle(place));
  const Manifest manifest = HC_TRY(read_manifest(bundle.head.commit).in("the bundle " + place.string()));
  return Found{bundle.to, std::string(kBundleScheme) + place.string(), "the bundle " + place.string(), manifest.target};
}

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
  if (is_archive(url)) {
    SignedArchive archive = HC_TRY(archive_of(url, commit));
    return std::optional(std::move(archive.object));
  }
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
  if (is_archive(url)) return unpack(url, payload, progress, stop);
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

Result<bool> ShortWays::unpack(const std::string& url, const VerifiedPayload& payload, const ProgressFn& progress,
                               const StopToken& stop) const {
  const SignedArchive archive = HC_TRY(archive_of(url, payload.commit()));
  // What a power cut left there is of no use.
  HC_TRY(remove_tree(scratch));
  HC_TRY(make_dirs(scratch));
  Status done = unpack_signed_archive(archive, scratch / "repo", stop);
  if (done) done = repository.pull((scratch / "repo").string(), payload, PullLimits(), progress, stop);
  HC_TRY(remove_tree(scratch));
  if (!done) return std::move(done).error();
  return true;
}

}  // namespace hc
