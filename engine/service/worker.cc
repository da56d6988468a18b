#include "engine/service/worker.h"

#include "engine/base/log.h"
#include "engine/base/process.h"
#include "engine/service/attempt.h"
#include "engine/service/cancel_watch.h"
#include "engine/service/job_events.h"
#include "engine/upgrade/inhibit.h"
#include "engine/upgrade/told.h"

namespace hc {
namespace {

// A job at which the worker itself dies again and again is given up, so that it does not hold the queue for ever.
constexpr unsigned kMostStarts = 10;

class Worker {
 public:
  Worker(Node node, JobQueue queue, StopToken stop)
      : node_(std::move(node)), queue_(std::move(queue)), stop_(std::move(stop)) {}

  Status run(FileLock held);

 private:
  Result<std::optional<Job>> next(FileLock& held, bool& gone);
  Status work_on(const Job& job);
  Result<Did> carry_out(const Job& job, JobEventLog& events);
  void restart(const Job& job);

  Node node_;
  JobQueue queue_;
  StopToken stop_;
  SystemClock clock_;
};

Result<std::optional<Job>> Worker::next(FileLock& held, bool& gone) {
  return queue_.take(
      [this](const std::vector<Job>& jobs) { return next_job(jobs, moment_of(node_, clock_.wall_seconds())); },
      [](Job& job) -> Status {
        job.state = JobState::running;
        job.reason.clear();
        ++job.starts;
        return ok;
      },
      [&] {
        // Whoever adds a job from now on sees that nobody works, and starts the next worker.
        const FileLock free = std::move(held);
        gone = true;
      });
}

Result<Did> Worker::carry_out(const Job& job, JobEventLog& events) {
  if (job.starts > kMostStarts)
    return Error(Code::internal, "the worker died " + std::to_string(kMostStarts) + " times at this job");
  const CancelWatch watch(queue_, job.id, stop_);
  const auto upgrader = HC_TRY(Upgrader::open(node_.sysroot));
  const Listener listener =
      told_as_json([&events](const std::string& event, const Json& data) { events.write(event, data); });
  return attempt(*upgrader, job, listener, watch.token());
}

Status Worker::work_on(const Job& job) {
  JobEventLog events = HC_TRY(JobEventLog::open(queue_.events_file(job.id), clock_));
  events.write("state", {{"state", name(job.state)}, {"attempt", job.attempt}});
  const Result<Did> did = carry_out(job, events);
  const Job after = HC_TRY(queue_.change(job.id, [&](Job& current) -> Status {
    settle(current, did, node_.boot_id, clock_.wall_seconds(), Patience());
    return ok;
  }));
  log(Level::info, after.label() + " (" + std::string(name(after.kind)) + " " + after.target + " " + after.what +
                       "): " + std::string(name(after.state)) + (after.error ? ": " + after.error->text() : ""));
  events.write("state", {{"state", name(after.state)}, {"reason", after.reason}});
  if (after.state == JobState::restart && after.reboot) restart(after);
  return ok;
}

void Worker::restart(const Job& job) {
  if (node_.is_sandbox()) return;
  if (const Status free = Inhibitors(node_.state).check(); !free) {
    log(Level::warning, job.label() + ": no restart now: " + free.error().text());
    return;
  }
  log(Level::info, job.label() + " restarts the node");
  const auto done = run_command({"systemctl", "reboot", "--check-inhibitors=yes"});
  if (done && done->status == 0) return;
  const std::string why = done ? done->errors : done.error().text();
  log(Level::warning, "the node cannot be restarted now: " + why);
}

Status Worker::run(FileLock held) {
  bool gone = false;
  while (!stop_.requested()) {
    const std::optional<Job> job = HC_TRY(next(held, gone));
    if (gone || !job) return ok;
    HC_TRY(work_on(*job));
  }
  return ok;
}

}  // namespace

Status run_worker(const fs::path& sysroot, const StopToken& stop) {
  Node node = HC_TRY(Node::open(sysroot));
  const SystemClock clock;
  JobQueue queue = HC_TRY(JobQueue::open(node.state, clock));
  // Whoever only looks whether a worker runs holds the lock for a moment.
  constexpr std::int64_t kLookMs = 500;
  auto held = FileLock::take(queue.worker_lock(), kLookMs);
  if (!held && held.error().code() == Code::busy) return ok;
  if (!held) return std::move(held).error();
  Worker worker(std::move(node), std::move(queue), stop);
  return worker.run(std::move(held).value());
}

}  // namespace hc
