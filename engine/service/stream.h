#pragma once

#include <libsoup/soup.h>

#include "engine/base/handle.h"
#include "engine/service/queue.h"

namespace hc {

// One client that follows one job: server-sent events. `id` is the place in the job's event log, so a client that comes
// back with Last-Event-ID reads on from there. Events of the log come under their own names; `job`, with the whole job
// and without an id, comes at first and whenever its state has changed; after an end the stream ends.
//
// Only as much is read from the log as the client has taken, so a slow one costs no memory.
class JobStream {
 public:
  JobStream(SoupServerMessage* message, JobQueue queue, std::uint64_t job);
  ~JobStream();
  JobStream(const JobStream&) = delete;
  JobStream& operator=(const JobStream&) = delete;

  bool gone() const { return gone_; }
  // Sends what is new, if the client has taken what was sent before.
  void tell();

 private:
  void send(const std::string& text);
  // What to send next; empty: nothing is new.
  std::string next();

  GRef<SoupServerMessage> message_;
  JobQueue queue_;
  std::uint64_t job_;
  std::uint64_t place_ = 0;
  std::string told_;  // the state that was told last
  bool writing_ = false;
  bool ending_ = false;
  bool gone_ = false;
  guint beat_ = 0;
};

}  // namespace hc
