#include "engine/service/job.h"

#include <array>
#include <utility>

#include "engine/base/json_field.h"
#include "engine/base/names.h"
#include "engine/upgrade/told.h"

namespace hc {
namespace {

using namespace std::string_view_literals;

constexpr std::array kKinds = {
    std::pair{JobKind::deploy, "deploy"sv},   std::pair{JobKind::rollback, "rollback"sv},
    std::pair{JobKind::confirm, "confirm"sv}, std::pair{JobKind::pin, "pin"sv},
    std::pair{JobKind::unpin, "unpin"sv},     std::pair{JobKind::collect, "gc"sv},
    std::pair{JobKind::health, "health"sv},   std::pair{JobKind::file, "file"sv},
};
constexpr std::array kStates = {
    std::pair{JobState::queued, "queued"sv},       std::pair{JobState::running, "running"sv},
    std::pair{JobState::deferred, "deferred"sv},   std::pair{JobState::restart, "waits-for-restart"sv},
    std::pair{JobState::done, "done"sv},           std::pair{JobState::failed, "failed"sv},
    std::pair{JobState::cancelled, "cancelled"sv},
};

// One list of the plain fields, for both directions.
template <typename J, typename Each>
Status each_field(J& job, Each each) {
  HC_TRY(each("id", job.id));
  HC_TRY(each("uid", job.uid));
  HC_TRY(each("target", job.target));
  HC_TRY(each("what", job.what));
  HC_TRY(each("by", job.by));
  HC_TRY(each("asked_at", job.asked_at));
  HC_TRY(each("again", job.again));
  HC_TRY(each("reboot", job.reboot));
  HC_TRY(each("any_time", job.any_time));
  HC_TRY(each("attempts", job.attempts));
  HC_TRY(each("reason", job.reason));
  HC_TRY(each("not_before", job.not_before));
  HC_TRY(each("changed_at", job.changed_at));
  HC_TRY(each("ended_at", job.ended_at));
  HC_TRY(each("attempt", job.attempt));
  HC_TRY(each("starts", job.starts));
  HC_TRY(each("cut_off", job.cut_off));
  HC_TRY(each("cancel", job.cancel));
  HC_TRY(each("boot_id", job.boot_id));
  return each("transaction", job.transaction);
}

template <typename T>
Status read_into(const Json& json, const char* key, T& value) {
  return read_field(json, key, value);
}
Status read_into(const Json& json, const char* key, unsigned& value) {
  int number = static_cast<int>(value);
  HC_TRY(read_field(json, key, number));
  if (number < 0) return Error(Code::invalid, "the field " + quote(key) + " is negative");
  value = static_cast<unsigned>(number);
  return ok;
}

}  // namespace

std::string_view name(JobKind kind) { return name_in(kKinds, kind); }
std::string_view name(JobState state) { return name_in(kStates, state); }
std::optional<JobKind> job_kind_from(std::string_view text) { return value_in(kKinds, text); }

Json to_json(const Job& job) {
  Json json = job.other.is_object() ? job.other : Json::object();
  json["format"] = Job::kFormat;
  json["kind"] = name(job.kind);
  json["state"] = name(job.state);
  const Status all = each_field(job, [&](const char* key, const auto& value) -> Status {
    json[key] = value;
    return ok;
  });
  static_cast<void>(all);
  json["error"] = nullptr;
  if (job.error) json["error"] = to_json(*job.error);
  json["result"] = job.result;
  return json;
}

Result<Job> job_from(const Json& json) {
  if (!json.is_object()) return Error(Code::invalid, "a job is a JSON object");
  Job job;
  job.other = json;
  std::string kind;
  std::string state;
  HC_TRY(read_field(json, "kind", kind));
  HC_TRY(read_field(json, "state", state));
  HC_TRY(each_field(job, [&](const char* key, auto& value) { return read_into(json, key, value); }));
  const auto known_kind = job_kind_from(kind);
  const auto known_state = value_in(kStates, state);
  if (job.id == 0 || job.uid.empty() || !known_kind || !known_state)
    return Error(Code::invalid, "a job needs id, uid, and a kind and state that this engine knows");
  job.kind = *known_kind;
  job.state = *known_state;
  if (const auto error = json.find("error"); error != json.end() && error->is_object()) job.error = error_from(*error);
  if (const auto result = json.find("result"); result != json.end() && result->is_object()) job.result = *result;
  return job;
}

}  // namespace hc
