#include "engine/upgrade/told.h"

#include <array>
#include <utility>

#include "engine/base/json_field.h"

namespace hc {
namespace {

constexpr std::array kEnds = {std::pair{Ended::finished, std::string_view("finished")},
                              std::pair{Ended::reboot, std::string_view("reboot")},
                              std::pair{Ended::later, std::string_view("later")}};

// A field that is not there or of another type is a newer engine's business.
template <typename T>
T field(const Json& json, const char* key, T otherwise = {}) {
  T value = otherwise;
  return read_field(json, key, value) ? value : otherwise;
}

// Without what grows: an event is read again and again.
Json brief(Transaction t) {
  if (t.steps.size() > 1) t.steps.erase(t.steps.begin(), t.steps.end() - 1);
  if (t.hooks.size() > 1) t.hooks = Json::array({t.hooks.back()});
  t.manifest = Json::object();
  t.health = Json::object();
  t.other = Json::object();
  t.passed_before.clear();
  return to_json(t);
}

std::optional<Transaction> transaction_of(const Json& data) {
  const auto found = data.find("transaction");
  if (found == data.end()) return std::nullopt;
  auto t = transaction_from(*found);
  return t ? std::optional(std::move(t).value()) : std::nullopt;
}

}  // namespace

Listener told_as_json(const TellFn& tell) {
  Listener listener;
  listener.progress = [tell](const Progress& p) {
    tell("progress", {{"what", p.what}, {"done", p.done}, {"total", p.total}, {"bytes", p.bytes}});
  };
  listener.begins = [tell](const Transaction& t, const std::string& step, Direction direction) {
    tell("begins", {{"step", step}, {"direction", name(direction)}, {"transaction", brief(t)}});
  };
  listener.ended = [tell](const Transaction& t, const StepRecord& record) {
    tell("ended", {{"step", record.name}, {"outcome", record.outcome}, {"transaction", brief(t)}});
  };
  listener.hook.insight = [tell](const Insight& insight) { tell("insight", to_json(insight)); };
  listener.hook.line = [tell](std::string_view line) { tell("line", {{"text", line}}); };
  return listener;
}

void retell(const std::string& event, const Json& data, const Listener& listener) {
  if (!data.is_object()) return;
  if (event == "progress" && listener.progress) {
    listener.progress({field<std::string>(data, "what"), field<std::uint64_t>(data, "done"),
                       field<std::uint64_t>(data, "total"), field<bool>(data, "bytes")});
  } else if (event == "begins" && listener.begins) {
    const bool undo = field<std::string>(data, "direction") == name(Direction::undo);
    if (const auto t = transaction_of(data))
      listener.begins(*t, field<std::string>(data, "step"), undo ? Direction::undo : Direction::forward);
  } else if (event == "ended" && listener.ended) {
    const auto t = transaction_of(data);
    if (t && !t->steps.empty()) listener.ended(*t, t->steps.back());
  } else if (event == "insight" && listener.hook.insight) {
    const auto result = hook_result_from_json({{"insight", Json::array({data})}});
    if (result && !result->insight.empty()) listener.hook.insight(result->insight.front());
  } else if (event == "line" && listener.hook.line) {
    listener.hook.line(field<std::string>(data, "text"));
  }
}

Json to_json(const Report& report) {
  std::string_view ended;
  for (const auto& [value, text] : kEnds)
    if (value == report.ended) ended = text;
  return {{"ended", ended}, {"transaction", to_json(report.transaction)}};
}

Result<Report> report_from(const Json& json) {
  const auto t = transaction_of(json);
  const std::string text = field<std::string>(json, "ended");
  for (const auto& [value, name] : kEnds)
    if (name == text && t) return Report{*t, value};
  return Error(Code::internal, "the report of the transaction cannot be read");
}

Json to_json(const Error& error) {
  return {{"code", name(error.code())}, {"text", error.text()}, {"hint", error.hint()}};
}

Error error_from(const Json& json) {
  if (!json.is_object()) return {Code::internal, "an error that cannot be read"};
  return Error(code_from(field<std::string>(json, "code")), field<std::string>(json, "text"))
      .with_hint(field<std::string>(json, "hint"));
}

}  // namespace hc
