#include "image-tools/release.h"

#include "engine/base/text.h"

namespace hc {
namespace {

// The newest other release of the target in `repository`.
struct Newest {
  std::uint64_t sequence = 0;
  std::string ref;
};
Result<Newest> newest_release(const Repository& repository, const Manifest& release) {
  Newest newest;
  for (const auto& [name, commit] : HC_TRY(repository.refs(release.target.name() + "/"))) {
    if (name == version_ref(release)) continue;
    const auto object = repository.commit_object(commit);
    const auto manifest = object ? read_manifest(object->bytes) : Result<Manifest>(object.error());
    // A ref of something else must not keep releases from being made.
    if (!manifest || manifest->target != release.target || manifest->version == release.version) continue;
    if (newest.ref.empty() || manifest->sequence > newest.sequence) newest = {manifest->sequence, name};
  }
  return newest;
}

}  // namespace

std::string version_ref(const Manifest& manifest) { return manifest.target.name() + "/" + manifest.version.text(); }

std::string unsigned_ref(const Manifest& manifest) { return "unsigned/" + version_ref(manifest); }

Result<FileLock> lock_repository(const fs::path& repo) { return FileLock::take(repo / ".hc-payload.lock"); }

Status check_branch(const Manifest& manifest, const std::string& branch) {
  HC_TRY(Version::parse(branch).in("--branch"));
  if (branch != manifest.version.text()) return ok;
  return Error(Code::invalid,
               "--branch and --version are the same, " + quote(branch) + ": each is the name of a ref of its own");
}

Status check_sequence(const Repository& repository, const Manifest& manifest) {
  const Newest newest = HC_TRY(newest_release(repository, manifest));
  if (newest.ref.empty() || manifest.sequence > newest.sequence) return ok;
  return Error(Code::invalid, "--sequence " + std::to_string(manifest.sequence) + " is not larger than " +
                                  std::to_string(newest.sequence) + ", which " + newest.ref +
                                  " has: nodes would refuse it as a downgrade")
      .with_hint("give it --sequence " + std::to_string(newest.sequence + 1));
}

Status check_same(const Repository& repository, const Manifest& manifest, const Commit& commit) {
  const std::optional<Commit> existing = HC_TRY(repository.ref(version_ref(manifest)));
  if (!existing || *existing == commit) return ok;
  return Error(Code::invalid, "version " + version_ref(manifest) +
                                  " is in the repository already, with other content (" + existing->brief() + ")")
      .with_hint("a version never changes: choose a new --version and --sequence, or delete the ref first");
}

Result<std::vector<std::string>> point_refs(Repository& repository, const Manifest& manifest, const Commit& commit,
                                            const std::string& branch) {
  const Newest newest = HC_TRY(newest_release(repository, manifest));
  std::vector<std::string> refs = {version_ref(manifest)};
  HC_TRY(repository.set_ref(refs.front(), commit));
  if (newest.ref.empty() || manifest.sequence > newest.sequence) {
    refs.push_back(manifest.target.name() + "/" + branch);
    HC_TRY(repository.set_ref(refs.back(), commit));
  }
  const std::optional<Commit> waiting = HC_TRY(repository.ref(unsigned_ref(manifest)));
  if (waiting) HC_TRY(repository.set_ref(unsigned_ref(manifest), std::nullopt));
  HC_TRY(repository.update_summary());
  return refs;
}

}  // namespace hc
