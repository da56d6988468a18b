#include <algorithm>

#include "engine/service/worker.h"

namespace hc {
namespace {

// A clock that was set back must not hold a job for years.
bool clock_went_back(const Job& job, std::int64_t wall) { return wall < job.changed_at; }

bool time_has_come(const Job& job, std::int64_t wall) { return wall >= job.not_before || clock_went_back(job, wall); }

bool waits_for_restart(const Job& job, const Moment& now) {
  return job.state == JobState::restart && job.boot_id == now.boot_id && now.transaction;
}

// Before the restart an upgrade would be refused. Whoever asked for one attempt only wants to hear that at once.
bool would_be_refused(const Job& job) {
  return (job.kind == JobKind::deploy || job.kind == JobKind::file) && job.attempts > 1;
}

bool can_run(const Job& job, const Moment& now, bool restart_first) {
  if (job.cancel && !ended(job.state)) return true;
  switch (job.state) {
    case JobState::queued:
      return !restart_first || !would_be_refused(job);
    case JobState::running:
      return true;
    case JobState::deferred:
      return time_has_come(job, now.wall) && (!restart_first || !would_be_refused(job));
    case JobState::restart:
      if (!waits_for_restart(job, now)) return true;
      return job.reboot && job.not_before != 0 && time_has_come(job, now.wall);
    default:
      return false;
  }
}

}  // namespace

Moment moment_of(const Node& node, std::int64_t wall) {
  std::error_code none;
  return {wall, node.boot_id, fs::exists(node.state / (std::string(kJournal) + ".json"), none)};
}

const Job* next_job(const std::vector<Job>& jobs, const Moment& now) {
  const bool restart_first =
      std::any_of(jobs.begin(), jobs.end(), [&](const Job& job) { return waits_for_restart(job, now); });
  const Job* next = nullptr;
  for (const Job& job : jobs) {
    if (job.state == JobState::running) return &job;
    if (next == nullptr && can_run(job, now, restart_first)) next = &job;
  }
  return next;
}

std::optional<std::int64_t> seconds_to_next(const std::vector<Job>& jobs, std::int64_t wall) {
  std::optional<std::int64_t> least;
  for (const Job& job : jobs) {
    const bool waits = job.state == JobState::deferred || job.state == JobState::restart;
    if (!waits || job.not_before <= wall) continue;
    least = std::min(least.value_or(job.not_before - wall), job.not_before - wall);
  }
  return least;
}

}  // namespace hc
