#include "image-tools/payload_commands.h"

namespace hc {
namespace {

constexpr const char* kBuildFooter = R"(
An OS tree is a plain root tree or one that is laid out for OSTree already; TREE itself is never changed. A peripheral's
tree holds metadata.json and its hooks; target, version, compatible and requires are taken from metadata.json.

The refs TARGET/VERSION and TARGET/BRANCH are written when the signature is in place. The same tree and options give the
same commit, bit for bit, whatever the umask, locale or owner of a peripheral's files. A version that is in the
repository never changes, and a sequence always grows.)";

constexpr const char* kImportFooter = R"(
A process of its own, without rights and within limits, unpacks the archive. Every file must stand in md5sum.chk and
match it, and nothing else may; what leaves the archive's root, comes twice, is cut off, or could not be stored on every
machine is refused with its name. `hc-payload check FILE` says all that is wrong without making anything.)";

constexpr const char* kSignArchiveFooter = R"(
FILE and FILE.sig, put together into a node's upgrades directory, are a payload: GET /queue-upgrade?filename=FILE. The
signature is over the payload that `hc-payload import` with the same options would make, so all that a node needs to
know (sequence, expiry, models) is in it and signed.)";

void add_keygen(CLI::App& app, Request& request) {
  CLI::App* verb = app.add_subcommand("keygen", "Make an Ed25519 key pair: NAME.key (secret) and NAME.pub");
  verb->add_option("NAME", request.keygen.name, "Path of the pair without extension")->required();
  verb->add_option("--targets", request.keygen.targets, "What it may sign for: os,ptz-* (default: everything)")
      ->delimiter(',');
  verb->callback([&request] { request.verb = [&request](const Work&) { return keygen(request.keygen); }; });
}

void add_public_key(CLI::App& app, Request& request) {
  PublicKeyArgs& args = request.public_key;
  CLI::App* verb = app.add_subcommand("public-key", "Turn a public key of OpenSSL or an HSM into NAME.pub");
  verb->add_option("PEM", args.pem, "What `openssl pkey -pubout` writes")->required();
  verb->add_option("NAME", args.name, "NAME.pub is written")->required();
  verb->add_option("--targets", args.targets, "What it may sign for: os,ptz-* (default: everything)")->delimiter(',');
  verb->callback([&request] { request.verb = [&request](const Work&) { return public_key(request.public_key); }; });
}

// The repository, and who signs what gets into it.
void add_repository_options(CLI::App& verb, BuildArgs& args) {
  verb.add_option("--repo", args.repo, "The OSTree repository; made where there is none")->required();
  verb.add_option("--branch", args.branch, "The ref TARGET/BRANCH follows (default: stable)");
  CLI::Option_group* signers = verb.add_option_group("signers", "Who signs");
  signers->require_option(1, 0);
  add_signer_options(*signers, args.signers);
  CLI::Option* nobody = signers->add_flag_callback(
      "--unsigned", [] {}, "Sign it elsewhere: see `hc-payload export` and `hc-payload attach`");
  for (const char* name : {"--key", "--sign-command"}) nobody->excludes(signers->get_option(name));
}

CLI::Option* add_sequence(CLI::App& verb, BuildArgs& args) {
  return verb.add_option("--sequence", args.sequence, "A number larger than that of every release before")
      ->check(CLI::PositiveNumber);
}

// What build, import and sign-archive have in common.
void add_build_options(CLI::App& verb, BuildArgs& args) {
  verb.add_option("--compatible", args.compatible, "A model that it is for, * allowed; several times")
      ->expected(1)
      ->take_all();
  verb.add_option("--requires", args.required, "TARGET=VERSION that a node must have at least; several times")
      ->expected(1)
      ->take_all();
  verb.add_option("--expires", args.expires, "No node takes it after 2027-03-31, or +90d from its time of build");
  verb.add_option("--changelog", args.changelog, "A text file that `hc-os deploy --plan` shows");
  verb.add_option("--timestamp", args.timestamp,
                  "Time of the build in seconds since 1970 (default: SOURCE_DATE_EPOCH, else the newest file's)")
      ->check(CLI::NonNegativeNumber);
}

