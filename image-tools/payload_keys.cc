#include <unistd.h>

#include "engine/base/text.h"
#include "engine/payload/manifest.h"
#include "engine/payload/signature.h"
#include "image-tools/payload_shipping.h"

// keygen and sign.
namespace hc {
namespace {

bool is_target_pattern(const std::string& text) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789-_.*";
  return !text.empty() && text.size() <= 64 && text.find_first_not_of(kAllowed) == std::string::npos;
}

Status check_patterns(const std::vector<std::string>& targets) {
  for (const std::string& target : targets)
    if (!is_target_pattern(target))
      return Error(Code::invalid, quote(target) + " is no pattern for targets")
          .with_hint("write names such as os or ptz-*, with commas between them");
  return ok;
}

Status check_absent(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(path, error))) return ok;
  return Error(Code::invalid, path.string() + " exists already and is never overwritten")
      .with_hint("choose another name, or move the old key away");
}

std::string joined(const std::vector<Signer>& keys) {
  std::string text;
  for (const Signer& key : keys) text += (text.empty() ? "" : ", ") + key.name;
  return text;
}

}  // namespace

Result<Report> keygen(const KeygenArgs& args) {
  HC_TRY(check_patterns(args.targets));
  const fs::path private_file = args.name + ".key";
  const fs::path public_file = args.name + ".pub";
  HC_TRY(check_absent(public_file));
  const PrivateKey key = HC_TRY(PrivateKey::generate());
  HC_TRY(key.save(private_file));
  const PublicKey public_key{key.public_raw(), args.targets};
  if (Status written = write_atomically(public_file, public_key.to_text()); !written) {
    ::unlink(private_file.c_str());
    return std::move(written).error();
  }
  Report report;
  report.json = {{"private", private_file.string()}, {"public", public_file.string()}, {"targets", args.targets}};
  report.text = "private key  " + private_file.string() + "  (keep it secret, and keep a copy)\n" + "public key   " +
                public_file.string() + "  (put it into /etc/honeycomb/trust.d on the nodes)\n";
  return report;
}

Result<Report> public_key(const PublicKeyArgs& args) {
  HC_TRY(check_patterns(args.targets));
  const fs::path file = args.name + ".pub";
  HC_TRY(check_absent(file));
  const std::string text = HC_TRY(read_file(args.pem, 64 << 10));
  PublicKey key = HC_TRY(PublicKey::from_pem(text).in(args.pem.string()));
  key.targets = args.targets;
  HC_TRY(write_atomically(file, key.to_text()));
  Report report;
  report.json = {{"public", file.string()}, {"targets", args.targets}};
  report.text = "public key   " + file.string() + "  (put it into /etc/honeycomb/trust.d on the nodes)\n";
  return report;
}

Status sign_commit(Repository& repository, const Commit& commit, const std::vector<Signer>& signers) {
  const CommitObject object = HC_TRY(repository.commit_object(commit));
  std::string detached = object.detached;
  for (const Signer& signer : signers) {
    const std::string signature = HC_TRY(signer.sign(object.bytes));
    detached = HC_TRY(append_signature(detached, signature));
  }
  if (detached != object.detached) HC_TRY(repository.set_detached(commit, detached));

  // What a node will see, not what we meant to write.
  const CommitObject stored = HC_TRY(repository.commit_object(commit));
  const std::vector<std::string> signatures = HC_TRY(read_signatures(stored.detached));
  for (const Signer& signer : signers) {
    bool good = false;
    for (const std::string& signature : signatures)
      good = good || signature_is_good(signer.public_raw, stored.bytes, signature);
    if (!good)
      return Error(Code::internal, "the signature by " + signer.name + " is not beside commit " + commit.brief());
  }
  return ok;
}

Result<Commit> resolve(const Repository& repository, const std::string& what) {
  if (Commit::looks_like(what)) {
    const Commit id = HC_TRY(Commit::parse(what));
    if (HC_TRY(repository.has_commit(id))) return id;
    return Error(Code::invalid, "there is no commit " + id.brief() + " in this repository");
  }
  const std::optional<Commit> commit = HC_TRY(repository.ref(what));
  if (commit) return *commit;
  constexpr std::size_t kMostNames = 10;
  std::string names;
  const auto refs = HC_TRY(repository.refs());
  for (std::size_t i = 0; i < refs.size() && i < kMostNames; ++i) names += (i == 0 ? "" : ", ") + refs[i].first;
  if (refs.size() > kMostNames) names += ", ...";
  return Error(Code::invalid, "there is no ref " + quote(what) + " in this repository")
      .with_hint(names.empty() ? "it has no refs at all" : "it has: " + names);
}

Result<Report> sign(const SignArgs& args) {
  const std::vector<Signer> signers = HC_TRY(load_signers(args.signers));
  Repository repository = HC_TRY(Repository::open(args.repo));
  const Commit commit = HC_TRY(resolve(repository, args.what));
  const CommitObject object = HC_TRY(repository.commit_object(commit));
  const Manifest manifest = HC_TRY(read_manifest(object.bytes).in("commit " + commit.brief()));
  HC_TRY(sign_commit(repository, commit, signers));
  Report report;
  report.json = {{"commit", commit.hex()},
                 {"target", manifest.target.name()},
                 {"version", manifest.version.text()},
                 {"signed_by", Json::array()}};
  for (const Signer& key : signers) report.json["signed_by"].push_back(key.name);
  report.text = manifest.target.name() + " " + manifest.version.text() + " (commit " + commit.brief() +
                ") is signed by " + joined(signers) + "\n";
  return report;
}

}  // namespace hc
