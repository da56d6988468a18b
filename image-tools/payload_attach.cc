#include "engine/archive/work_place.h"
#include "engine/base/text.h"
#include "engine/payload/archive_signature.h"
#include "engine/payload/manifest.h"
#include "engine/payload/signature.h"
#include "image-tools/payload_shipping.h"
#include "image-tools/release.h"

// export, attach and sign-archive: keys that are elsewhere, and archives that keep their form.
namespace hc {
namespace {

bool may_sign(const PublicKey& key, const Target& target) {
  for (const std::string& glob : key.targets)
    if (glob_match(glob, target.name())) return true;
  return false;
}

// The name of the key that made `signature`.
Result<std::string> signer_of(const std::string& signature, const std::vector<NamedPublicKey>& keys,
                              const CommitObject& object, const Manifest& manifest) {
  std::string names;
  for (const NamedPublicKey& key : keys) {
    names += (names.empty() ? "" : ", ") + key.name;
    if (!signature_is_good(key.key.raw, object.bytes, signature)) continue;
    if (may_sign(key.key, manifest.target)) return key.name;
    return Error(Code::untrusted, "the key " + key.name + " may not sign for " + manifest.target.name());
  }
  return Error(Code::untrusted, "the signature is of none of the given keys (" + names + ") over commit " +
                                    commit_of(object.bytes).brief())
      .with_hint(
          "sign the very bytes that `hc-payload export --commit FILE` writes, with "
          "`openssl pkeyutl -sign -rawin`, and give the public half of that key");
}

Status write_archive_signature(const CommitObject& object, const fs::path& path) {
  const std::string text = HC_TRY(archive_signature_text({object.bytes, object.detached}));
  return write_atomically(path, text);
}

}  // namespace

Result<Report> export_commit(const ExportArgs& args) {
  const Repository repository = HC_TRY(Repository::open(args.repo));
  const Commit commit = HC_TRY(resolve(repository, args.what));
  const CommitObject object = HC_TRY(repository.commit_object(commit));
  const Manifest manifest = HC_TRY(read_manifest(object.bytes).in("commit " + commit.brief()));
  Report report;
  report.json = {{"commit", commit.hex()}, {"target", manifest.target.name()}, {"version", manifest.version.text()}};
  if (!args.commit_file.empty()) {
    HC_TRY(write_atomically(args.commit_file, object.bytes));
    report.json["commit_file"] = args.commit_file.string();
    report.text += args.commit_file.string() + ": the " + std::to_string(object.bytes.size()) + " bytes to sign of " +
                   version_ref(manifest) + ", commit " + commit.hex() + "\n";
  }
  if (!args.archive_signature.empty()) {
    HC_TRY(write_archive_signature(object, args.archive_signature).in(version_ref(manifest)));
    report.json["archive_signature"] = args.archive_signature.string();
    report.text += args.archive_signature.string() + ": goes beside the archive of " + version_ref(manifest) + "\n";
  }
  return report;
}

Result<Report> attach(const AttachArgs& args) {
  const std::vector<NamedPublicKey> keys = HC_TRY(load_public_keys(args.keys));
  Repository repository = HC_TRY(Repository::open(args.repo));
  const FileLock lock = HC_TRY(lock_repository(args.repo));
  const Commit commit = HC_TRY(resolve(repository, args.what));
  const CommitObject object = HC_TRY(repository.commit_object(commit));
  const Manifest manifest = HC_TRY(read_manifest(object.bytes).in("commit " + commit.brief()));
  HC_TRY(check_branch(manifest, args.branch));
  const std::optional<Commit> existing = HC_TRY(repository.ref(version_ref(manifest)));
  if (!existing) HC_TRY(check_sequence(repository, manifest));
  HC_TRY(check_same(repository, manifest, commit));

  std::string detached = object.detached;
  Json signers = Json::array();
  std::string names;
  for (const std::string& path : args.signatures) {
    const std::string signature = HC_TRY(load_signature(path));
    const std::string name = HC_TRY(signer_of(signature, keys, object, manifest).in(path));
    detached = HC_TRY(append_signature(detached, signature));
    signers.push_back(name);
    names += (names.empty() ? "" : ", ") + name;
  }
  if (detached != object.detached) HC_TRY(repository.set_detached(commit, detached));
  const std::vector<std::string> refs = HC_TRY(point_refs(repository, manifest, commit, args.branch));
  Report report;
  report.json = {{"commit", commit.hex()},
                 {"target", manifest.target.name()},
                 {"version", manifest.version.text()},
                 {"signed_by", signers},
                 {"refs", refs}};
  report.text = version_ref(manifest) + " (commit " + commit.brief() + ") is signed by " + names + "\n";
  return report;
}

Result<Report> sign_archive(const SignArchiveArgs& args, const Work& work) {
  const WorkPlace place = HC_TRY(WorkPlace::beside(args.import.archive));
  ImportArgs import = args.import;
  import.build.repo = place.path() / "repo";
  Report report = HC_TRY(import_archive(import, work));
  const fs::path out = args.out.empty() ? fs::path(args.import.archive.string() + ".sig") : args.out;
  const Repository repository = HC_TRY(Repository::open(import.build.repo));
  const Commit commit = HC_TRY(Commit::parse(report.json["commit"].get<std::string>()));
  const CommitObject object = HC_TRY(repository.commit_object(commit));
  HC_TRY(write_archive_signature(object, out));
  report.json.erase("refs");
  report.json["archive_signature"] = out.string();
  report.text = report.json["target"].get<std::string>() + " " + report.json["version"].get<std::string>() +
                ", commit " + commit.hex() + "\nsigned  by " + report.json["signed_by"].dump() + "\nwritten " +
                out.string() + "\n";
  return report;
}

}  // namespace hc
