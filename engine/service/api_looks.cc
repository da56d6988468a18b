#include <algorithm>

#include "engine/base/text.h"
#include "engine/service/api.h"

namespace hc {
namespace {

// Without what makes a list long; one transaction alone has all of it.
Json brief(const Transaction& t) {
  Json json = to_json(t);
  for (const char* key : {"steps", "hooks", "health", "passed_before"}) json.erase(key);
  return json;
}

Json count(const std::vector<Job>& jobs) {
  Json counts = Json::object();
  for (const Job& job : jobs) {
    const std::string state(name(job.state));
    counts[state] = counts.value(state, 0) + 1;
  }
  return counts;
}

}  // namespace

Result<Answer> get_root(const Api& api, const Ask&) {
  const auto upgrader = HC_TRY(api.upgrader());
  const NodeStatus status = HC_TRY(upgrader->status());
  const JobQueue queue = HC_TRY(api.queue());
  const std::vector<Job> jobs = HC_TRY(queue.all());
  Json targets = Json::object();
  for (const TargetStatus& target : status.targets) {
    Json& version = targets[target.target.name()];
    for (const SlotStatus& slot : target.slots)
      if (slot.booted && slot.content) version = slot.content->version;
  }
  const auto running =
      std::find_if(jobs.begin(), jobs.end(), [](const Job& job) { return job.state == JobState::running; });
  return json_answer({{"honeycomb", HC_VERSION},
                      {"model", status.model},
                      {"versions", std::move(targets)},
                      {"transaction", status.transaction ? brief(*status.transaction) : Json(nullptr)},
                      {"waits_for_reboot", status.waits_for_reboot},
                      {"job", running == jobs.end() ? Json(nullptr) : Json(running->id)},
                      {"jobs", count(jobs)}});
}

Result<Answer> get_targets(const Api& api, const Ask&) {
  const auto upgrader = HC_TRY(api.upgrader());
  return json_answer(to_json(HC_TRY(upgrader->status())));
}

Result<Answer> get_slots(const Api& api, const Ask& ask) {
  const auto upgrader = HC_TRY(api.upgrader());
  const Json status = to_json(HC_TRY(upgrader->status()));
  for (const Json& target : status["targets"])
    if (target["target"] == ask.words.at("target")) return json_answer(target);
  return Error(Code::invalid, "this node has no target " + quote(ask.words.at("target")));
}

Result<Answer> get_history(const Api& api, const Ask& ask) {
  const auto upgrader = HC_TRY(api.upgrader());
  const std::string target = ask.from_query("target");
  const std::size_t most = std::strtoull(ask.from_query("most", "50").c_str(), nullptr, 10);
  const std::vector<Transaction> all = newest_of(HC_TRY(upgrader->history()), target, most);
  Json list = Json::array();
  for (const Transaction& t : all) list.push_back(brief(t));
  return json_answer({{"transactions", std::move(list)}});
}

Result<Answer> get_transaction(const Api& api, const Ask& ask) {
  const auto upgrader = HC_TRY(api.upgrader());
  const std::string& id = ask.words.at("id");
  for (const Transaction& t : HC_TRY(upgrader->history()))
    if (std::to_string(t.id) == id) return json_answer(to_json(t));
  const NodeStatus status = HC_TRY(upgrader->status());
  if (status.transaction && std::to_string(status.transaction->id) == id)
    return json_answer(to_json(*status.transaction));
  return Error(Code::invalid, "there is no transaction " + quote(id)).with_hint("GET /v1/history lists them");
}

// Checks are programs that need the node's rights, which the service does not have: a job of the kind `health` runs
// them. Here is what they said last, then or in a transaction.
Result<Answer> get_health(const Api& api, const Ask&) {
  const JobQueue queue = HC_TRY(api.queue());
  std::vector<Job> jobs = HC_TRY(queue.all());
  std::reverse(jobs.begin(), jobs.end());
  for (const Job& job : jobs)
    if (job.kind == JobKind::health && job.state == JobState::done)
      return json_answer({{"at", job.ended_at}, {"from", job.label()}, {"health", job.result.value("data", Json())}});
  const auto upgrader = HC_TRY(api.upgrader());
  std::vector<Transaction> history = HC_TRY(upgrader->history());
  std::reverse(history.begin(), history.end());
  for (const Transaction& t : history)
    if (!t.health.empty()) return json_answer({{"at", t.ended_at}, {"from", t.label()}, {"health", t.health}});
  return json_answer({{"at", nullptr}, {"from", nullptr}, {"health", nullptr}});
}

Result<Answer> get_plan(const Api& api, const Ask& ask) {
  const auto upgrader = HC_TRY(api.upgrader());
  const Target target = HC_TRY(Target::parse(ask.from_query("target", "os")));
  const Request request{target, ask.from_query("what"), ask.caller.name, ask.from_query("again") == "true"};
  return json_answer(to_json(HC_TRY(upgrader->plan(request, StopToken()))));
}

}  // namespace hc
