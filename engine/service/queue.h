#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/clock.h"
#include "engine/service/job.h"
#include "engine/upgrade/records.h"

namespace hc {

// The node's jobs: one file each below `state`/queue, which is the truth. honeycombd and the worker both work on it,
// each change under a lock that is held for that change only; whoever is killed loses nothing.
class JobQueue {
 public:
  static constexpr std::size_t kMostOpen = 100;   // jobs that have not ended
  static constexpr std::size_t kMostEnded = 200;  // of those that ended, the newest are kept

  // REQUIRES: `clock` outlives this.
  static Result<JobQueue> open(const fs::path& state, const Clock& clock);

  const fs::path& directory() const { return directory_; }
  fs::path events_file(std::uint64_t id) const;
  fs::path worker_lock() const { return directory_ / "worker.lock"; }

  // Numbers the job and stores it, durable on Ok. Code::busy where the queue is full.
  Result<Job> add(Job job);
  Result<std::optional<Job>> find(std::uint64_t id) const;
  // By number. A damaged file is passed over.
  Result<std::vector<Job>> all() const;

  // Changes one job: `change` sees it as it is now. An error of `change` leaves it so. Code::invalid where there is no
  // such job, and where it has ended already: an end is for ever.
  Result<Job> change(std::uint64_t id, const std::function<Status(Job&)>& change);

  // Picks by `pick` among all jobs, and changes the picked one, in one go. Where there is none, `none` is called before
  // anybody can add another: so a worker can say good-bye without leaving a job behind.
  Result<std::optional<Job>> take(const std::function<const Job*(const std::vector<Job>&)>& pick,
                                  const std::function<Status(Job&)>& change, const std::function<void()>& none);

 private:
  JobQueue(fs::path state, const Clock& clock)
      : state_(std::move(state)), directory_(state_ / "queue"), clock_(&clock) {}

  Result<FileLock> lock() const;
  Result<std::optional<Job>> read(const std::string& record) const;
  Status write(Job& job, JobState before);
  Status forget_old();

  fs::path state_;
  fs::path directory_;
  const Clock* clock_;
};

// Whether a worker lives: it holds its lock for all its life.
bool worker_runs(const JobQueue& queue);

}  // namespace hc
