#include "engine/upgrade/health.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <utility>

#include "engine/base/text.h"
#include "engine/upgrade/health_builtin.h"

namespace hc {
namespace {

struct Group {
  std::string_view name;
  std::string_view suffix;  // of the files that are checks
  bool required;
};
constexpr std::array<Group, 4> kGroups = {
    {{"required", "", true}, {"fatal", ".test", true}, {"wanted", "", false}, {"warning", ".test", false}}};

std::int64_t now_ms() {
  using std::chrono::steady_clock;
  return std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now().time_since_epoch()).count();
}

bool is_check(std::string_view file, std::string_view suffix) {
  return !file.starts_with('.') && !file.ends_with('~') && !file.starts_with("README") && file.ends_with(suffix);
}

// The checks of one group, sorted by name.
Result<std::map<std::string, fs::path>> find_checks(const HealthPlan& plan, const Group& group) {
  std::map<std::string, fs::path> found;
  for (const fs::path& directory : plan.directories) {
    const fs::path place = directory / group.name;
    const std::vector<std::string> names = HC_TRY(list_dir(place));
    for (const std::string& file : names) {
      if (!is_check(file, group.suffix)) continue;
      std::error_code error;
      const bool taken_away = fs::read_symlink(place / file, error) == "/dev/null";
      if (taken_away) found.erase(file);
      if (!taken_away && !fs::is_directory(place / file, error)) found[file] = place / file;
    }
  }
  return found;
}

// What a check said last, which is where most programs say why.
std::string last_words(std::string_view output) {
  constexpr std::size_t kMost = 300;
  output = trimmed(output);
  const std::size_t line = output.rfind('\n');
  if (line != std::string_view::npos) output.remove_prefix(line + 1);
  return printable(output.substr(0, kMost));
}

CheckEnd check_end(HookEnd end) {
  switch (end) {
    case HookEnd::passed:
      return CheckEnd::passed;
    case HookEnd::said_no:
    case HookEnd::killed:
      return CheckEnd::failed;
    case HookEnd::timed_out:
      return CheckEnd::timed_out;
    case HookEnd::could_not_run:
    case HookEnd::cancelled:
      break;
  }
  return CheckEnd::could_not_run;
}

std::string_view leaf(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? name : name.substr(slash + 1);
}

class HealthRun {
 public:
  HealthRun(const HealthPlan& plan, HookRunner& hooks, const StopToken& stop, const HookListener& listener)
      : plan_(plan), hooks_(hooks), stop_(stop), listener_(listener) {}

  HealthReport run() {
    for (const std::string& name : plan_.required_builtin) builtin(name, true);
    for (const std::string& name : plan_.wanted_builtin) builtin(name, false);
    for (const Group& group : kGroups) programs(group);
    conclude();
    return std::move(report_);
  }

 private:
  void builtin(const std::string& name, bool required) {
    if (stop_.requested()) return;
    const std::int64_t begun = now_ms();
    CheckResult check = run_builtin(name, plan_, stop_);
    check.duration_ms = now_ms() - begun;
    add(std::move(check), required);
  }

  void programs(const Group& group) {
    const auto found = find_checks(plan_, group);
    if (!found) {
      CheckResult check;
      check.name = std::string(group.name) + "/*";
      check.text = "the checks cannot be listed: " + found.error().text();
      return add(std::move(check), group.required);
    }
    for (const auto& [file, path] : *found) {
      if (stop_.requested()) return;
      program(std::string(group.name) + "/" + file, path, group.required);
    }
  }

  void program(const std::string& name, const fs::path& path, bool required) {
    const std::string file(leaf(name));
    const std::size_t at = file.find('@');
    const std::string peripheral = at == std::string::npos ? "" : file.substr(0, at);
    if (!peripheral.empty() && plan_.fitted && !plan_.fitted(peripheral)) {
      CheckResult skipped;
      skipped.name = name;
      skipped.end = CheckEnd::skipped;
      skipped.text = peripheral + " is not fitted on this node";
      return add(std::move(skipped), required);
    }
    HookCall call;
    std::error_code error;
    const fs::path credentials = plan_.secrets / peripheral;
    if (!peripheral.empty() && fs::is_directory(credentials, error)) call.credentials = credentials;
    call.program = path;
    call.directory = path.parent_path();
    call.environment = {{"HC_PHASE", "health"},
                        {"HC_STATE_DIR", plan_.state_directory.string()},
                        {"HC_SLOT_ROOT", plan_.root.string()}};
    call.timeout_ms = plan_.timeout_ms;
    const HookResult result = hooks_.run(call, listener_, stop_);
    CheckResult check;
    check.name = name;
    check.end = check_end(result.end);
    check.duration_ms = result.duration_ms;
    const std::string words = last_words(result.output);
    check.text = result.reason + (words.empty() ? "" : ": " + words);
    add(std::move(check), required);
  }

  void add(CheckResult check, bool required) {
    check.required = required;
    check.worked_before =
        !required && std::any_of(plan_.passed_before.begin(), plan_.passed_before.end(),
                                 [&check](const std::string& before) { return leaf(before) == leaf(check.name); });
    report_.checks.push_back(std::move(check));
  }

  void conclude() {
    std::string list;
    for (const CheckResult& check : report_.checks) {
      if (!check.blocks()) continue;
      list += (list.empty() ? "" : "; ") + check.name + " " +
              (check.worked_before ? "worked before the upgrade and " : "") + describe(check);
    }
    if (!list.empty()) report_.why = "the node is not healthy: " + list;
    if (stop_.requested()) report_.why = "the health checks were stopped before their end";
    report_.healthy = report_.why.empty();
  }

  static std::string describe(const CheckResult& check) {
    switch (check.end) {
      case CheckEnd::failed:
        return "failed (" + check.text + ")";
      case CheckEnd::timed_out:
        return "took too long (" + check.text + ")";
      case CheckEnd::could_not_run:
        return "could not run (" + check.text + ")";
      case CheckEnd::passed:
      case CheckEnd::skipped:
        break;
    }
    return "passed";
  }

  const HealthPlan& plan_;
  HookRunner& hooks_;
  const StopToken& stop_;
  const HookListener& listener_;
  HealthReport report_;
};

}  // namespace

HealthReport run_health(const HealthPlan& plan, HookRunner& hooks, const StopToken& stop,
                        const HookListener& listener) {
  return HealthRun(plan, hooks, stop, listener).run();
}

}  // namespace hc
