#include <cstdio>

#include "engine/base/text.h"
#include "engine/cli/reporter.h"

namespace hc {
namespace {

std::string state_of(const DriftReport& report) {
  if (!report.fitted) return "not fitted";
  if (!report.result) return "has no verify hook";
  if (report.result->passed()) return "in its recorded state";
  if (report.result->end == HookEnd::said_no) return "DRIFTED";
  return "could not be checked";
}

std::string last_line(const std::string& output) {
  const std::vector<std::string> lines = split(trimmed(output), '\n');
  return lines.empty() ? "" : printable(lines.back());
}

void print(const DriftReport& report) {
  std::printf("%-24s %-14s %s\n", report.target.name().c_str(), printable(report.version).c_str(),
              state_of(report).c_str());
  if (!report.drifted()) return;
  const std::string said = last_line(report.result->output);
  std::printf("  %s%s%s\n", printable(report.result->reason).c_str(), said.empty() ? "" : ": ", said.c_str());
}

Json to_json(const DriftReport& report) {
  Json json = {{"target", report.target.name()},
               {"version", report.version},
               {"fitted", report.fitted},
               {"drifted", report.drifted()},
               {"hook", nullptr}};
  if (report.result) json["hook"] = to_json(*report.result);
  return json;
}

}  // namespace

int check_peripherals(const Session& session) {
  const auto upgrader = Upgrader::open(session.sysroot);
  if (!upgrader) return fail(session, upgrader.error());
  Reporter reporter(session);
  const auto reports = (*upgrader)->check_peripherals(reporter.listener(), session.stop);
  if (!reports) return fail(session, reports.error());
  bool drifted = false;
  Json list = Json::array();
  for (const DriftReport& report : *reports) {
    drifted = drifted || report.drifted();
    list.push_back(to_json(report));
    if (!session.json) print(report);
  }
  if (session.json) print_json({{"peripherals", std::move(list)}});
  if (!session.json && reports->empty()) std::printf("No peripheral has a version on this node.\n");
  if (!session.json && drifted)
    std::printf("What has drifted is brought back by `hc-os deploy VERSION -t NAME --again`.\n");
  return drifted ? exit_status(Code::unhealthy) : 0;
}

int repair(const Session& session, bool due) {
  const auto upgrader = Upgrader::open(session.sysroot);
  if (!upgrader) return fail(session, upgrader.error());
  Reporter reporter(session);
  const auto reports = (*upgrader)->repair(due, reporter.listener(), session.stop);
  if (!reports) return fail(session, reports.error());
  int exit = 0;
  Json list = Json::array();
  for (const Report& report : *reports) {
    const Transaction& t = report.transaction;
    const bool still = !t.degraded.empty() || (t.kind == TransactionKind::repair && t.failure);
    if (still) exit = exit_status(t.failure ? t.failure->code : Code::hook_failed);
    list.push_back(to_json(t));
    if (!session.json) std::printf("%s.\n", conclusion(report, (*upgrader)->node()).c_str());
  }
  if (session.json) print_json({{"transactions", std::move(list)}});
  if (!session.json && !session.quiet && reports->empty()) std::printf("Nothing is degraded.\n");
  return exit;
}

}  // namespace hc
