#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>

#include "bootloader/factory.h"
#include "bootloader/fake.h"
#include "engine/base/terminal.h"
#include "engine/cli/reporter.h"
#include "engine/upgrade/first_install.h"

// hc-sandbox: a node in a folder. Everything in it is real (libostree sysroot, signatures, GRUB's environment block)
// but the machine that starts it, whose part `reboot` plays.
namespace hc {
namespace {

constexpr const char* kSettings = R"(# A sandbox: no services to wait for, so the health checks are asked once.
[node]
model=sandbox

[health]
soak_s=0
deadline_s=0
)";

struct InitArgs {
  fs::path folder;
  fs::path repository;
  std::string version;
  std::vector<fs::path> trust;
  std::string arguments = "root=LABEL=sandbox console=ttyS0";
};

struct RebootArgs {
  fs::path folder;
  std::string fail;  // "panic", "hang" or empty: what the slot on trial does
  std::string slot;  // chosen by hand in the boot menu
};

Status init(const Session& session, const InitArgs& args) {
  std::error_code error;
  if (fs::exists(args.folder, error) && !fs::is_empty(args.folder, error)) {
    return Error(Code::invalid, args.folder.string() + " is not empty")
        .with_hint("name a new folder, or remove this one yourself");
  }
  const Commit commit = HC_TRY(released_os(args.repository, args.version));
  const fs::path repository = fs::canonical(args.repository, error);
  if (error) return Error::from_errno(error.value(), "opening the repository " + args.repository.string());
  const FirstInstall install{args.folder, "honeycomb",    "grub",     "file://" + repository.string(),
                             commit,      args.arguments, args.trust, kSettings};
  HC_TRY(make_dirs(args.folder / "boot"));
  HC_TRY(Firmware::prepare_sandbox(args.folder / "boot"));
  ProgressBar bar(session.json || session.quiet);
  const Verdict verdict = HC_TRY(install_first(install, bar.fn(), session.stop));
  bar.finish();
  if (session.json)
    print_json({{"sysroot", args.folder.string()},
                {"version", verdict.manifest.version.text()},
                {"commit", install.commit.hex()}});
  else if (!session.quiet)
    std::printf("%s is a node with version %s in slot a.\n", args.folder.c_str(),
                verdict.manifest.version.text().c_str());
  return ok;
}

// One power-on as the firmware does it, or as a technician at the boot menu.
Result<BootChoice> power_on(const fs::path& boot, const std::string& by_hand) {
  if (by_hand.empty()) return Firmware(boot).boot_once();
  const Slot slot = HC_TRY(parse_slot(by_hand));
  const auto control = HC_TRY(make_boot_control("grub", boot));
  const std::optional<BootEntry> entry = HC_TRY(control->entry(slot));
  if (!entry) return Error(Code::invalid, "slot " + by_hand + " has no boot entry");
  return BootChoice{slot, "chosen-by-hand", *entry, entry->arguments + " honeycomb.reason=chosen-by-hand"};
}

// What the kernel of the chosen slot tells a real node in /proc.
Status write_boot(const fs::path& folder, const BootChoice& choice) {
  const fs::path run = folder / "run/honeycomb";
  HC_TRY(make_dirs(run));
  const GText id(g_uuid_string_random());
  HC_TRY(write_atomically(run / "boot_id", std::string(id.get()) + "\n"));
  return write_atomically(run / "cmdline", choice.command_line + "\n");
}

void say(const Session& session, const std::string& text) {
  if (!session.json && !session.quiet) std::fprintf(stderr, "%s\n", text.c_str());
}

Result<Slot> start(const Session& session, const RebootArgs& args) {
  constexpr int kMostStarts = 20;
  const fs::path boot = args.folder / "boot";
  for (int count = 0; count < kMostStarts; ++count) {
    const BootChoice choice = HC_TRY(power_on(boot, args.slot));
    say(session, "power on: the bootloader starts slot " + std::string(name(choice.slot)) + " (" + choice.reason + ")");
    const bool fails = !args.fail.empty() && choice.reason.starts_with("trial");
    if (!fails) {
      HC_TRY(write_boot(args.folder, choice));
      return choice.slot;
    }
    say(session, args.fail == "panic" ? "  kernel panic, the machine restarts"
                                      : "  the machine hangs, the watchdog restarts it");
  }
  return Error(Code::unhealthy, "no slot came up in " + std::to_string(kMostStarts) + " starts");
}

// The machine restarts, and honeycomb-boot.service does its part; again where that asks for a restart.
Result<int> reboot(const Session& session, const RebootArgs& args) {
  RebootArgs next = args;
  constexpr int kMostReboots = 10;
  for (int count = 0; count < kMostReboots; ++count) {
    const Slot slot = HC_TRY(start(session, next));
    next.slot.clear();
    const auto upgrader = HC_TRY(Upgrader::open(args.folder));
    Reporter reporter(session);
    const std::optional<hc::Report> report = HC_TRY(upgrader->resume(reporter.listener(), session.stop));
    if (report && report->ended == Ended::reboot) continue;
    if (report) return reporter.conclude(*report, upgrader->node());
    if (session.json)
      print_json({{"transaction", nullptr}, {"booted", name(slot)}});
    else if (!session.quiet)
      std::printf("Slot %s runs; nothing was unfinished.\n", std::string(name(slot)).c_str());
    return 0;
  }
  return Error(Code::unhealthy, "the node asked for " + std::to_string(kMostReboots) + " restarts in a row");
}

int run(int argc, char** argv) {
  const StopOnSignal stop;
  Session session;
  session.stop = stop.token();
  InitArgs init_args;
  RebootArgs reboot_args;
  std::function<Result<int>()> verb;
  CLI::App app("A Honeycomb node in a folder, to try payloads on", "hc-sandbox");
  app.set_version_flag("--version", "hc-sandbox " HC_VERSION);
  app.add_flag("--json", session.json, "One JSON document on standard output");
  app.add_flag("--quiet,-q", session.quiet, "Errors only");
  app.require_subcommand(1);
  CLI::App* make = app.add_subcommand("init", "Make a node with a first version in slot a")->fallthrough();
  make->add_option("DIR", init_args.folder, "A folder that does not exist or is empty")->required();
  make->add_option("--repo", init_args.repository, "The repository that has the version")->required();
  make->add_option("--version", init_args.version, "The OS version to begin with")->required();
  make->add_option("--trust", init_args.trust, "Public key files (*.pub) that the node trusts")->required();
  make->add_option("--args", init_args.arguments, "Kernel arguments of this node")->capture_default_str();
  make->callback([&] {
    verb = [&]() -> Result<int> {
      HC_TRY(init(session, init_args));
      return 0;
    };
  });
  CLI::App* restart = app.add_subcommand("reboot", "Restart it: firmware, bootloader, boot service")->fallthrough();
  restart->add_option("DIR", reboot_args.folder, "The node")->required()->check(CLI::ExistingDirectory);
  restart->add_option("--fail", reboot_args.fail, "What the slot on trial does instead of starting")
      ->check(CLI::IsMember({"panic", "hang"}));
  restart->add_option("--slot", reboot_args.slot, "Choose this slot by hand in the boot menu")
      ->check(CLI::IsMember({"a", "b"}));
  restart->callback([&] { verb = [&] { return reboot(session, reboot_args); }; });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  const Result<int> done = verb();
  return done ? *done : fail(session, done.error());
}

}  // namespace
}  // namespace hc

int main(int argc, char** argv) { return hc::run(argc, argv); }
