#include <CLI/CLI.hpp>
#include <functional>

#include "engine/base/terminal.h"
#include "image-tools/archive_child.h"
#include "image-tools/payload_verbs.h"

// hc-payload: makes, signs, checks and shows payloads.
namespace hc {
namespace {

constexpr const char* kFooter = R"(
A release in three steps:
  hc-payload keygen release
  hc-payload build TREE --target os --version 2.4.0 --sequence 12 --key release.key --repo REPO
  hc-payload show REPO os/2.4.0

Exit status: 0 done; 2 wrong usage; 3 refused: the input is wrong; 4 a signature or key is wrong;
5 not available now; 6 no space; 7 busy; 8 the disk or system refused; 1 a bug; 130 stopped.)";

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

using Verb = std::function<Result<Report>(const Work&)>;

// What the command line asks for.
struct Request {
  Verb verb;
  bool json = false;
  bool quiet = false;

  KeygenArgs keygen;
  BuildArgs build;
  ImportArgs import;
  InitArgs init;
  SignArgs sign;
  CheckArgs check;
  ShowArgs show;
};

void add_keygen(CLI::App& app, Request& request) {
  CLI::App* verb = app.add_subcommand("keygen", "Make an Ed25519 key pair: NAME.key (secret) and NAME.pub");
  verb->add_option("NAME", request.keygen.name, "Path of the pair without extension")->required();
  verb->add_option("--targets", request.keygen.targets, "What it may sign for: os,ptz-* (default: everything)")
      ->delimiter(',');
  verb->callback([&request] { request.verb = [&request](const Work&) { return keygen(request.keygen); }; });
}

// What build and import have in common.
void add_build_options(CLI::App& verb, BuildArgs& args) {
  verb.add_option("--sequence", args.sequence, "A number larger than that of every release before")
      ->required()
      ->check(CLI::PositiveNumber);
  verb.add_option("--key", args.keys, "A private key to sign with; may be given several times")
      ->required()
      ->expected(1)
      ->take_all();
  verb.add_option("--repo", args.repo, "The OSTree repository; made where there is none")->required();
  verb.add_option("--compatible", args.compatible, "A model that it is for, * allowed; several times")
      ->expected(1)
      ->take_all();
  verb.add_option("--requires", args.required, "TARGET=VERSION that a node must have at least; several times")
      ->expected(1)
      ->take_all();
  verb.add_option("--expires", args.expires, "No node takes it after 2027-03-31, or +90d from its time of build");
  verb.add_option("--changelog", args.changelog, "A text file that `hc-os deploy --plan` shows");
  verb.add_option("--branch", args.branch, "The ref TARGET/BRANCH follows (default: stable)");
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
  add_build_options(*verb, args);
  verb->callback([&request] { request.verb = [&request](const Work& work) { return build(request.build, work); }; });
}

void add_import(CLI::App& app, Request& request) {
  ImportArgs& args = request.import;
  CLI::App* verb = app.add_subcommand("import", "Turn an archive of the original Honeycomb into a signed payload");
  verb->footer(kImportFooter);
  verb->add_option("FILE", args.archive, "A .tar.gz (or .tar) with metadata.json, hooks and md5sum.chk in its root")
      ->required();
  add_build_options(*verb, args.build);
  verb->add_flag("--allow-setuid", args.build.allow_setuid,
                 "Keep setuid and setgid files, which are refused otherwise");
  verb->add_option("--most", args.most_megabytes, "It may unpack to so many megabytes (default: 2048)")
      ->check(CLI::Range(1, 1'000'000));
  verb->add_option("--most-members", args.most_members, "Files, directories and links in it (default: 20000)")
      ->check(CLI::Range(1, 1'000'000));
  verb->callback(
      [&request] { request.verb = [&request](const Work& work) { return import_archive(request.import, work); }; });
}

void add_init(CLI::App& app, Request& request) {
  CLI::App* verb = app.add_subcommand("init", "Write the files of a new peripheral payload");
  verb->add_option("NAME", request.init.folder, "The folder to make; its name becomes the peripheral's")->required();
  verb->callback([&request] { request.verb = [&request](const Work&) { return init(request.init); }; });
}

void add_sign(CLI::App& app, Request& request) {
  CLI::App* verb = app.add_subcommand("sign", "Add a signature to a payload");
  verb->add_option("REPO", request.sign.repo, "The OSTree repository")->required();
  verb->add_option("WHAT", request.sign.what, "A ref (os/2.4.0) or a full commit id")->required();
  verb->add_option("--key", request.sign.keys, "A private key; may be given several times")
      ->required()
      ->expected(1)
      ->take_all();
  verb->callback([&request] { request.verb = [&request](const Work&) { return sign(request.sign); }; });
}

void add_check(CLI::App& app, Request& request) {
  CLI::App* verb =
      app.add_subcommand("check", "Say what is wrong with a tree, an archive, or a payload in a repository");
  verb->add_option("PATH", request.check.path, "A tree or .tar.gz, or a repository when WHAT follows")->required();
  verb->add_option("WHAT", request.check.what, "A ref (os/2.4.0) or a full commit id");
  verb->callback([&request] { request.verb = [&request](const Work& work) { return check(request.check, work); }; });
}

void add_show(CLI::App& app, Request& request) {
  CLI::App* verb = app.add_subcommand("show", "Show what a payload says of itself, and who signed it");
  verb->add_option("REPO", request.show.repo, "The OSTree repository")->required();
  verb->add_option("WHAT", request.show.what, "A ref (os/2.4.0) or a full commit id")->required();
  verb->add_option("--keyring", request.show.keyring, "Directory with trust.d and revoked.d: names the signers");
  verb->callback([&request] { request.verb = [&request](const Work&) { return show(request.show); }; });
}

int run(const Request& request, const StopToken& stop) {
  ProgressBar bar(request.json || request.quiet);
  const Result<Report> report = request.verb({bar.fn(), stop});
  bar.finish();
  if (!report) {
    print_error(report.error(), request.json);
    return exit_status(report.error().code());
  }
  std::fputs(request.json ? dump_json(report->json).c_str() : report->text.c_str(), stdout);
  return report->exit_status;
}

int main_with(int argc, char** argv) {
  const StopOnSignal stop;
  Request request;
  CLI::App app("Makes, signs, checks and shows Honeycomb payloads.", "hc-payload");
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("hc-payload ") + HC_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", request.json, "One JSON document on standard output, also for errors");
  app.add_flag("--quiet", request.quiet, "No progress");
  add_keygen(app, request);
  add_init(app, request);
  add_build(app, request);
  add_import(app, request);
  add_sign(app, request);
  add_check(app, request);
  add_show(app, request);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // CLI11's only way to say so
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  return run(request, stop.token());
}

}  // namespace
}  // namespace hc

// NOLINTNEXTLINE(bugprone-exception-escape): what is thrown here (out of memory) is to end the process
int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == hc::kUnpackChild) hc::run_unpack_child(argc, argv);
  return hc::main_with(argc, argv);
}
