#include <CLI/CLI.hpp>
#include <functional>

#include "engine/base/describe.h"
#include "engine/base/terminal.h"
#include "engine/cli/verbs.h"

namespace hc {
namespace {

constexpr const char* kExitCodes = R"(Exit status:
  0 done (also: waits for a restart, not needed)   2 wrong usage
  3 invalid input   4 not trusted   5 unavailable, try later   6 no space
  7 busy            8 I/O error     9 a hook failed            10 unhealthy
  130 interrupted   1 a fault of hc-os itself)";

// What the command line asked for: options of all verbs, and the verb.
struct CommandLine {
  Session session;
  DeployOptions deploy;
  HistoryOptions history;
  std::string target = "os";
  std::string what;
  std::string place;
  std::string slot;
  bool reboot = false;
  bool check = false;
  bool due = false;
  bool follow = false;
  bool quick = false;
  std::vector<std::string> command;
  std::function<int()> run;
};

CLI::App* verb(CLI::App& app, CommandLine& line, const char* name, const char* help, std::function<int()> run) {
  CLI::App* sub = app.add_subcommand(name, help);
  sub->callback([&line, run = std::move(run)] { line.run = run; });
  sub->fallthrough();
  return sub;
}

void add_changing_verbs(CLI::App& app, CommandLine& line) {
  CLI::App* deploy_verb = verb(app, line, "deploy", "Take a target to a version: fetch, verify, stage, switch",
                               [&] { return deploy(line.session, line.deploy); });
  deploy_verb
      ->add_option("what", line.deploy.what,
                   "Version, commit or ref; or the path of a bundle (.hcb) or signed archive (.tar.gz)")
      ->required();
  deploy_verb->add_option("--target,-t", line.deploy.target, "os or a peripheral")->capture_default_str();
  deploy_verb->add_flag("--plan", line.deploy.plan, "Say what would happen; change nothing");
  deploy_verb->add_flag("--again", line.deploy.again, "Also a version that runs already or failed here before");
  deploy_verb->add_flag("--detach", line.session.detach, "Only queue it; honeycombd does the rest");
  deploy_verb->add_flag("--reboot", line.deploy.reboot, "Restart the node when that is the next step");

  CLI::App* rollback_verb =
      verb(app, line, "rollback", "Go back to the other slot, or take back what waits for a restart",
           [&] { return rollback(line.session, line.target, line.reboot); });
  rollback_verb->add_option("target", line.target, "os or a peripheral")->capture_default_str();
  rollback_verb->add_flag("--reboot", line.reboot, "Restart the node when that is the next step");

  verb(app, line, "confirm", "Make the running slot the confirmed one, without further checks",
       [&] { return confirm(line.session); });
  CLI::App* resume_verb = verb(app, line, "resume", "Carry an unfinished transaction on; runs after each boot",
                               [&] { return resume(line.session, line.reboot); });
  resume_verb->add_flag("--reboot", line.reboot, "Restart the node when that is the next step");
  CLI::App* repair_verb = verb(app, line, "repair", "Try now to bring degraded peripherals back",
                               [&] { return repair(line.session, line.due); });
  repair_verb->add_flag("--due", line.due, "Only those whose next try has come; what honeycomb-repair.timer runs");
}

void add_looking_verbs(CLI::App& app, CommandLine& line) {
  CLI::App* status_verb = verb(app, line, "status", "Slots, versions and what is under way",
                               [&] { return line.check ? check_peripherals(line.session) : status(line.session); });
  status_verb->add_flag("--check", line.check, "Ask each peripheral whether it is in its recorded state");
  CLI::App* history_verb = verb(app, line, "history", "Every version ever deployed, and how it ended",
                                [&] { return history(line.session, line.history); });
  history_verb->add_option("--target,-t", line.history.target, "Only this target");
  history_verb->add_option("--most,-n", line.history.most, "The newest N; 0: all")->capture_default_str();
  CLI::App* show_verb = verb(app, line, "show", "What a version is, or a transaction did",
                             [&] { return show(line.session, line.what, line.target); });
  show_verb->add_option("what", line.what, "Transaction number, version, commit or ref")->required();
  show_verb->add_option("--target,-t", line.target, "os or a peripheral")->capture_default_str();
  CLI::App* diff_verb = verb(app, line, "diff", "The files in which two versions differ",
                             [&] { return diff(line.session, line.what, line.place, line.target); });
  diff_verb->add_option("from", line.what, "Slot, version or commit")->required();
  diff_verb->add_option("to", line.place, "Slot, version or commit")->required();
  diff_verb->add_option("--target,-t", line.target, "os or a peripheral")->capture_default_str();
  CLI::App* log_verb =
      verb(app, line, "log", "The whole story of a transaction", [&] { return log_of(line.session, line.what); });
  log_verb->add_option("transaction", line.what, "Its number")->required();
  CLI::App* verify_verb = verb(app, line, "verify", "Hold slots against their signed commits",
                               [&] { return verify(line.session, line.slot, line.target); });
  verify_verb->add_option("slot", line.slot, "a or b; both where it is left out")->check(CLI::IsMember({"a", "b"}));
  verify_verb->add_option("--target,-t", line.target, "os or a peripheral")->capture_default_str();
  CLI::App* doctor_verb = verb(app, line, "doctor", "What is wrong with this node's set-up, and how to mend it",
                               [&] { return doctor(line.session, line.quick); });
  doctor_verb->add_flag("--quick", line.quick, "Without reading every file of the slots");
  verb(app, line, "health", "Run the health checks now", [&] { return health(line.session); });
}

void add_queue_verbs(CLI::App& app, CommandLine& line) {
  CLI::App* jobs_verb = verb(app, line, "jobs", "What honeycombd has queued, and how it went",
                             [&] { return jobs(line.session, line.what, line.follow); });
  jobs_verb->add_option("job", line.what, "Its number; all where it is left out")->check(CLI::PositiveNumber);
  jobs_verb->add_flag("--follow,-f", line.follow, "Watch that job to its end");
  CLI::App* cancel_verb = verb(app, line, "cancel", "End a job; what it did is taken back",
                               [&] { return cancel(line.session, line.what); });
  cancel_verb->add_option("job", line.what, "Its number")->required()->check(CLI::PositiveNumber);
  CLI::App* inhibit_verb = verb(app, line, "inhibit", "Hold upgrades off while a command runs, or until Ctrl-C",
                                [&] { return inhibit(line.session, line.what, line.command); });
  inhibit_verb->add_option("--why", line.what, "The reason, for those who wait")->required();
  inhibit_verb->add_option("command", line.command, "Stands after `--`");
}

void add_keeping_verbs(CLI::App& app, CommandLine& line) {
  for (const bool pinned : {true, false}) {
    CLI::App* pin_verb =
        verb(app, line, pinned ? "pin" : "unpin", pinned ? "Keep a version whatever keep_versions says" : "Undo pin",
             [&line, pinned] { return pin(line.session, line.what, line.target, pinned); });
    pin_verb->add_option("what", line.what, "Version or commit")->required();
    pin_verb->add_option("--target,-t", line.target, "os or a peripheral")->capture_default_str();
  }
  verb(app, line, "gc", "Remove versions that are no longer kept", [&] { return collect_garbage(line.session); });
  verb(app, line, "trust", "The keys that this node trusts", [&] { return trust_list(line.session); });
  CLI::App* remote = app.add_subcommand("remote", "Where payloads come from");
  remote->require_subcommand(1)->fallthrough();
  CLI::App* add =
      verb(*remote, line, "add", "Add a repository", [&] { return remote_add(line.session, line.what, line.place); });
  add->add_option("name", line.what, "A short name")->required();
  add->add_option("url", line.place, "http(s) address or path")->required();
  CLI::App* remove =
      verb(*remote, line, "remove", "Remove a repository", [&] { return remote_remove(line.session, line.what); });
  remove->add_option("name", line.what, "Its name")->required();
  verb(*remote, line, "list", "The repositories", [&] { return remote_list(line.session); });
}

int run(int argc, char** argv) {
  const StopOnSignal stop;
  CommandLine line;
  line.session.stop = stop.token();
  CLI::App app("Honeycomb OS: upgrades that cannot go wrong", "hc-os");
  app.footer(kExitCodes);
  app.set_version_flag("--version", "hc-os " HC_VERSION);
  app.add_option("--sysroot", line.session.sysroot, "The node's root; a folder is a sandbox")->capture_default_str();
  app.add_flag("--json", line.session.json, "One JSON document on standard output");
  app.add_flag("--quiet,-q", line.session.quiet, "Errors only");
  app.require_subcommand(1);
  add_changing_verbs(app, line);
  add_looking_verbs(app, line);
  add_queue_verbs(app, line);
  add_keeping_verbs(app, line);
  add_descriptions(app, "8");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  return line.run();
}

}  // namespace
}  // namespace hc

int main(int argc, char** argv) { return hc::run(argc, argv); }
