#include <cstdio>

#include "engine/base/text.h"
#include "engine/cli/service_link.h"

// The verbs around the service's queue.
namespace hc {
namespace {

void print_line(const Json& job) {
  std::string why = job.value("reason", "");
  if (why.empty() && job["error"].is_object()) why = job["error"].value("text", "");
  constexpr std::size_t kMost = 100;
  why = printable(why);
  if (why.size() > kMost) why = why.substr(0, kMost) + "...";
  std::printf("%5llu  %s  %-17s  %-8s  %-14s %-14s  %s\n", static_cast<unsigned long long>(job.value("id", 0ULL)),
              iso_time(job.value("asked_at", std::int64_t{0})).c_str(), job.value("state", "").c_str(),
              job.value("kind", "").c_str(), printable(job.value("target", "")).c_str(),
              printable(job.value("what", "")).c_str(), why.c_str());
}

}  // namespace

int jobs(const Session& session, const std::string& what, bool follow) {
  const auto link = ServiceLink::need(session);
  if (!link) return fail(session, link.error());
  if (follow && !what.empty()) return link->follow(std::strtoull(what.c_str(), nullptr, 10));
  const auto answer = link->ask("GET", what.empty() ? "/v1/jobs" : "/v1/jobs/" + what);
  if (!answer) return fail(session, answer.error());
  if (session.json) {
    print_json(*answer);
    return 0;
  }
  std::printf("%5s  %-20s  %-17s  %-8s  %-14s %-14s  %s\n", "id", "asked for at", "state", "kind", "target", "what",
              "why");
  for (const Json& job : what.empty() ? (*answer)["jobs"] : Json::array({*answer})) print_line(job);
  return 0;
}

int cancel(const Session& session, const std::string& what) {
  const auto link = ServiceLink::need(session);
  if (!link) return fail(session, link.error());
  const auto answer = link->ask("POST", "/v1/jobs/" + what + "/cancel");
  if (!answer) return fail(session, answer.error());
  if (session.json)
    print_json(*answer);
  else if (!session.quiet)
    std::printf("Job %s is asked to end; what it did is taken back.\n", what.c_str());
  return 0;
}

}  // namespace hc
