#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "engine/base/file.h"
#include "engine/base/stop.h"

// HTTP with a service of this machine that listens on a unix socket.
namespace hc {

// True where somebody listens on `socket` and lets us in.
bool listens(const fs::path& socket);

struct LocalAnswer {
  long status = 0;
  std::string body;
};

// One request with its whole answer, whatever its status. `method` is GET or POST. Code::unavailable where nobody
// answers within half a minute.
Result<LocalAnswer> local_request(const fs::path& socket, const std::string& method, const std::string& path,
                                  const std::string& body, const StopToken& stop);

struct ServerEvent {
  std::uint64_t id = 0;  // of the last event that had one
  std::string event;
  std::string data;
};

// Follows server-sent events after the one with the id `after` until the server ends them (Ok), the connection breaks
// (Code::unavailable), `stop` (Code::cancelled), or `take` answers false (Ok).
Status local_events(const fs::path& socket, const std::string& path, std::uint64_t after,
                    const std::function<bool(const ServerEvent&)>& take, const StopToken& stop);

}  // namespace hc
