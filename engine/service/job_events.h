#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "engine/base/json.h"

namespace hc {

// What happened to a job, for those who watch: lines of JSON {"event", "at", "data"} in a file that only grows, up to a
// bound. It is for looking only: losing it loses no job. An event's id is where its line ends in the file, so whoever
// knows the last one reads on from there.
struct JobEvent {
  std::uint64_t id = 0;
  std::string event;
  std::string text;  // the whole line
};

class JobEventLog {
 public:
  static Result<JobEventLog> open(const fs::path& file, Clock& clock);

  // Progress is written at most twice a second, and beyond a bound not at all; so is what hooks print. Steps always
  // are. A disk that is full must not stop an upgrade, so a failure is dropped.
  void write(const std::string& event, const Json& data);

 private:
  JobEventLog(UniqueFd fd, std::uint64_t size, Clock& clock) : fd_(std::move(fd)), size_(size), clock_(&clock) {}

  UniqueFd fd_;
  std::uint64_t size_;
  Clock* clock_;
  std::map<std::string, std::int64_t> told_;  // progress: when it was last told
};

// The whole lines after `after`, up to about `limit` bytes. None where there is nothing new, or no file.
Result<std::vector<JobEvent>> read_events(const fs::path& file, std::uint64_t after, std::size_t limit = 64 << 10);

}  // namespace hc
