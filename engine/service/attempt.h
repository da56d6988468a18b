#pragma once

#include <optional>

#include "engine/service/job.h"
#include "engine/upgrade/upgrader.h"

namespace hc {

// What came of one attempt at a job.
struct Did {
  std::optional<Report> report;  // jobs that are a transaction
  std::string text;              // the others: one sentence
  Json data = Json::object();    // the others: what was found
  std::optional<Error> holds;    // it cannot begin now, or its transaction cannot go on; no fault of the job's
  std::int64_t hold_s = 15;      // how long to wait then
};

// Carries out the attempt of `job` that is under way, or finds out how it ended where a worker was killed after its
// transaction had begun. Repeatable at any time: no transaction is made twice. REQUIRES: the job's key is new for each
// attempt.
Result<Did> attempt(Upgrader& upgrader, const Job& job, const Listener& listener, const StopToken& stop);

struct Patience {
  std::int64_t first_s = 30;  // before the second attempt; doubled for each further one
  std::int64_t most_s = 3600;
};

// Puts into the job what came of the attempt: its new state, and why.
void settle(Job& job, const Result<Did>& did, const std::string& boot_id, std::int64_t wall, const Patience& patience);

}  // namespace hc
