#include <CLI/CLI.hpp>
#include <cstdio>

#include "bootloader/fake.h"
#include "engine/base/terminal.h"
#include "engine/upgrade/first_install.h"

// hc-install: the first version of a node into the folder that becomes the root of its disk. `hc-image disk` makes an
// image of it.
namespace hc {
namespace {

struct Args {
  fs::path folder;
  fs::path repository;
  std::string version;
  std::vector<fs::path> trust;
  fs::path settings;
  std::string arguments;
};

Status install(const Args& args, const StopToken& stop) {
  std::error_code error;
  const fs::path repository = fs::canonical(args.repository, error);
  if (error) return Error::from_errno(error.value(), "opening the repository " + args.repository.string());
  const Commit commit = HC_TRY(released_os(repository, args.version));
  FirstInstall install{.sysroot = args.folder,
                       .url = "file://" + repository.string(),
                       .commit = commit,
                       .arguments = args.arguments,
                       .trust = args.trust,
                       .settings = ""};
  if (!args.settings.empty()) install.settings = HC_TRY(read_file(args.settings, 1 << 20));
  const fs::path boot = args.folder / "boot";
  HC_TRY(make_dirs(boot));
  // As long as it is a folder on whatever file system this machine has, no GRUB could read it.
  HC_TRY(Firmware::prepare_sandbox(boot));
  ProgressBar bar(false);
  const Verdict verdict = HC_TRY(install_first(install, bar.fn(), stop));
  bar.finish();
  fs::remove(boot / "honeycomb/sandbox", error);
  if (error) return Error::from_errno(error.value(), "removing the mark of a sandbox");
  std::printf("%s\n", install.commit.hex().c_str());
  return ok;
}

int run(int argc, char** argv) {
  const StopOnSignal stop;
  Args args;
  CLI::App app("Puts the first version of a node into a folder and prints its commit", "hc-install");
  app.add_option("DIR", args.folder, "A folder that does not exist yet")->required()->check(CLI::NonexistentPath);
  app.add_option("--repo", args.repository, "The repository that has the version")->required();
  app.add_option("--version", args.version, "The OS version to begin with")->required();
  app.add_option("--trust", args.trust, "Public key files (*.pub) that the node trusts")->required();
  app.add_option("--settings", args.settings, "The node's honeycomb.conf")->check(CLI::ExistingFile);
  app.add_option("--args", args.arguments, "Kernel arguments of this node")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  const Status done = install(args, stop.token());
  if (done) return 0;
  print_error(done.error(), false);
  return exit_status(done.error().code());
}

}  // namespace
}  // namespace hc

// NOLINTNEXTLINE(bugprone-exception-escape): what is thrown here (out of memory) is to end the process
int main(int argc, char** argv) { return hc::run(argc, argv); }
