#include <ctime>

#include "engine/base/text.h"
#include "engine/payload/trust.h"
#include "image-tools/payload_shipping.h"
#include "image-tools/provenance.h"
#include "image-tools/release.h"
#include "image-tools/verified.h"

namespace hc {
namespace {

Keyring keyring_of(const std::vector<NamedPublicKey>& keys) {
  Keyring keyring;
  for (const NamedPublicKey& key : keys) keyring.keys.push_back({key.name, key.key.raw, key.key.targets, {}});
  return keyring;
}

// A node that lacks nothing that the payload asks for.
TrustFacts willing_node(const Manifest& manifest) {
  TrustFacts facts;
  facts.now = std::time(nullptr);
  if (!manifest.compatible.empty()) facts.model = manifest.compatible.front();
  facts.versions = manifest.requires_versions;
  return facts;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

Status verify_provenance(const VerifyArgs& args, const Keyring& keyring, const Commit& commit, Report& report) {
  const std::optional<std::string> text = HC_TRY(read_file_if_exists(provenance_path(args.repo, commit)));
  if (!text) return ok;
  const std::vector<std::string> names = HC_TRY(check_provenance(*text, commit, keyring).in("the provenance"));
  report.json["provenance_signed_by"] = names;
  report.text += "provenance  signed by " + listed(names) + "\n";
  return ok;
}

}  // namespace

Result<Verdict> verify_release(const CommitObject& object, const std::vector<NamedPublicKey>& keys) {
  const Commit commit = commit_of(object.bytes);
  const Manifest manifest = HC_TRY(read_manifest(object.bytes).in("commit " + commit.brief()));
  return TrustPolicy(keyring_of(keys), willing_node(manifest)).verify(commit, object.bytes, object.detached);
}

Result<Report> verify(const VerifyArgs& args, const Work& work) {
  const Keyring keyring =
      args.keyring.empty() ? keyring_of(HC_TRY(load_public_keys(args.keys))) : HC_TRY(Keyring::load({args.keyring}));
  const Repository repository = HC_TRY(Repository::open(args.repo));
  const Commit commit = HC_TRY(resolve(repository, args.what));
  const CommitObject object = HC_TRY(repository.commit_object(commit));
  const Manifest manifest = HC_TRY(read_manifest(object.bytes).in("commit " + commit.brief()));
  TrustFacts facts = willing_node(manifest);
  if (!args.model.empty()) facts.model = args.model;
  facts.thresholds["*"] = args.threshold;
  const Verdict verdict = HC_TRY(TrustPolicy(keyring, std::move(facts)).verify(commit, object.bytes, object.detached));
  HC_TRY(repository.fsck(commit, work.progress, work.stop));
  Report report;
  report.json = {{"commit", commit.hex()},
                 {"target", manifest.target.name()},
                 {"version", manifest.version.text()},
                 {"signers", verdict.signers},
                 {"warnings", verdict.warnings}};
  report.text = version_ref(manifest) + " (commit " + commit.brief() + ") is good: signed by " +
                listed(verdict.signers) + ", every object is whole\n";
  for (const std::string& warning : verdict.warnings) report.text += "warning: " + printable(warning) + "\n";
  HC_TRY(verify_provenance(args, keyring, commit, report));
  return report;
}

}  // namespace hc
