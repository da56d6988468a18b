#include "engine/cli/service_link.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "engine/base/json_field.h"
#include "engine/base/text.h"
#include "engine/cli/reporter.h"
#include "engine/upgrade/told.h"

namespace hc {
namespace {

template <typename T>
T field(const Json& json, const char* key, T otherwise = {}) {
  T value = otherwise;
  return json.is_object() && read_field(json, key, value) ? value : otherwise;
}

bool has_ended(const std::string& state) { return state == "done" || state == "failed" || state == "cancelled"; }

}  // namespace

std::string who() {
  if (const char* sudo = std::getenv("SUDO_USER")) return printable(sudo);
  const passwd* entry = getpwuid(getuid());
  return entry != nullptr ? entry->pw_name : std::to_string(getuid());
}

std::optional<ServiceLink> ServiceLink::find(const Session& session) {
  const fs::path socket = session.sysroot / "run/honeycomb/honeycombd.sock";
  if (!listens(socket)) return std::nullopt;
  return ServiceLink(session, socket);
}

Result<ServiceLink> ServiceLink::need(const Session& session) {
  std::optional<ServiceLink> link = find(session);
  if (link) return std::move(*link);
  return Error(Code::unavailable, "honeycombd does not run on this node, so there is no queue")
      .with_hint("`systemctl start honeycombd.socket`; without it hc-os works by itself, one change at a time");
}

Result<Json> ServiceLink::ask(const std::string& method, const std::string& path, const Json& body) const {
  const LocalAnswer answer = HC_TRY(local_request(socket_, method, path, dump_json(body, -1), session_->stop));
  Json json = HC_TRY(parse_json(answer.body, 64 << 20).in("the answer of honeycombd"));
  constexpr long kFirstFailure = 400;
  if (answer.status < kFirstFailure) return json;
  return Error(code_from(field<std::string>(json, "code")), field<std::string>(json, "title"))
      .with_hint(field<std::string>(json, "detail"));
}

Result<std::uint64_t> ServiceLink::queue(const Json& job) const {
  const Json accepted = HC_TRY(ask("POST", "/v1/jobs", job));
  return field<std::uint64_t>(accepted, "job");
}

int ServiceLink::follow(std::uint64_t job) const {
  const std::string path = "/v1/jobs/" + std::to_string(job);
  Reporter reporter(*session_);
  const Listener listener = reporter.listener();
  std::uint64_t place = 0;
  std::string told;
  std::optional<Json> last;
  const auto take = [&](const ServerEvent& event) {
    place = event.id;
    const auto data = parse_json(event.data);
    if (!data) return true;
    if (event.event != "job") {
      retell(event.event, data->is_object() ? data->value("data", Json()) : Json(), listener);
      return true;
    }
    const std::string state = field<std::string>(*data, "state");
    const std::string reason = field<std::string>(*data, "reason");
    if (has_ended(state) || state == "waits-for-restart") {
      last = *data;
      return false;
    }
    if (state == "deferred" && reason != told && !session_->json && !session_->quiet)
      std::fprintf(stderr, "job %llu waits: %s\n", static_cast<unsigned long long>(job), printable(reason).c_str());
    told = reason;
    return true;
  };
  // The service may be restarted meanwhile; the job goes on.
  constexpr int kMostBreaks = 30;
  SystemClock clock;
  for (int breaks = 0; !last; ++breaks) {
    const Status seen = local_events(socket_, path + "/events", place, take, session_->stop);
    if (session_->stop.requested()) {
      const std::string number = std::to_string(job);
      if (!session_->quiet)
        std::fprintf(
            stderr,
            "\nLet go of job %s, which goes on: `hc-os jobs %s --follow` watches it, `hc-os cancel %s` ends it.\n",
            number.c_str(), number.c_str(), number.c_str());
      return exit_status(Code::cancelled);
    }
    if (last) break;
    if (!seen && breaks >= kMostBreaks) return fail(*session_, seen.error());
    clock.sleep_ms(seen ? 0 : 1000);
  }
  return conclude(*last);
}

int ServiceLink::conclude(const Json& job) const {
  Reporter reporter(*session_);
  const std::uint64_t number = field<std::uint64_t>(job, "transaction");
  const auto error = job.find("error");
  if (number == 0 && error != job.end() && error->is_object()) return fail(*session_, error_from(*error));
  if (number == 0) {
    const std::string said = field<std::string>(job.value("result", Json::object()), "text");
    if (session_->json)
      print_json({{"done", said}});
    else if (!session_->quiet)
      std::printf("%s.\n", printable(said).c_str());
    return 0;
  }
  const auto json = ask("GET", "/v1/history/" + std::to_string(number));
  if (!json) return fail(*session_, json.error());
  auto t = transaction_from(*json);
  const auto node = Node::open(session_->sysroot);
  if (!t || !node) return fail(*session_, t ? node.error() : t.error());
  const bool restart = field<std::string>(job, "state") == "waits-for-restart";
  return reporter.conclude({std::move(t).value(), restart ? Ended::reboot : Ended::finished}, *node);
}

std::optional<int> by_service(const Session& session, Json job) {
  const auto link = ServiceLink::need(session);
  if (!link && session.detach) return fail(session, link.error());
  if (!link) return std::nullopt;
  // As without a service: one attempt, now, and its answer. Whoever goes away lets the node try again by itself.
  if (!session.detach) job["attempts"] = 1;
  job["any_time"] = !session.detach;
  job["by"] = who();
  const auto number = link->queue(job);
  if (!number) return fail(session, number.error());
  if (!session.detach) return link->follow(*number);
  const std::string id = std::to_string(*number);
  if (session.json)
    print_json({{"job", *number}});
  else if (!session.quiet)
    std::printf("Job %s is queued; `hc-os jobs %s --follow` watches it.\n", id.c_str(), id.c_str());
  return 0;
}

}  // namespace hc
