#include <array>
#include <utility>

#include "engine/base/json_field.h"
#include "engine/base/names.h"
#include "engine/upgrade/health.h"

namespace hc {
namespace {

constexpr std::array<std::pair<CheckEnd, std::string_view>, 5> kEnds = {{{CheckEnd::passed, "passed"},
                                                                         {CheckEnd::failed, "failed"},
                                                                         {CheckEnd::could_not_run, "could-not-run"},
                                                                         {CheckEnd::timed_out, "timed-out"},
                                                                         {CheckEnd::skipped, "skipped"}}};

Result<CheckResult> check_from_json(const Json& json) {
  if (!json.is_object()) return Error(Code::invalid, "a check is no object");
  CheckResult check;
  std::string end;
  HC_TRY(read_field(json, "name", check.name));
  HC_TRY(read_field(json, "end", end));
  HC_TRY(read_field(json, "text", check.text));
  HC_TRY(read_field(json, "duration_ms", check.duration_ms));
  HC_TRY(read_field(json, "required", check.required));
  HC_TRY(read_field(json, "worked_before", check.worked_before));
  check.end = value_in(kEnds, end).value_or(check.end);
  return check;
}

}  // namespace

std::string_view name(CheckEnd end) { return name_in(kEnds, end); }

Json to_json(const CheckResult& check) {
  Json json;
  json["name"] = check.name;
  json["end"] = name(check.end);
  json["text"] = check.text;
  json["duration_ms"] = check.duration_ms;
  json["required"] = check.required;
  json["worked_before"] = check.worked_before;
  return json;
}

Json to_json(const HealthReport& report) {
  Json json;
  json["healthy"] = report.healthy;
  json["why"] = report.why;
  json["checks"] = Json::array();
  for (const CheckResult& check : report.checks) json["checks"].push_back(to_json(check));
  return json;
}

Result<HealthReport> health_report_from_json(const Json& json) {
  if (!json.is_object()) return Error(Code::invalid, "a health report is no object");
  HealthReport report;
  HC_TRY(read_field(json, "healthy", report.healthy));
  HC_TRY(read_field(json, "why", report.why));
  const auto checks = json.find("checks");
  if (checks == json.end()) return report;
  if (!checks->is_array()) return Error(Code::invalid, "the field `checks` is no list");
  for (const Json& check : *checks) report.checks.push_back(HC_TRY(check_from_json(check)));
  return report;
}

}  // namespace hc
