#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/service/guard.h"
#include "engine/service/queue.h"
#include "engine/upgrade/upgrader.h"

// What the service can be asked, apart from how HTTP carries it.
namespace hc {

struct Ask {
  std::string method;
  std::string path;                          // decoded
  std::map<std::string, std::string> query;  // decoded
  std::map<std::string, std::string> headers;
  std::string body;
  Caller caller;
  std::map<std::string, std::string> words;  // the parts of the path that a route names: {id}

  std::string from_query(const char* key, const std::string& otherwise = "") const {
    const auto found = query.find(key);
    return found == query.end() ? otherwise : found->second;
  }
};

struct Answer {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::map<std::string, std::string> headers;
  std::optional<std::uint64_t> follow;  // instead of a body: the events of this job, as they come
};

// What all handlers work on. Safe to use from several threads: what is opened is opened for each request.
class Api {
 public:
  Api(fs::path sysroot, std::function<void()> wake) : sysroot_(std::move(sysroot)), wake_(std::move(wake)) {}

  // Never fails: what went wrong is an answer too (problem+json).
  Answer answer(Ask ask) const;

  const fs::path& sysroot() const { return sysroot_; }
  Result<std::unique_ptr<Upgrader>> upgrader() const { return Upgrader::open(sysroot_); }
  Result<JobQueue> queue() const;
  // Adds the job, and sees to it that somebody works.
  Result<Job> enqueue(Job job) const;
  void wake() const { wake_(); }

 private:
  fs::path sysroot_;
  std::function<void()> wake_;
};

enum class Right { read, change };

struct Route {
  std::string_view method;
  std::string_view path;  // "/v1/jobs/{id}"
  Right right;
  bool everywhere;  // changes: also on the TCP port, as in the first Honeycomb; else on the unix socket only
  std::string_view summary;
  Result<Answer> (*handler)(const Api&, const Ask&);
};
// The one table: what is served, and what the OpenAPI description says.
std::span<const Route> routes();

// The description of routes() (OpenAPI 3.1).
Json openapi();

// Sets the words of the path where it matches.
bool matches(const Route& route, Ask& ask);

Answer json_answer(const Json& json, int status = 200);
// RFC 9457.
Answer problem(const Error& error, int status);
int http_status(Code code);

// The handlers, by file.
Result<Answer> get_root(const Api& api, const Ask& ask);
Result<Answer> queue_upgrade(const Api& api, const Ask& ask);
Result<Answer> get_metrics(const Api& api, const Ask& ask);
Result<Answer> get_jobs(const Api& api, const Ask& ask);
Result<Answer> post_job(const Api& api, const Ask& ask);
Result<Answer> get_job(const Api& api, const Ask& ask);
Result<Answer> get_job_events(const Api& api, const Ask& ask);
Result<Answer> cancel_job(const Api& api, const Ask& ask);
Result<Answer> defer_job(const Api& api, const Ask& ask);
Result<Answer> retry_job(const Api& api, const Ask& ask);
Result<Answer> get_targets(const Api& api, const Ask& ask);
Result<Answer> get_slots(const Api& api, const Ask& ask);
Result<Answer> get_history(const Api& api, const Ask& ask);
Result<Answer> get_transaction(const Api& api, const Ask& ask);
Result<Answer> get_health(const Api& api, const Ask& ask);
Result<Answer> get_plan(const Api& api, const Ask& ask);
Result<Answer> post_rollback(const Api& api, const Ask& ask);
Result<Answer> post_pin(const Api& api, const Ask& ask);
Result<Answer> post_unpin(const Api& api, const Ask& ask);

}  // namespace hc
