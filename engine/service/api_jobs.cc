#include <charconv>

#include "engine/base/json_field.h"
#include "engine/base/text.h"
#include "engine/service/api.h"
#include "engine/service/payload_file.h"

namespace hc {
namespace {

constexpr unsigned kAttempts = 5;  // where nobody says otherwise: whoever queues does not wait for the answer
constexpr unsigned kMostAttempts = 1000;

Result<std::uint64_t> number_of(const std::string& text, const char* what) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty())
    return Error(Code::invalid, quote(text) + " is no " + what);
  return number;
}

Result<Job> job_of(const Api& api, const Ask& ask) {
  const std::uint64_t id = HC_TRY(number_of(ask.words.at("id"), "number of a job"));
  const JobQueue queue = HC_TRY(api.queue());
  std::optional<Job> job = HC_TRY(queue.find(id));
  if (!job) return Error(Code::invalid, "there is no job " + std::to_string(id)).with_hint("GET /v1/jobs lists them");
  return std::move(*job);
}

Answer accepted(const Job& job) {
  Answer answer = json_answer({{"job", job.id},
                               {"state", name(job.state)},
                               {"url", "/v1/jobs/" + std::to_string(job.id)},
                               {"events", "/v1/jobs/" + std::to_string(job.id) + "/events"}},
                              202);
  answer.headers["Location"] = "/v1/jobs/" + std::to_string(job.id);
  return answer;
}

// What a caller may say about a new job.
Result<Job> wish(const Json& json) {
  if (!json.is_object()) return Error(Code::invalid, "a job is a JSON object");
  Job job;
  job.attempts = kAttempts;
  std::string kind = "deploy";
  int attempts = static_cast<int>(kAttempts);
  for (const auto& [key, value] : json.items()) {
    constexpr std::string_view kKnown[] = {"kind", "target", "what", "again", "reboot", "any_time", "attempts", "by"};
    if (std::find(std::begin(kKnown), std::end(kKnown), key) == std::end(kKnown))
      return Error(Code::invalid, "a job has no " + quote(key))
          .with_hint("kind, target, what, again, reboot, any_time, attempts");
  }
  HC_TRY(read_field(json, "kind", kind));
  HC_TRY(read_field(json, "target", job.target));
  HC_TRY(read_field(json, "what", job.what));
  HC_TRY(read_field(json, "again", job.again));
  HC_TRY(read_field(json, "reboot", job.reboot));
  HC_TRY(read_field(json, "any_time", job.any_time));
  HC_TRY(read_field(json, "by", job.by));
  HC_TRY(read_field(json, "attempts", attempts));
  const auto known = job_kind_from(kind);
  if (!known) return Error(Code::invalid, quote(kind) + " is no kind of job");
  if (attempts < 1 || attempts > static_cast<int>(kMostAttempts))
    return Error(Code::invalid, "attempts is a number from 1 to " + std::to_string(kMostAttempts));
  job.kind = *known;
  job.attempts = static_cast<unsigned>(attempts);
  return job;
}

Status check(const Api& api, const Job& job) {
  constexpr std::size_t kLongest = 256;
  HC_TRY(Target::parse(job.target));
  const bool wants_what = job.kind == JobKind::deploy || job.kind == JobKind::pin || job.kind == JobKind::unpin;
  if (wants_what && job.what.empty()) return Error(Code::invalid, "`what` is missing: a version, a commit or a ref");
  if (job.what.size() > kLongest || printable(job.what) != job.what)
    return Error(Code::invalid, quote(job.what) + " is no version, commit or ref");
  if (job.kind != JobKind::file) return ok;
  const Node node = HC_TRY(Node::open(api.sysroot()));
  HC_TRY(find_payload_file(node.state / "upgrades", job.what));
  return ok;
}

Result<Answer> add(const Api& api, const Ask& ask, Job job) {
  HC_TRY(check(api, job));
  // Root may speak for somebody: hc-os does, for the person behind sudo.
  const bool spoken_for = ask.caller.local_socket && ask.caller.uid == 0 && !job.by.empty();
  if (!spoken_for || printable(job.by) != job.by) job.by = ask.caller.name;
  return accepted(HC_TRY(api.enqueue(std::move(job))));
}

