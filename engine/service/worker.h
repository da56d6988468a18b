#pragma once

#include "engine/base/stop.h"
#include "engine/service/queue.h"
#include "engine/upgrade/upgrader.h"

namespace hc {

// Runs the queue's jobs, one at a time and in order, until none can run now. The only one who works on slots.
//
// A kill at any line is harmless: the job file says "running", and the transaction's journal or history bears the job's
// key, so the next worker carries the transaction on, or takes over its end, or runs the job. Ok where another worker
// runs already. REQUIRES: `sysroot` is a node.
Status run_worker(const fs::path& sysroot, const StopToken& stop);

// Which job is the next to run: the oldest of those that can. One that was running when its worker was killed comes
// first; one that waits never holds up another.
struct Moment {
  std::int64_t wall = 0;
  std::string boot_id;
  bool transaction = false;  // one is under way
};
// `node`: as it was opened in this boot.
Moment moment_of(const Node& node, std::int64_t wall);
const Job* next_job(const std::vector<Job>& jobs, const Moment& now);
// Seconds from now until the first job that waits for a time can run; nothing: none does.
std::optional<std::int64_t> seconds_to_next(const std::vector<Job>& jobs, std::int64_t wall);

}  // namespace hc
