#include "image-tools/payload_commands.h"

namespace hc {
namespace {

constexpr const char* kAttachFooter = R"(
A key that never leaves its machine signs in three steps:
  hc-payload build TREE ... --unsigned
  hc-payload export REPO unsigned/os/2.4.0 --commit os.commit
  openssl pkeyutl -sign -rawin -inkey release.key -in os.commit -out os.signature    (there)
  hc-payload attach REPO unsigned/os/2.4.0 --signature os.signature --key release.pub

Nothing is written for a signature that does not match. The refs TARGET/VERSION and TARGET/BRANCH appear with the first
one that does.)";

constexpr const char* kPublishFooter = R"(
Each payload is verified before anything is written; its content and the deltas to it are there before its refs, and the
summary comes last.
Interrupted anywhere, the repository serves what it served before, and the call may be repeated.)";

void add_sign(CLI::App& app, Request& request) {
  CLI::App* verb = app.add_subcommand("sign", "Add a signature to a payload");
  verb->add_option("REPO", request.sign.repo, "The OSTree repository")->required();
  verb->add_option("WHAT", request.sign.what, "A ref (os/2.4.0) or a full commit id")->required();
  CLI::Option_group* signers = verb->add_option_group("signers", "Who signs");
  signers->require_option(1, 0);
  add_signer_options(*signers, request.sign.signers);
  verb->callback([&request] { request.verb = [&request](const Work&) { return sign(request.sign); }; });
}

void add_show(CLI::App& app, Request& request) {
  CLI::App* verb = app.add_subcommand("show", "Show what a payload says of itself, and who signed it");
  verb->add_option("REPO", request.show.repo, "The OSTree repository")->required();
  verb->add_option("WHAT", request.show.what, "A ref (os/2.4.0) or a full commit id")->required();
  verb->add_option("--keyring", request.show.keyring, "Directory with trust.d and revoked.d: names the signers");
  verb->callback([&request] { request.verb = [&request](const Work&) { return show(request.show); }; });
}

void add_export(CLI::App& app, Request& request) {
  ExportArgs& args = request.export_commit;
  CLI::App* verb = app.add_subcommand("export", "Write what is to be signed elsewhere, or a signature for an archive");
  verb->add_option("REPO", args.repo, "The OSTree repository")->required();
  verb->add_option("WHAT", args.what, "A ref (unsigned/os/2.4.0) or a full commit id")->required();
  CLI::Option_group* files = verb->add_option_group("files", "What is written");
  files->require_option(1, 2);
  files->add_option("--commit", args.commit_file, "The bytes to sign: openssl pkeyutl -sign -rawin -in FILE");
  files->add_option("--archive-signature", args.archive_signature, "What sign-archive writes; needs signatures");
  verb->callback(
      [&request] { request.verb = [&request](const Work&) { return export_commit(request.export_commit); }; });
}

void add_attach(CLI::App& app, Request& request) {
  AttachArgs& args = request.attach;
  CLI::App* verb = app.add_subcommand("attach", "Put signatures that were made elsewhere beside a payload");
  verb->footer(kAttachFooter);
  verb->add_option("REPO", args.repo, "The OSTree repository")->required();
  verb->add_option("WHAT", args.what, "A ref (unsigned/os/2.4.0) or a full commit id")->required();
  verb->add_option("--signature", args.signatures, "64 bytes, or their base64; may be given several times")
      ->required()
      ->expected(1)
      ->take_all();
  verb->add_option("--key", args.keys, "A public key (.pub or PEM), whose signature it may be; several times")
      ->required()
      ->expected(1)
      ->take_all();
  verb->add_option("--branch", args.branch, "The ref TARGET/BRANCH follows (default: stable)");
  verb->callback([&request] { request.verb = [&request](const Work&) { return attach(request.attach); }; });
}

void add_verify(CLI::App& app, Request& request) {
  VerifyArgs& args = request.verify;
  CLI::App* verb = app.add_subcommand("verify", "Judge a payload as a node would, and read all of it again");
  verb->add_option("REPO", args.repo, "The OSTree repository")->required();
  verb->add_option("WHAT", args.what, "A ref (os/2.4.0) or a full commit id")->required();
  CLI::Option_group* trust = verb->add_option_group("trust", "Whom the node trusts");
  trust->require_option(1);
  trust->add_option("--key", args.keys, "A public key (.pub or PEM); several times")->expected(1)->take_all();
  trust->add_option("--keyring", args.keyring, "A directory with trust.d, revoked.d and blocked.d");
  verb->add_option("--threshold", args.threshold, "So many keys must have signed (default: 1)")
      ->check(CLI::Range(1, 64));
  verb->add_option("--model", args.model, "The model of the node (default: one that the payload is for)");
  verb->callback([&request] { request.verb = [&request](const Work& work) { return verify(request.verify, work); }; });
}