void add_build(CLI::App& app, Request& request) {
  BuildArgs& args = request.build;
  CLI::App* verb = app.add_subcommand("build", "Turn a tree into a signed payload in a repository");
  verb->footer(kBuildFooter);
  verb->add_option("TREE", args.tree, "The directory that becomes the payload")->required();
  verb->add_option("--target", args.target, "`os`, or the peripheral (default: as metadata.json says)");
  verb->add_option("--version", args.version, "The version (peripheral: as metadata.json says)");
  add_sequence(*verb, args);
  verb->add_flag("--version-from-git", args.version_from_git,
                 "Version, sequence and time come from the tags and commits of the checkout that TREE lies in");
  verb->add_flag("--check", args.check, "Build twice, under other circumstances, and sign only what came out the same");
  verb->add_option("--builder", args.builder, "A URI for the statement of provenance: who builds");
  add_build_options(*verb, args);
  add_repository_options(*verb, args);
  verb->callback([&request] { request.verb = [&request](const Work& work) { return build(request.build, work); }; });
}

void add_archive_options(CLI::App& verb, ImportArgs& args) {
  verb.add_option("FILE", args.archive, "A .tar.gz (or .tar) with metadata.json, hooks and md5sum.chk in its root")
      ->required();
  add_sequence(verb, args.build)->required();
  add_build_options(verb, args.build);
  verb.add_flag("--allow-setuid", args.build.allow_setuid, "Keep setuid and setgid files, which are refused otherwise");
  verb.add_option("--most", args.most_megabytes, "It may unpack to so many megabytes (default: 2048)")
      ->check(CLI::Range(1, 1'000'000));
  verb.add_option("--most-members", args.most_members, "Files, directories and links in it (default: 20000)")
      ->check(CLI::Range(1, 1'000'000));
}

void add_import(CLI::App& app, Request& request) {
  ImportArgs& args = request.import;
  CLI::App* verb = app.add_subcommand("import", "Turn an archive of the original Honeycomb into a signed payload");
  verb->footer(kImportFooter);
  add_archive_options(*verb, args);
  add_repository_options(*verb, args.build);
  verb->callback(
      [&request] { request.verb = [&request](const Work& work) { return import_archive(request.import, work); }; });
}

void add_sign_archive(CLI::App& app, Request& request) {
  SignArchiveArgs& args = request.sign_archive;
  CLI::App* verb = app.add_subcommand("sign-archive", "Sign an archive that a node is to take as it is");
  verb->footer(kSignArchiveFooter);
  add_archive_options(*verb, args.import);
  CLI::Option_group* signers = verb->add_option_group("signers", "Who signs");
  signers->require_option(1, 0);
  add_signer_options(*signers, args.import.build.signers);
  verb->add_option("--out", args.out, "The signature file (default: FILE.sig)");
  verb->callback(
      [&request] { request.verb = [&request](const Work& work) { return sign_archive(request.sign_archive, work); }; });
}

void add_init(CLI::App& app, Request& request) {
  CLI::App* verb = app.add_subcommand("init", "Write the files of a new peripheral payload");
  verb->add_option("NAME", request.init.folder, "The folder to make; its name becomes the peripheral's")->required();
  verb->callback([&request] { request.verb = [&request](const Work&) { return init(request.init); }; });
}

void add_check(CLI::App& app, Request& request) {
  CLI::App* verb =
      app.add_subcommand("check", "Say what is wrong with a tree, an archive, or a payload in a repository");
  verb->add_option("PATH", request.check.path, "A tree or .tar.gz, or a repository when WHAT follows")->required();
  verb->add_option("WHAT", request.check.what, "A ref (os/2.4.0) or a full commit id");
  verb->callback([&request] { request.verb = [&request](const Work& work) { return check(request.check, work); }; });
}

}  // namespace

void add_signer_options(CLI::App& group, SignerArgs& args) {
  group.add_option("--key", args.keys, "A private key to sign with; may be given several times")
      ->expected(1)
      ->take_all();
  CLI::Option* command = group.add_option("--sign-command", args.command, "A program that signs: PROGRAM INPUT OUTPUT");
  CLI::Option* key = group.add_option("--sign-key", args.command_keys, "The public half (.pub or PEM) of its key");
  command->needs(key);
  key->needs(command)->expected(1);
}

void add_making(CLI::App& app, Request& request) {
  add_keygen(app, request);
  add_public_key(app, request);
  add_init(app, request);
  add_check(app, request);
  add_build(app, request);
  add_import(app, request);
  add_sign_archive(app, request);
}

}  // namespace hc
