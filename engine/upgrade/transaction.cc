#include "engine/upgrade/transaction.h"

#include <array>
#include <utility>

#include "engine/base/names.h"

namespace hc {
namespace {

constexpr std::array kKinds = {std::pair{TransactionKind::deploy, std::string_view("deploy")},
                               std::pair{TransactionKind::rollback, std::string_view("rollback")},
                               std::pair{TransactionKind::confirm, std::string_view("confirm")},
                               std::pair{TransactionKind::repair, std::string_view("repair")}};
constexpr std::array kDirections = {std::pair{Direction::forward, std::string_view("forward")},
                                    std::pair{Direction::undo, std::string_view("undo")},
                                    std::pair{Direction::done, std::string_view("done")}};
constexpr std::array kOutcomes = {std::pair{Outcome::confirmed, std::string_view("confirmed")},
                                  std::pair{Outcome::failed, std::string_view("failed")},
                                  std::pair{Outcome::rolled_back, std::string_view("rolled-back")},
                                  std::pair{Outcome::not_needed, std::string_view("not-needed")},
                                  std::pair{Outcome::not_fitted, std::string_view("not-fitted")},
                                  std::pair{Outcome::cancelled, std::string_view("cancelled")}};

// Reads a key of the wanted type; the default where it is absent or of another type (a newer engine's business).
template <typename T>
T get(const Json& json, const char* key, T otherwise = {}) {
  const auto it = json.find(key);
  if (it == json.end()) return otherwise;
  if constexpr (std::is_same_v<T, std::string>) {
    return it->is_string() ? it->template get<T>() : otherwise;
  } else if constexpr (std::is_same_v<T, bool>) {
    return it->is_boolean() ? it->template get<T>() : otherwise;
  } else {
    return it->is_number_integer() ? it->template get<T>() : otherwise;
  }
}

Json get_json(const Json& json, const char* key, Json otherwise) {
  const auto it = json.find(key);
  return it != json.end() && it->type() == otherwise.type() ? *it : otherwise;
}

std::vector<std::string> get_texts(const Json& json, const char* key) {
  std::vector<std::string> texts;
  for (const Json& entry : get_json(json, key, Json::array()))
    if (entry.is_string()) texts.push_back(entry.get<std::string>());
  return texts;
}

Json to_json(const Side& side) {
  Json json = Json::object();
  if (side.slot) json["slot"] = name(*side.slot);
  json["commit"] = side.commit;
  json["version"] = side.version;
  json["sequence"] = side.sequence;
  return json;
}

Result<Side> side_from(const Json& json) {
  Side side;
  if (json.contains("slot")) side.slot = HC_TRY(parse_slot(get<std::string>(json, "slot")));
  side.commit = get<std::string>(json, "commit");
  side.version = get<std::string>(json, "version");
  side.sequence = get<std::uint64_t>(json, "sequence");
  return side;
}

Json to_json(const StepRecord& step) {
  return {{"name", step.name}, {"direction", step.direction},     {"outcome", step.outcome},
          {"at", step.at},     {"duration_ms", step.duration_ms}, {"text", step.text}};
}

StepRecord step_from(const Json& json) {
  return {get<std::string>(json, "name"), get<std::string>(json, "direction"),    get<std::string>(json, "outcome"),
          get<std::int64_t>(json, "at"),  get<std::int64_t>(json, "duration_ms"), get<std::string>(json, "text")};
}

void put_progress(Json& json, const Transaction& t) {
  json["direction"] = name(t.direction);
  json["step"] = t.step;
  json["entries"] = t.entries;
  json["boot_id"] = t.boot_id;
  json["failure"] = nullptr;
  if (t.failure) {
    json["failure"] = {{"step", t.failure->step},
                       {"code", name(t.failure->code)},
                       {"text", t.failure->text},
                       {"hint", t.failure->hint}};
  }
  json["outcome"] = nullptr;
  if (t.outcome) json["outcome"] = name(*t.outcome);
  json["degraded"] = t.degraded;
  json["ended_at"] = t.ended_at;
}

Status get_progress(const Json& json, Transaction& t) {
  const auto direction = value_in(kDirections, get<std::string>(json, "direction"));
  if (!direction) return Error(Code::invalid, "the key `direction` is missing or unknown");
  t.direction = *direction;
  t.step = get<std::string>(json, "step");
  t.entries = get<int>(json, "entries");
  t.boot_id = get<std::string>(json, "boot_id");
  if (const Json failure = get_json(json, "failure", Json::object()); !failure.empty()) {
    t.failure = Failure{get<std::string>(failure, "step"), code_from(get<std::string>(failure, "code")),
                        get<std::string>(failure, "text"), get<std::string>(failure, "hint")};
  }
  t.outcome = value_in(kOutcomes, get<std::string>(json, "outcome"));
  t.degraded = get<std::string>(json, "degraded");
  t.ended_at = get<std::int64_t>(json, "ended_at");
  return ok;
}

}  // namespace

std::string_view name(TransactionKind kind) { return name_in(kKinds, kind); }
std::string_view name(Direction direction) { return name_in(kDirections, direction); }
std::string_view name(Outcome outcome) { return name_in(kOutcomes, outcome); }

std::string Transaction::label() const { return "transaction " + std::to_string(id); }

Json to_json(const Transaction& t) {
  Json json = t.other.is_object() ? t.other : Json::object();
  json["format"] = Transaction::kFormat;
  json["id"] = t.id;
  json["kind"] = name(t.kind);
  json["target"] = t.target.name();
  json["request"] = {
      {"what", t.requested}, {"by", t.requested_by}, {"at", t.requested_at}, {"url", t.url}, {"again", t.again}};
  json["jobs"] = t.jobs;
  json["from"] = to_json(t.from);
  json["to"] = to_json(t.to);
  json["replaced"] = nullptr;
  if (t.replaced) json["replaced"] = *t.replaced;
  json["manifest"] = t.manifest;
  json["restart"] = t.restart;
  json["part_of"] = t.part_of;
  json["carried"] = Json::array();
  for (const Transaction& carried : t.carried) json["carried"].push_back(to_json(carried));
  put_progress(json, t);
  json["steps"] = Json::array();
  for (const StepRecord& step : t.steps) json["steps"].push_back(to_json(step));
  json["hooks"] = t.hooks;
  json["health"] = t.health;
  json["passed_before"] = t.passed_before;
  json["notes"] = t.notes;
  return json;
}

Result<Transaction> transaction_from(const Json& json) {
  if (!json.is_object()) return Error(Code::invalid, "a transaction is a JSON object");
  Transaction t;
  t.other = json;
  t.id = get<std::uint64_t>(json, "id");
  if (t.id == 0) return Error(Code::invalid, "the key `id` is missing");
  const auto kind = value_in(kKinds, get<std::string>(json, "kind"));
  if (!kind) return Error(Code::invalid, "the key `kind` is missing or unknown");
  t.kind = *kind;
  t.target = HC_TRY(Target::parse(get<std::string>(json, "target")));
  const Json request = get_json(json, "request", Json::object());
  t.requested = get<std::string>(request, "what");
  t.requested_by = get<std::string>(request, "by");
  t.requested_at = get<std::int64_t>(request, "at");
  t.url = get<std::string>(request, "url");
  t.again = get<bool>(request, "again");
  t.jobs = get_texts(json, "jobs");
  t.from = HC_TRY(side_from(get_json(json, "from", Json::object())));
  t.to = HC_TRY(side_from(get_json(json, "to", Json::object())));
  if (const auto replaced = get<std::string>(json, "replaced"); !replaced.empty()) t.replaced = replaced;
  t.manifest = get_json(json, "manifest", Json::object());
  t.restart = get<bool>(json, "restart");
  t.part_of = get<std::uint64_t>(json, "part_of");
  for (const Json& carried : get_json(json, "carried", Json::array()))
    t.carried.push_back(HC_TRY(transaction_from(carried).in("in `carried`")));
  HC_TRY(get_progress(json, t));
  for (const Json& step : get_json(json, "steps", Json::array())) t.steps.push_back(step_from(step));
  t.hooks = get_json(json, "hooks", Json::array());
  t.health = get_json(json, "health", Json::object());
  t.passed_before = get_texts(json, "passed_before");
  t.notes = get_texts(json, "notes");
  return t;
}

}  // namespace hc
