#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace hc {

// Times of the week in which something may begin, in the node's local time: "Mon-Fri 02:00-05:00; Sat,Sun 00:00-24:00".
// A span over midnight (22:00-04:00) belongs to the day on which it begins. No span at all: any time.
class Windows {
 public:
  static Result<Windows> parse(std::string_view text);

  // From `wall` until one is open; 0: now.
  std::int64_t seconds_to_open(std::int64_t wall) const;

 private:
  struct Span {
    unsigned days = 0;  // bit 0: Sunday
    int from = 0;       // minutes of the day
    int to = 0;
  };
  bool open_at(std::int64_t wall) const;

  std::vector<Span> spans_;
};

}  // namespace hc