void add_diff(CLI::App& app, Request& request) {
  CLI::App* verb = app.add_subcommand("diff", "What two payloads differ in: files, packages, kernel arguments, hooks");
  verb->add_option("REPO", request.diff.repo, "The OSTree repository")->required();
  verb->add_option("FROM", request.diff.from, "A ref (os/2.4.0) or a full commit id")->required();
  verb->add_option("TO", request.diff.to, "A ref or a full commit id")->required();
  verb->callback([&request] { request.verb = [&request](const Work& work) { return diff(request.diff, work); }; });
}

void add_publish(CLI::App& app, Request& request) {
  PublishArgs& args = request.publish;
  CLI::App* verb = app.add_subcommand("publish", "Bring signed payloads into the repository that nodes fetch from");
  verb->footer(kPublishFooter);
  verb->add_option("FROM", args.from, "The OSTree repository that has them")->required();
  verb->add_option("WHAT", args.what, "Refs (os/2.4.0) or full commit ids")->required();
  verb->add_option("--to", args.to, "The repository that is served; made where there is none")->required();
  verb->add_option("--key", args.keys, "A public key, one of which must have signed; several times")
      ->required()
      ->expected(1)
      ->take_all();
  verb->add_option("--branch", args.branch, "The ref TARGET/BRANCH follows (default: stable)");
  verb->add_option("--deltas", args.deltas, "Make the way short from so many versions before it (default: none)")
      ->check(CLI::Range(1, 100));
  verb->callback(
      [&request] { request.verb = [&request](const Work& work) { return publish(request.publish, work); }; });
}

void add_promote(CLI::App& app, Request& request) {
  PromoteArgs& args = request.promote;
  CLI::App* verb = app.add_subcommand("promote", "Point another branch to a release: the same commit, signed again");
  verb->add_option("REPO", args.repo, "The OSTree repository")->required();
  verb->add_option("WHAT", args.what, "A ref (os/2.4.0, os/candidate) or a full commit id")->required();
  verb->add_option("--branch", args.branch, "The ref TARGET/BRANCH that is to follow")->required();
  CLI::Option_group* signers = verb->add_option_group("signers", "Who signs");
  signers->require_option(1, 0);
  add_signer_options(*signers, args.signers);
  verb->callback([&request] { request.verb = [&request](const Work&) { return promote(request.promote); }; });
}

void add_prune(CLI::App& app, Request& request) {
  PruneArgs& args = request.prune;
  CLI::App* verb = app.add_subcommand("prune", "Remove old versions; never what a branch stands at");
  verb->add_option("REPO", args.repo, "The OSTree repository")->required();
  verb->add_option("--keep", args.keep, "So many versions of each target stay, the newest (default: 5)")
      ->check(CLI::Range(1, 1'000'000));
  verb->add_option("--younger-than", args.younger_than, "And all that were built in the last so many days")
      ->check(CLI::Range(1, 100'000));
  verb->add_flag("--plan", args.plan, "Only say what would go");
  verb->callback([&request] { request.verb = [&request](const Work&) { return prune(request.prune); }; });
}

void add_delta(CLI::App& app, Request& request) {
  CLI::App* verb =
      app.add_subcommand("delta", "Make the way from one payload to another short; nodes find it themselves");
  verb->add_option("REPO", request.delta.repo, "The OSTree repository that nodes fetch from")->required();
  verb->add_option("--from", request.delta.from, "What nodes run: a ref (os/2.3.0) or a full commit id")->required();
  verb->add_option("--to", request.delta.to, "What they are to run")->required();
  verb->callback([&request] { request.verb = [&request](const Work& work) { return delta(request.delta, work); }; });
}

void add_bundle(CLI::App& app, Request& request) {
  CLI::App* verb = app.add_subcommand("bundle", "Write a payload as one file, for `hc-os deploy FILE.hcb`");
  verb->add_option("REPO", request.bundle.repo, "The OSTree repository")->required();
  verb->add_option("WHAT", request.bundle.what, "A ref (os/2.4.0) or a full commit id")->required();
  verb->add_option("--out", request.bundle.out, "The file to write, ending in .hcb")->required();
  verb->add_option("--from", request.bundle.from, "Only for nodes that have this version: a much smaller file");
  verb->callback([&request] { request.verb = [&request](const Work& work) { return bundle(request.bundle, work); }; });
}

}  // namespace

void add_shipping(CLI::App& app, Request& request) {
  add_sign(app, request);
  add_export(app, request);
  add_attach(app, request);
  add_show(app, request);
  add_verify(app, request);
  add_diff(app, request);
  add_publish(app, request);
  add_promote(app, request);
  add_prune(app, request);
  add_delta(app, request);
  add_bundle(app, request);
}

}  // namespace hc
