#include "engine/base/terminal.h"
#include "engine/base/text.h"
#include "engine/payload/manifest.h"
#include "engine/payload/signature.h"
#include "engine/payload/trust.h"
#include "image-tools/archive_tree.h"
#include "image-tools/os_tree.h"
#include "image-tools/payload_verbs.h"
#include "image-tools/peripheral_tree.h"
#include "image-tools/scratch.h"

// check and show.
namespace hc {
namespace {

Findings peripheral_findings(const fs::path& tree, const StopToken& stop) {
  Findings findings = check_peripheral_tree(tree).findings;
  for (Finding& finding : lint_scripts(tree, stop)) findings.push_back(std::move(finding));
  return findings;
}

// A peripheral payload has metadata.json in its root, an OS has /usr.
Findings tree_findings(const fs::path& tree, const StopToken& stop) {
  std::error_code error;
  if (fs::exists(tree / "metadata.json", error)) return peripheral_findings(tree, stop);
  if (fs::exists(tree / "usr", error)) return check_os_tree(tree).findings;
  return {
      {Finding::Level::error, "", "is no payload's tree: neither metadata.json (peripheral) nor usr (OS) is there"}};
}

Result<Findings> findings_of_archive(const fs::path& archive, const Work& work) {
  const Scratch scratch = HC_TRY(Scratch::make());
  const fs::path tree = scratch.path() / "tree";
  ArchiveLimits limits;
  limits.allow_setuid = true;  // to be named among all that there is to say
  const auto contents = open_archive(archive, tree, limits, work.stop);
  if (!contents && contents.error().code() != Code::invalid) return contents.error();
  if (!contents) return Findings{{Finding::Level::error, "", contents.error().text()}};
  Findings findings = archive_findings(tree);
  for (Finding& finding : lint_scripts(tree, work.stop)) findings.push_back(std::move(finding));
  return findings;
}

Report report_of(const Findings& findings, const std::string& subject) {
  Report report;
  const std::size_t errors = count_errors(findings);
  report.json = {{"subject", subject}, {"ok", errors == 0}, {"findings", to_json(findings)}};
  report.text = to_text(findings) + printable(subject) + ": " +
                (errors == 0 ? "good" : std::to_string(errors) + (errors == 1 ? " error" : " errors")) + "\n";
  report.exit_status = errors == 0 ? 0 : exit_status(Code::invalid);
  return report;
}

// The finding that a failure is; one that says nothing about the payload (cancelled, out of space) stays a failure.
Status add_failure(Status status, const char* where, Findings& findings) {
  if (status) return ok;
  const Code code = status.error().code();
  if (code != Code::invalid && code != Code::untrusted && code != Code::io) return status;
  findings.push_back({Finding::Level::error, where, status.error().text()});
  return ok;
}

Result<Findings> commit_findings(const Repository& repository, const Commit& commit, const Work& work) {
  Findings findings;
  const CommitObject object = HC_TRY(repository.commit_object(commit));
  const auto manifest = read_manifest(object.bytes);
  if (!manifest) findings.push_back({Finding::Level::error, "commit", manifest.error().text()});
  const auto signatures = read_signatures(object.detached);
  if (!signatures) {
    findings.push_back({Finding::Level::error, "signatures", signatures.error().text()});
  } else if (signatures->empty()) {
    findings.push_back({Finding::Level::error, "signatures", "there are none: no node would accept it"});
  }
  HC_TRY(add_failure(repository.fsck(commit, work.progress, work.stop), "objects", findings));
  if (!manifest || count_errors(findings) > 0 || manifest->kind == PayloadKind::os) return findings;

  const Scratch scratch = HC_TRY(Scratch::make());
  HC_TRY(repository.checkout(commit, "/", scratch.path() / "tree"));
  for (Finding& finding : peripheral_findings(scratch.path() / "tree", work.stop))
    findings.push_back(std::move(finding));
  return findings;
}

std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ", ";
    text += printable(word);
  }
  return text.empty() ? "-" : text;
}

std::string manifest_text(const Manifest& manifest, const Commit& commit) {
  std::string text = "target      " + manifest.target.name() + "\nversion     " + manifest.version.text() +
                     "\nsequence    " + std::to_string(manifest.sequence) + "\nkind        " +
                     std::string(name(manifest.kind)) + "\ncommit      " + commit.hex() + "\nbuilt       " +
                     iso_time(manifest.built_at) + "\nexpires     " +
                     (manifest.expires ? iso_time(*manifest.expires) : "never") + "\ncompatible  " +
                     (manifest.compatible.empty() ? "every model" : listed(manifest.compatible)) + "\n";
  for (const auto& [target, version] : manifest.requires_versions)
    text.append("requires    ").append(target).append(" ").append(version).append(" or later\n");
  for (const auto& [target, version] : manifest.carries)
    text.append("brings      ").append(target).append(" ").append(version).append("\n");
  if (!manifest.changelog.empty()) text += "changelog\n" + printable(manifest.changelog) + "\n";
  return text;
}

Status show_signers(const ShowArgs& args, const Manifest& manifest, const CommitObject& object, Report& report) {
  const Keyring keyring = HC_TRY(Keyring::load({args.keyring}));
  const SignatureCheck check = HC_TRY(check_signatures(keyring, manifest.target, object.bytes, object.detached));
  report.json["signers"] = check.signers;
  report.json["not_allowed"] = check.not_allowed;
  report.json["revoked"] = check.revoked;
  report.json["warnings"] = keyring.warnings;
  report.text += "signed by   " + listed(check.signers) + "\n";
  if (!check.not_allowed.empty()) report.text += "not allowed " + listed(check.not_allowed) + "\n";
  if (!check.revoked.empty()) report.text += "revoked     " + listed(check.revoked) + "\n";
  for (const std::string& warning : keyring.warnings) report.text += "warning: " + printable(warning) + "\n";
  return ok;
}

}  // namespace

Result<Report> check(const CheckArgs& args, const Work& work) {
  if (args.what.empty()) {
    std::error_code error;
    if (fs::is_regular_file(args.path, error))
      return report_of(HC_TRY(findings_of_archive(args.path, work)), args.path.string());
    if (!fs::is_directory(args.path, error)) return Error(Code::invalid, args.path.string() + " is no directory");
    return report_of(tree_findings(args.path, work.stop), args.path.string());
  }
  const Repository repository = HC_TRY(Repository::open(args.path));
  const Commit commit = HC_TRY(resolve(repository, args.what));
  return report_of(HC_TRY(commit_findings(repository, commit, work)), args.what);
}

Result<Report> show(const ShowArgs& args) {
  const Repository repository = HC_TRY(Repository::open(args.repo));
  const Commit commit = HC_TRY(resolve(repository, args.what));
  const CommitObject object = HC_TRY(repository.commit_object(commit));
  const Manifest manifest = HC_TRY(read_manifest(object.bytes).in("commit " + commit.brief()));
  const std::vector<std::string> signatures = HC_TRY(read_signatures(object.detached));
  Report report;
  report.json = to_json(manifest);
  report.json["commit"] = commit.hex();
  report.json["signatures"] = signatures.size();
  report.text = manifest_text(manifest, commit) + "signatures  " + std::to_string(signatures.size()) + "\n";
  if (!args.keyring.empty()) HC_TRY(show_signers(args, manifest, object, report));
  return report;
}

}  // namespace hc
