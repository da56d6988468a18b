#include <array>
#include <utility>

#include "engine/base/json_field.h"
#include "engine/base/names.h"
#include "hooks/hook.h"

namespace hc {
namespace {

constexpr std::array<std::pair<HookEnd, std::string_view>, 6> kEnds = {{{HookEnd::passed, "passed"},
                                                                        {HookEnd::said_no, "said-no"},
                                                                        {HookEnd::could_not_run, "could-not-run"},
                                                                        {HookEnd::killed, "killed"},
                                                                        {HookEnd::timed_out, "timed-out"},
                                                                        {HookEnd::cancelled, "cancelled"}}};
constexpr std::array<std::pair<Insight::Kind, std::string_view>, 4> kKinds = {{{Insight::Kind::progress, "progress"},
                                                                               {Insight::Kind::metric, "metric"},
                                                                               {Insight::Kind::state, "state"},
                                                                               {Insight::Kind::log, "log"}}};

Status read_list(const Json& json, const char* key, const Json*& list) {
  static const Json kNone = Json::array();
  const auto found = json.find(key);
  list = found == json.end() ? &kNone : &*found;
  if (!list->is_array()) return Error(Code::invalid, "the field " + quote(key) + " is no list");
  return ok;
}

Result<Insight> insight_from_json(const Json& json) {
  if (!json.is_object()) return Error(Code::invalid, "an insight is no object");
  Insight insight;
  std::string kind;
  HC_TRY(read_field(json, "kind", kind));
  // A value that a newer engine wrote leaves the default.
  insight.kind = value_in(kKinds, kind).value_or(insight.kind);
  HC_TRY(read_field(json, "name", insight.name));
  HC_TRY(read_field(json, "text", insight.text));
  HC_TRY(read_field(json, "number", insight.number));
  HC_TRY(read_field(json, "at_ms", insight.at_ms));
  return insight;
}

}  // namespace

std::string_view name(HookEnd end) { return name_in(kEnds, end); }

Json to_json(const Insight& insight) {
  Json json;
  json["kind"] = name_in(kKinds, insight.kind);
  if (!insight.name.empty()) json["name"] = insight.name;
  if (!insight.text.empty()) json["text"] = insight.text;
  if (insight.kind == Insight::Kind::progress || insight.kind == Insight::Kind::metric) json["number"] = insight.number;
  json["at_ms"] = insight.at_ms;
  return json;
}

Json to_json(const HookResult& result) {
  Json json;
  json["end"] = name(result.end);
  json["exit_code"] = result.exit_code;
  json["signal"] = result.signal;
  json["reason"] = result.reason;
  json["attempts"] = result.attempts;
  json["duration_ms"] = result.duration_ms;
  json["output"] = result.output;
  json["dropped_bytes"] = result.dropped_bytes;
  json["insight"] = Json::array();
  for (const Insight& insight : result.insight) json["insight"].push_back(to_json(insight));
  json["leftovers"] = result.leftovers;
  return json;
}

Result<HookResult> hook_result_from_json(const Json& json) {
  if (!json.is_object()) return Error(Code::invalid, "a hook's result is no object");
  HookResult result;
  std::string end;
  HC_TRY(read_field(json, "end", end));
  result.end = value_in(kEnds, end).value_or(result.end);
  HC_TRY(read_field(json, "exit_code", result.exit_code));
  HC_TRY(read_field(json, "signal", result.signal));
  HC_TRY(read_field(json, "reason", result.reason));
  HC_TRY(read_field(json, "attempts", result.attempts));
  HC_TRY(read_field(json, "duration_ms", result.duration_ms));
  HC_TRY(read_field(json, "output", result.output));
  HC_TRY(read_field(json, "dropped_bytes", result.dropped_bytes));
  const Json* list = nullptr;
  HC_TRY(read_list(json, "insight", list));
  for (const Json& item : *list) result.insight.push_back(HC_TRY(insight_from_json(item)));
  HC_TRY(read_list(json, "leftovers", list));
  for (const Json& item : *list) {
    if (!item.is_string()) return Error(Code::invalid, "a leftover is no text");
    result.leftovers.push_back(item.get<std::string>());
  }
  return result;
}

}  // namespace hc
