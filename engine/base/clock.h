#pragma once

#include <cstdint>

namespace hc {

// Time as the engine sees it. Limits and durations use monotonic time only; wall time is for people.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t wall_seconds() const = 0;  // since 1970; may be wrong, may jump
  virtual std::int64_t monotonic_ms() const = 0;  // never jumps
  virtual void sleep_ms(std::int64_t ms) = 0;
};

// The machine's own clock.
class SystemClock final : public Clock {
 public:
  std::int64_t wall_seconds() const override;
  std::int64_t monotonic_ms() const override;
  void sleep_ms(std::int64_t ms) override;
};

}  // namespace hc
