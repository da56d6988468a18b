#include <algorithm>
#include <ctime>
#include <set>

#include "engine/base/text.h"
#include "engine/payload/signature.h"
#include "image-tools/payload_delta.h"
#include "image-tools/payload_shipping.h"
#include "image-tools/provenance.h"
#include "image-tools/release.h"
#include "image-tools/verified.h"

// publish, promote and prune: what becomes of payloads after they are built.
namespace hc {
namespace {

// One payload on its way.
struct Release {
  CommitObject object;
  Verdict verdict;
};

Result<std::vector<Release>> verified_releases(const PublishArgs& args, const std::vector<NamedPublicKey>& keys) {
  const Repository from = HC_TRY(Repository::open(args.from));
  std::vector<Release> releases;
  for (const std::string& what : args.what) {
    const Commit commit = HC_TRY(resolve(from, what));
    CommitObject object = HC_TRY(from.commit_object(commit));
    Verdict verdict = HC_TRY(verify_release(object, keys).in(what));
    HC_TRY(check_branch(verdict.manifest, args.branch));
    releases.push_back({std::move(object), std::move(verdict)});
  }
  // So that a new version never makes an older one of the same call look like a step back.
  std::sort(releases.begin(), releases.end(), [](const Release& one, const Release& two) {
    return one.verdict.manifest.sequence < two.verdict.manifest.sequence;
  });
  return releases;
}

// The signatures of both sides.
Result<std::string> merged(const std::string& here, const std::string& coming) {
  std::string detached = here;
  for (const std::string& signature : HC_TRY(read_signatures(coming)))
    detached = HC_TRY(append_signature(detached, signature));
  return detached;
}

Status bring(Repository& to, const PublishArgs& args, Release& release, const Work& work) {
  const Commit& commit = release.verdict.payload.commit();
  if (HC_TRY(to.has_commit(commit))) {
    const CommitObject here = HC_TRY(to.commit_object(commit));
    release.object.detached = HC_TRY(merged(here.detached, release.object.detached));
  }
  HC_TRY(to.put_commit(release.verdict.payload, release.object));
  HC_TRY(to.pull(fs::absolute(args.from).string(), release.verdict.payload, {}, work.progress, work.stop));
  const auto statement = HC_TRY(read_file_if_exists(provenance_path(args.from, commit)));
  if (!statement) return ok;
  const fs::path path = provenance_path(args.to, commit);
  HC_TRY(make_dirs(path.parent_path()));
  return write_atomically(path, *statement);
}

struct Kept {
  std::string ref;
  Commit commit;
  Manifest manifest;
};

// The refs of `repository` that stand for releases: versions, by target and from new to old, and the commits that
// anything else stands at.
struct Inventory {
  std::map<std::string, std::vector<Kept>> versions;
  std::set<Commit> held;
};
Result<Inventory> inventory_of(const Repository& repository) {
  Inventory inventory;
  for (const auto& [ref, commit] : HC_TRY(repository.refs())) {
    const auto object = repository.commit_object(commit);
    const auto manifest = object ? read_manifest(object->bytes) : Result<Manifest>(object.error());
    if (manifest && ref == version_ref(*manifest)) {
      inventory.versions[manifest->target.name()].push_back({ref, commit, *manifest});
    } else {
      inventory.held.insert(commit);
    }
  }
  for (auto& [target, versions] : inventory.versions)
    std::sort(versions.begin(), versions.end(),
              [](const Kept& one, const Kept& two) { return one.manifest.sequence > two.manifest.sequence; });
  return inventory;
}

// From the versions just before each release. REQUIRES: all of them are complete in the repository.
Status make_deltas(const Repository& to, const PublishArgs& args, const std::vector<Release>& releases,
                   const Work& work) {
  if (args.deltas == 0) return ok;
  Inventory inventory = HC_TRY(inventory_of(to));
  for (const Release& release : releases) {
    const Manifest& manifest = release.verdict.manifest;
    const Commit& commit = release.verdict.payload.commit();
    std::vector<Kept>& versions = inventory.versions[manifest.target.name()];
    std::uint64_t made = 0;
    for (const Kept& before : versions) {
      if (before.manifest.sequence >= manifest.sequence || made == args.deltas) continue;
      ++made;
      if (has_delta(args.to, before.commit, commit)) continue;
      auto made_one = delta({args.to, before.commit.hex(), commit.hex()}, work);
      if (!made_one)
        return std::move(made_one)
            .error()
            .in("the delta from " + before.ref)
            .with_hint("nodes see what they saw before; publish again, or without --deltas");
    }
    // What has no ref yet is newer than all that have one.
    const bool known =
        std::any_of(versions.begin(), versions.end(), [&](const Kept& one) { return one.commit == commit; });
    if (!known) versions.insert(versions.begin(), {version_ref(manifest), commit, manifest});
  }
  return ok;
}

std::vector<Kept> surplus(const Inventory& inventory, const PruneArgs& args) {
  constexpr std::int64_t kDay = 86'400;
  const std::int64_t since = std::time(nullptr) - static_cast<std::int64_t>(args.younger_than) * kDay;
  std::vector<Kept> gone;
  for (const auto& [target, versions] : inventory.versions) {
    for (std::size_t i = std::max<std::size_t>(args.keep, 1); i < versions.size(); ++i) {
      const bool young = args.younger_than > 0 && versions[i].manifest.built_at > since;
      if (!young && !inventory.held.contains(versions[i].commit)) gone.push_back(versions[i]);
    }
  }
  return gone;
}

}  // namespace

Result<Report> publish(const PublishArgs& args, const Work& work) {
  const std::vector<NamedPublicKey> keys = HC_TRY(load_public_keys(args.keys));
  std::vector<Release> releases = HC_TRY(verified_releases(args, keys));
  Repository to = HC_TRY(Repository::create(args.to, "archive"));
  const FileLock lock = HC_TRY(lock_repository(args.to));
  for (const Release& release : releases) {
    const Manifest& manifest = release.verdict.manifest;
    const std::optional<Commit> existing = HC_TRY(to.ref(version_ref(manifest)));
    if (!existing) HC_TRY(check_sequence(to, manifest));
    HC_TRY(check_same(to, manifest, release.verdict.payload.commit()));
  }
  for (Release& release : releases) HC_TRY(bring(to, args, release, work));
  HC_TRY(make_deltas(to, args, releases, work));

  Report report;
  report.json["published"] = Json::array();
  for (const Release& release : releases) {
    const Commit& commit = release.verdict.payload.commit();
    const std::vector<std::string> refs = HC_TRY(point_refs(to, release.verdict.manifest, commit, args.branch));
    Json entry;
    entry["commit"] = commit.hex();
    entry["refs"] = refs;
    entry["signers"] = release.verdict.signers;
    report.json["published"].push_back(std::move(entry));
    for (const std::string& ref : refs) report.text += ref + " is commit " + commit.hex() + "\n";
  }
  return report;
}

Result<Report> promote(const PromoteArgs& args) {
  const std::vector<Signer> signers = HC_TRY(load_signers(args.signers));
  Repository repository = HC_TRY(Repository::open(args.repo));
  const FileLock lock = HC_TRY(lock_repository(args.repo));
  const Commit commit = HC_TRY(resolve(repository, args.what));
  const CommitObject object = HC_TRY(repository.commit_object(commit));
  const Manifest manifest = HC_TRY(read_manifest(object.bytes).in("commit " + commit.brief()));
  HC_TRY(check_branch(manifest, args.branch));
  if (HC_TRY(repository.ref(version_ref(manifest))) != commit)
    return Error(Code::invalid,
                 version_ref(manifest) + " is not released in this repository: only releases are promoted")
        .with_hint("sign it first: `hc-payload attach`, or publish it here: `hc-payload publish`");
  const std::string ref = manifest.target.name() + "/" + args.branch;
  const std::optional<Commit> before = HC_TRY(repository.ref(ref));
  if (before) {
    const CommitObject old = HC_TRY(repository.commit_object(*before));
    const Manifest at = HC_TRY(read_manifest(old.bytes).in(ref));
    if (at.sequence > manifest.sequence)
      return Error(Code::invalid, ref + " is at " + at.version.text() + ", sequence " + std::to_string(at.sequence) +
                                      ", which is newer: nodes would refuse the step back")
          .with_hint("build the old content again with a larger sequence, as a new version");
  }
  HC_TRY(sign_commit(repository, commit, signers));
  HC_TRY(repository.set_ref(ref, commit));
  HC_TRY(repository.update_summary());
  Report report;
  report.json = {{"commit", commit.hex()}, {"ref", ref}, {"version", manifest.version.text()}};
  report.text = ref + " is " + manifest.version.text() + " now, commit " + commit.hex() + "\n";
  return report;
}

Result<Report> prune(const PruneArgs& args) {
  Repository repository = HC_TRY(Repository::open(args.repo));
  const FileLock lock = HC_TRY(lock_repository(args.repo));
  const Inventory inventory = HC_TRY(inventory_of(repository));
  const std::vector<Kept> gone = surplus(inventory, args);
  Report report;
  report.json["removed"] = Json::array();
  for (const Kept& release : gone) {
    report.json["removed"].push_back(release.ref);
    report.text += (args.plan ? "would go: " : "removed: ") + release.ref + "\n";
    if (!args.plan) HC_TRY(repository.set_ref(release.ref, std::nullopt));
  }
  if (args.plan) return report;
  // Nobody is to be sent to what goes next.
  HC_TRY(repository.update_summary());
  const std::uint64_t freed = HC_TRY(repository.prune());
  for (const Kept& release : gone) {
    std::error_code error;
    // These mean nothing without their commit.
    fs::remove(provenance_path(args.repo, release.commit), error);
    fs::remove_all(delta_folder(args.repo, release.commit), error);
  }
  report.json["freed_bytes"] = freed;
  report.text += human_bytes(freed) + " freed\n";
  return report;
}

}  // namespace hc
