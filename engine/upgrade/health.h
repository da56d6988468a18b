#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/stop.h"
#include "hooks/hook.h"

// Is this node well? What decides, after the boot into a new version, whether it is confirmed or rolled back.
namespace hc {

// Only `failed`, `could_not_run` and `timed_out` speak against a node; `skipped` is a check that means nothing here (no
// hub is configured, no systemd runs in this root).
enum class CheckEnd { passed, failed, could_not_run, timed_out, skipped };
std::string_view name(CheckEnd end);

struct CheckResult {
  std::string name;  // "required/10-camera", "fatal/network.test", "builtin/clock"
  CheckEnd end = CheckEnd::could_not_run;
  std::string text;  // what was found, for people
  std::int64_t duration_ms = 0;
  bool required = false;
  bool worked_before = false;  // only wanted, but it passed before the upgrade: so it must pass now

  bool passed() const { return end == CheckEnd::passed; }
  // True where the node must not be confirmed because of it.
  bool blocks() const { return (required || worked_before) && !passed() && end != CheckEnd::skipped; }
};

struct HealthReport {
  std::vector<CheckResult> checks;  // in the order they ran
  bool healthy = true;              // no check blocks
  std::string why;                  // not healthy: which checks, and what they found
};

Json to_json(const CheckResult& check);
Json to_json(const HealthReport& report);
// The reverse, of what this or a newer engine wrote: fields that are not known are ignored, missing ones have their
// default. Fails where a field is of another type.
Result<HealthReport> health_report_from_json(const Json& json);

struct HealthPlan {
  // Directories of checks. In each, the files below `required` and `wanted` (health.d), and those named *.test below
  // `fatal` and `warning` (the layout of Waggle's sanity tests: fatal is required, warning is wanted). Exit status 0
  // means passed. A file in a later directory replaces one of the same name in an earlier one; a link to /dev/null
  // takes it away. Hidden files, README* and backups (*~) are no checks; everything else that cannot run is a failure,
  // so that a check without its x bit is not silently left out.
  std::vector<fs::path> directories;
  std::int64_t timeout_ms = 150'000;  // of each check
  // A check PERIPHERAL@NAME is skipped where the peripheral is not fitted, and meets its secrets, those of
  // `secrets`/PERIPHERAL. Null: every one is fitted.
  std::function<bool(const std::string& peripheral)> fitted = nullptr;
  fs::path secrets = "/nonexistent";

  // Built-in checks by name, see builtin_checks().
  std::vector<std::string> required_builtin;
  std::vector<std::string> wanted_builtin;
  fs::path root = "/";                        // of the system that is looked at
  fs::path state_directory = "/var";          // where `disk` looks; HC_STATE_DIR of the checks
  std::string hub;                            // HOST:PORT for `hub` and `dns`; empty: they are skipped
  std::int64_t not_before_s = 0;              // `clock`: the newest time that is known to be over, since 1970
  std::uint64_t least_free_bytes = 64 << 20;  // `disk`
  std::uint64_t least_free_inodes = 1'000;

  // Names of the checks that passed before the upgrade. What worked before must work after it: a wanted check of that
  // name blocks too. Also where it has moved between required and wanted.
  std::vector<std::string> passed_before;
};

// Runs all checks, one after the other; a failure ends nothing. On a stop the rest is left out and the report is not
// healthy: its caller asks the token before drawing conclusions.
HealthReport run_health(const HealthPlan& plan, HookRunner& hooks, const StopToken& stop,
                        const HookListener& listener = {});

}  // namespace hc
