#include <cstdio>

#include "engine/base/process.h"
#include "engine/base/text.h"
#include "engine/cli/reporter.h"
#include "engine/cli/service_link.h"

namespace hc {
namespace {

// Opens the node and runs one change on it; both the same for every verb here.
template <typename Change>
int change(const Session& session, bool reboot, Change run) {
  const auto upgrader = Upgrader::open(session.sysroot);
  if (!upgrader) return fail(session, upgrader.error());
  Reporter reporter(session);
  const Result<std::optional<Report>> report = run(**upgrader, reporter.listener());
  if (!report) return fail(session, report.error());
  const Node& node = (*upgrader)->node();
  if (!*report) {
    if (session.json) print_json({{"transaction", nullptr}});
    if (!session.json && !session.quiet) std::printf("Nothing is unfinished.\n");
    return 0;
  }
  const int exit = reporter.conclude(**report, node);
  if ((*report)->ended != Ended::reboot || !reboot) return exit;
  if (node.is_sandbox()) {
    return fail(session, Error(Code::invalid, "a sandbox cannot restart itself")
                             .with_hint("`hc-sandbox reboot " + node.sysroot.string() + "`"));
  }
  const auto restarted = run_command({"systemctl", "reboot"}, {});
  return restarted ? exit : fail(session, restarted.error());
}

Result<std::optional<Report>> some(Result<Report> report) {
  if (!report) return std::move(report).error();
  return std::optional(std::move(report).value());
}

void print(const Plan& plan, const Settings& settings) {
  const Manifest& manifest = plan.verdict.manifest;
  const auto line = [](const char* label, const std::string& text) {
    std::printf("  %-12s %s\n", label, printable(text).c_str());
  };
  std::printf("Plan for %s %s (nothing is changed):\n", plan.request.target.name().c_str(),
              manifest.version.text().c_str());
  line("commit", plan.verdict.payload.commit().hex());
  line("found in", plan.found.where);
  std::string signers;
  for (const std::string& signer : plan.verdict.signers) signers += (signers.empty() ? "" : ", ") + signer;
  line("signed by", signers);
  line("from", (plan.from.version.empty() ? "no version" : plan.from.version) +
                   (plan.from.slot ? " in slot " + std::string(name(*plan.from.slot)) : ""));
  line("to", "slot " + std::string(name(plan.to)) +
                 (plan.replaced_version.empty() ? "" : ", which holds " + plan.replaced_version + " now"));
  if (plan.download.known)
    line("download",
         human_bytes(plan.download.bytes) + " in " + std::to_string(plan.download.objects) + " objects at the most");
  for (const auto& [target, version] : manifest.carries)
    line("brings", std::string(target).append(" ").append(version));
  line("steps", "verify, fetch, state-check, stage, install, verify-hooks, check, " +
                    std::string(plan.reboot ? "peripherals, switch, reboot, health, confirm" : "switch, confirm"));
  if (plan.reboot)
    line("boot", std::to_string(settings.tries) + " tries, then back to slot " +
                     std::string(plan.from.slot ? name(*plan.from.slot) : "-"));
  for (const std::string& warning : plan.verdict.warnings) line("warning", warning);
  if (!manifest.changelog.empty()) std::printf("\n%s\n", printable(manifest.changelog).c_str());
}

int show_plan(const Session& session, const Request& request) {
  const auto upgrader = Upgrader::open(session.sysroot);
  if (!upgrader) return fail(session, upgrader.error());
  const auto plan = (*upgrader)->plan(request, session.stop);
  if (!plan) return fail(session, plan.error());
  if (session.json)
    print_json(to_json(*plan));
  else
    print(*plan, (*upgrader)->settings());
  return 0;
}

}  // namespace

int deploy(const Session& session, const DeployOptions& options) {
  const auto target = Target::parse(options.target);
  if (!target) return fail(session, target.error());
  // The service has a working directory of its own.
  const std::string what = names_payload_file(options.what) ? fs::absolute(options.what).string() : options.what;
  const Request request{*target, what, who(), options.again};
  if (options.plan) return show_plan(session, request);
  if (const auto exit = by_service(session, {{"kind", "deploy"},
                                             {"target", options.target},
                                             {"what", what},
                                             {"again", options.again},
                                             {"reboot", options.reboot}}))
    return *exit;
  return change(session, options.reboot, [&](Upgrader& upgrader, const Listener& listener) {
    return some(upgrader.deploy(request, listener, session.stop));
  });
}

int rollback(const Session& session, const std::string& target_name, bool reboot) {
  const auto target = Target::parse(target_name);
  if (!target) return fail(session, target.error());
  if (const auto exit = by_service(session, {{"kind", "rollback"}, {"target", target_name}, {"reboot", reboot}}))
    return *exit;
  return change(session, reboot, [&](Upgrader& upgrader, const Listener& listener) {
    return some(upgrader.rollback(*target, who(), listener, session.stop));
  });
}

int confirm(const Session& session) {
  if (const auto exit = by_service(session, {{"kind", "confirm"}, {"reboot", false}})) return *exit;
  return change(session, false, [&](Upgrader& upgrader, const Listener& listener) {
    return some(upgrader.confirm(who(), listener, session.stop));
  });
}

int resume(const Session& session, bool reboot) {
  return change(session, reboot,
                [&](Upgrader& upgrader, const Listener& listener) { return upgrader.resume(listener, session.stop); });
}

}  // namespace hc
