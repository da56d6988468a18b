#include <map>

#include "engine/service/api.h"

namespace hc {
namespace {

// The text format of Prometheus.
class Metrics {
 public:
  using Labels = std::vector<std::pair<const char*, std::string>>;

  void family(const char* name, const char* type, const char* help) {
    text_ += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
    name_ = name;
  }
  void add(const Labels& labels, std::int64_t value) {
    text_ += name_;
    std::string inside;
    for (const auto& [key, label] : labels)
      inside += (inside.empty() ? "" : ",") + std::string(key) + "=\"" + escaped(label) + "\"";
    if (!inside.empty()) text_ += "{" + inside + "}";
    text_ += " " + std::to_string(value) + "\n";
  }
  std::string take() { return std::move(text_); }

 private:
  static std::string escaped(const std::string& value) {
    std::string text;
    for (const char c : value) {
      if (c == '\\' || c == '"') text += '\\';
      text += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
    return text;
  }

  std::string text_;
  std::string name_;
};

void add_slots(Metrics& metrics, const NodeStatus& status) {
  metrics.family("honeycomb_slot_info", "gauge", "What each slot holds; the value is 1 for the slot in use");
  for (const TargetStatus& target : status.targets)
    for (const SlotStatus& slot : target.slots)
      metrics.add({{"target", target.target.name()},
                   {"slot", std::string(name(slot.slot))},
                   {"version", slot.content ? slot.content->version : ""},
                   {"commit", slot.content ? slot.content->commit.hex() : ""}},
                  slot.booted ? 1 : 0);
  metrics.family("honeycomb_target_degraded", "gauge", "1 where a target does not work as it should");
  for (const TargetStatus& target : status.targets)
    metrics.add({{"target", target.target.name()}}, target.problem.empty() ? 0 : 1);
  metrics.family("honeycomb_waits_for_restart", "gauge", "1 where an upgrade waits for the node to restart");
  metrics.add({}, status.waits_for_reboot ? 1 : 0);
}

void add_history(Metrics& metrics, const std::vector<Transaction>& history) {
  std::map<std::pair<std::string, std::string>, std::int64_t> ends;
  std::map<std::string, std::int64_t> last;
  for (const Transaction& t : history) {
    ++ends[{t.target.name(), t.outcome ? std::string(name(*t.outcome)) : "unknown"}];
    last[t.target.name()] = t.ended_at;
  }
  metrics.family("honeycomb_transactions_total", "counter", "Transactions that ended");
  for (const auto& [key, number] : ends) metrics.add({{"target", key.first}, {"outcome", key.second}}, number);
  metrics.family("honeycomb_last_transaction_timestamp_seconds", "gauge", "When the newest transaction ended");
  for (const auto& [target, at] : last) metrics.add({{"target", target}}, at);
}

}  // namespace

Result<Answer> get_metrics(const Api& api, const Ask&) {
  const auto upgrader = HC_TRY(api.upgrader());
  const NodeStatus status = HC_TRY(upgrader->status());
  const JobQueue queue = HC_TRY(api.queue());
  std::map<std::string, std::int64_t> jobs;
  for (const Job& job : HC_TRY(queue.all())) ++jobs[std::string(name(job.state))];
  Metrics metrics;
  metrics.family("honeycomb_info", "gauge", "The engine on this node");
  metrics.add({{"version", HC_VERSION}, {"model", status.model}}, 1);
  add_slots(metrics, status);
  add_history(metrics, HC_TRY(upgrader->history()));
  metrics.family("honeycomb_jobs", "gauge", "Jobs in the queue's directory, by state");
  for (const auto& [state, number] : jobs) metrics.add({{"state", state}}, number);
  return Answer{200, "text/plain; version=0.0.4; charset=utf-8", metrics.take(), {}, {}};
}

}  // namespace hc
