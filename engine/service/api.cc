#include "engine/service/api.h"

#include <glib.h>

#include <algorithm>
#include <array>

#include "engine/base/handle.h"
#include "engine/base/text.h"

namespace hc {
namespace {

constexpr std::array kRoutes = {
    Route{"GET", "/", Right::read, true, "The node in short: what runs, what is under way, what waits", get_root},
    Route{"GET", "/queue-upgrade", Right::change, true, "Queues a payload file of the upgrades directory (?filename=)",
          queue_upgrade},
    Route{"POST", "/queue-upgrade", Right::change, true, "The same", queue_upgrade},
    Route{"GET", "/metrics", Right::read, true, "Measurements for Prometheus", get_metrics},
    Route{"GET", "/v1/jobs", Right::read, true, "The jobs that wait, run or ended lately", get_jobs},
    Route{"POST", "/v1/jobs", Right::change, false, "Queues a job", post_job},
    Route{"GET", "/v1/jobs/{id}", Right::read, true, "One job", get_job},
    Route{"GET", "/v1/jobs/{id}/events", Right::read, true, "What happens to a job, as server-sent events",
          get_job_events},
    Route{"POST", "/v1/jobs/{id}/cancel", Right::change, false, "Ends a job; what it did is taken back", cancel_job},
    Route{"POST", "/v1/jobs/{id}/defer", Right::change, false, "Not before so many seconds from now (?seconds=)",
          defer_job},
    Route{"POST", "/v1/jobs/{id}/retry", Right::change, false, "Queues a job that ended once more", retry_job},
    Route{"GET", "/v1/targets", Right::read, true, "Targets, slots and what is under way", get_targets},
    Route{"GET", "/v1/targets/{target}/slots", Right::read, true, "The slots of one target", get_slots},
    Route{"POST", "/v1/targets/{target}/rollback", Right::change, false, "Queues the way back to the other slot",
          post_rollback},
    Route{"POST", "/v1/targets/{target}/pin", Right::change, false, "Queues the pin of a version (?what=)", post_pin},
    Route{"POST", "/v1/targets/{target}/unpin", Right::change, false, "Queues the end of a pin (?what=)", post_unpin},
    Route{"GET", "/v1/history", Right::read, true, "Every transaction that ended (?target=, ?most=)", get_history},
    Route{"GET", "/v1/history/{id}", Right::read, true, "One transaction, also the one under way", get_transaction},
    Route{"GET", "/v1/health", Right::read, true, "The last health report", get_health},
    Route{"GET", "/v1/plan", Right::read, false, "What a deploy would do (?what=, ?target=)", get_plan},
};

std::vector<std::string> parts_of(std::string_view path) { return split(path, '/'); }

bool is_word(std::string_view part) { return part.starts_with('{') && part.ends_with('}'); }

Status may(const Route& route, const Ask& ask) {
  HC_TRY(ask.caller.local_socket ? Status(ok) : refuse_browsers(ask.headers, route.right == Right::change));
  if (!ask.caller.local_socket && !route.everywhere)
    return Error(Code::untrusted, "this is not answered on the TCP port")
        .with_hint("use the unix socket of honeycombd");
  if (ask.caller.local_socket && route.right == Right::change && !ask.caller.may_change)
    return Error(Code::untrusted, ask.caller.name + " may look at this node, but not change it")
        .with_hint("root and the members of the group `honeycomb` may");
  return ok;
}

std::string etag_of(const std::string& body) {
  constexpr std::size_t kDigits = 24;
  const GText digest(
      g_compute_checksum_for_data(G_CHECKSUM_SHA256, reinterpret_cast<const guchar*>(body.data()), body.size()));
  return "\"" + std::string(digest.get()).substr(0, kDigits) + "\"";
}

// A client that knows this answer already need not get it again.
void add_etag(const Ask& ask, Answer& answer) {
  if (ask.method != "GET" || answer.status != 200 || answer.follow) return;
  const std::string etag = etag_of(answer.body);
  answer.headers["ETag"] = etag;
  const auto known = ask.headers.find("if-none-match");
  if (known == ask.headers.end() || known->second.find(etag) == std::string::npos) return;
  answer.status = 304;
  answer.body.clear();
}

}  // namespace

std::span<const Route> routes() { return kRoutes; }

bool matches(const Route& route, Ask& ask) {
  const std::vector<std::string> wanted = parts_of(route.path);
  const std::vector<std::string> given = parts_of(ask.path);
  if (wanted.size() != given.size()) return false;
  std::map<std::string, std::string> words;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (is_word(wanted[i]) && !given[i].empty())
      words[wanted[i].substr(1, wanted[i].size() - 2)] = given[i];
    else if (wanted[i] != given[i])
      return false;
  }
  ask.words = std::move(words);
  return true;
}

int http_status(Code code) {
  switch (code) {
    case Code::invalid:
      return 422;
    case Code::untrusted:
      return 403;
    case Code::unavailable:
    case Code::busy:
      return 503;
    case Code::no_space:
      return 507;
    case Code::cancelled:
      return 409;
    default:
      return 500;
  }
}

Answer json_answer(const Json& json, int status) { return {status, "application/json", dump_json(json), {}, {}}; }

Answer problem(const Error& error, int status) {
  Answer answer = json_answer({{"type", "about:blank"},
                               {"title", printable(error.text())},
                               {"status", status},
                               {"code", name(error.code())},
                               {"detail", printable(error.hint())}},
                              status);
  answer.type = "application/problem+json";
  if (status == 503 || status == 429) answer.headers["Retry-After"] = "5";
  return answer;
}

Answer Api::answer(Ask ask) const {
  std::string allowed;
  for (const Route& route : kRoutes) {
    if (!matches(route, ask)) continue;
    if (route.method != ask.method) {
      allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
      continue;
    }
    if (const Status allowed_to = may(route, ask); !allowed_to) return problem(allowed_to.error(), 403);
    Result<Answer> answer = route.handler(*this, ask);
    if (!answer) return problem(answer.error(), http_status(answer.error().code()));
    Answer good = std::move(answer).value();
    add_etag(ask, good);
    return good;
  }
  if (allowed.empty()) return problem(Error(Code::invalid, "there is nothing at " + quote(ask.path)), 404);
  Answer answer = problem(Error(Code::invalid, ask.path + " does not take " + quote(ask.method)), 405);
  answer.headers["Allow"] = allowed;
  return answer;
}

Result<JobQueue> Api::queue() const {
  static const SystemClock clock;
  const Node node = HC_TRY(Node::open(sysroot_));
  return JobQueue::open(node.state, clock);
}

Result<Job> Api::enqueue(Job job) const {
  JobQueue queue = HC_TRY(this->queue());
  Job added = HC_TRY(queue.add(std::move(job)));
  wake_();
  return added;
}

}  // namespace hc