Result<Answer> add(const Api& api, const Ask& ask, JobKind kind) {
  Job job;
  job.kind = kind;
  job.attempts = kAttempts;
  job.target = ask.words.at("target");
  job.what = ask.from_query("what");
  return add(api, ask, std::move(job));
}

}  // namespace

Result<Answer> queue_upgrade(const Api& api, const Ask& ask) {
  Job job;
  job.kind = JobKind::file;
  job.attempts = kAttempts;
  job.what = ask.from_query("filename");
  return add(api, ask, std::move(job));
}

Result<Answer> get_jobs(const Api& api, const Ask&) {
  const JobQueue queue = HC_TRY(api.queue());
  Json list = Json::array();
  for (const Job& job : HC_TRY(queue.all())) list.push_back(to_json(job));
  return json_answer({{"jobs", std::move(list)}});
}

Result<Answer> post_job(const Api& api, const Ask& ask) {
  const Json json = HC_TRY(parse_json(ask.body).in("the body"));
  return add(api, ask, HC_TRY(wish(json)));
}

Result<Answer> get_job(const Api& api, const Ask& ask) { return json_answer(to_json(HC_TRY(job_of(api, ask)))); }

Result<Answer> get_job_events(const Api& api, const Ask& ask) {
  Answer answer;
  answer.follow = HC_TRY(job_of(api, ask)).id;
  return answer;
}

Result<Answer> cancel_job(const Api& api, const Ask& ask) {
  JobQueue queue = HC_TRY(api.queue());
  const Job known = HC_TRY(job_of(api, ask));
  const Job job = HC_TRY(queue.change(known.id, [](Job& current) -> Status {
    current.cancel = true;
    // One that never began needs no worker to end it.
    if (current.state != JobState::queued || current.starts != 0 || current.transaction != 0) return ok;
    current.state = JobState::cancelled;
    return ok;
  }));
  api.wake();
  return accepted(job);
}

Result<Answer> defer_job(const Api& api, const Ask& ask) {
  constexpr std::uint64_t kMost = 366ULL * 86'400;
  const std::uint64_t seconds = HC_TRY(number_of(ask.from_query("seconds"), "number of seconds"));
  if (seconds > kMost) return Error(Code::invalid, "a job can be deferred for a year at the most");
  JobQueue queue = HC_TRY(api.queue());
  const Job known = HC_TRY(job_of(api, ask));
  const std::int64_t until = SystemClock().wall_seconds() + static_cast<std::int64_t>(seconds);
  const Job job = HC_TRY(queue.change(known.id, [&](Job& current) -> Status {
    if (current.state != JobState::queued && current.state != JobState::deferred)
      return Error(Code::invalid, current.label() + " is under way").with_hint("it can be cancelled");
    current.state = JobState::deferred;
    current.not_before = until;
    current.reason = "deferred by " + ask.caller.name;
    return ok;
  }));
  api.wake();
  return accepted(job);
}

Result<Answer> retry_job(const Api& api, const Ask& ask) {
  const Job old = HC_TRY(job_of(api, ask));
  if (!ended(old.state)) return Error(Code::invalid, old.label() + " has not ended: " + std::string(name(old.state)));
  Job job;
  job.kind = old.kind;
  job.target = old.target;
  job.what = old.what;
  job.again = true;
  job.reboot = old.reboot;
  job.any_time = old.any_time;
  job.attempts = kAttempts;
  return add(api, ask, std::move(job));
}

Result<Answer> post_rollback(const Api& api, const Ask& ask) { return add(api, ask, JobKind::rollback); }
Result<Answer> post_pin(const Api& api, const Ask& ask) { return add(api, ask, JobKind::pin); }
Result<Answer> post_unpin(const Api& api, const Ask& ask) { return add(api, ask, JobKind::unpin); }

}  // namespace hc
