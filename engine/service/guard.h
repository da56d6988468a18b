#pragma once

#include <map>
#include <optional>
#include <string>

#include "engine/base/result.h"

namespace hc {

// Who talks to the service.
struct Caller {
  bool local_socket = false;  // the unix socket: the kernel vouches for uid
  unsigned uid = 0;
  std::string name = "anybody on this machine";  // for the history
  bool may_change = false;
};

// The person at the other end of the unix socket: root and the group `honeycomb` may change, everybody may read.
Caller caller_of(unsigned uid);

// A web page must not be able to make a browser on this machine ask for anything: not with its own script, not with an
// <img>, not by a name of its own that resolves to 127.0.0.1. `headers` have lower-case names.
Status refuse_browsers(const std::map<std::string, std::string>& headers, bool changes);

// So many requests in a second, and some more in a burst.
class Bucket {
 public:
  Bucket(double per_second, double burst) : per_second_(per_second), burst_(burst), left_(burst) {}
  bool take(std::int64_t monotonic_ms);

 private:
  double per_second_;
  double burst_;
  double left_;
  std::int64_t last_ms_ = 0;
};

}  // namespace hc
