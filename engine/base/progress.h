#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace hc {

// How far a piece of work is. Reported on the thread that does the work, at most ten times a second.
struct Progress {
  std::string what;  // "fetching", "checking out": one or two words
  std::uint64_t done = 0;
  std::uint64_t total = 0;  // 0: not known
  bool bytes = false;       // done and total count bytes, else things
};
using ProgressFn = std::function<void(const Progress&)>;

}  // namespace hc
