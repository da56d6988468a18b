#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace hc {

// One stretch of a new file: `length` bytes that resemble the old ones from `from` on, then `extra` bytes of its own.
struct Stretch {
  std::uint64_t from = 0;
  std::uint64_t length = 0;
  std::uint64_t extra = 0;
};

// How `fresh` is made of `old`, in its order and without a gap: long stretches whose bytes mostly match, as in programs
// whose addresses moved. Needs about five times the size of `old` in memory. REQUIRES: `old` is below 2 GiB.
Result<std::vector<Stretch>> difference(std::string_view old, std::string_view fresh);

}  // namespace hc
