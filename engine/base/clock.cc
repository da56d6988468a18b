#include "engine/base/clock.h"

#include <chrono>
#include <ctime>
#include <thread>

namespace hc {

std::int64_t SystemClock::wall_seconds() const { return static_cast<std::int64_t>(std::time(nullptr)); }

std::int64_t SystemClock::monotonic_ms() const {
  using std::chrono::milliseconds;
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void SystemClock::sleep_ms(std::int64_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

}  // namespace hc
