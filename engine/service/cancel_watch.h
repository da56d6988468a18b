#pragma once

#include <thread>

#include "engine/base/stop.h"
#include "engine/service/queue.h"

namespace hc {

// While it lives: asks the work on one job to stop as soon as the job's file says `cancel`, or `process` is stopped.
class CancelWatch {
 public:
  CancelWatch(const JobQueue& queue, std::uint64_t job, const StopToken& process);
  ~CancelWatch();
  CancelWatch(const CancelWatch&) = delete;
  CancelWatch& operator=(const CancelWatch&) = delete;

  const StopToken& token() const { return token_; }

 private:
  void watch(const JobQueue& queue, std::uint64_t job) const;

  StopToken token_;
  StopToken process_;
  unsigned long connection_ = 0;
  UniqueFd changes_;  // inotify
  UniqueFd end_;      // eventfd
  std::thread thread_;
};

}  // namespace hc
