#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/upgrade/records.h"
#include "engine/upgrade/transaction.h"

namespace hc {

// A peripheral that could not be taken back to the version it is recorded at.
struct Degraded {
  Target target = Target::os();
  std::string why;
  std::int64_t since = 0;         // wall clock
  std::uint64_t first = 0;        // the transaction in which it happened
  std::uint64_t transaction = 0;  // the last one that failed to bring it back
  std::size_t notes = 0;          // that it had then: with more of them it has tried again
  unsigned attempts = 0;          // to repair it
  std::int64_t last_attempt = 0;  // wall clock

  // Five minutes after the first failure, then twice as long each time, at most a day.
  std::int64_t next_attempt() const;
  // A clock that was set back must not put the next attempt off for ever.
  bool due(std::int64_t now) const { return now >= next_attempt() || now < last_attempt; }
};

// The degraded peripherals of this node, one record each.
class DegradedList {
 public:
  explicit DegradedList(Records& records) : records_(records) {}

  // Adds the transaction's target, or counts one more failed attempt where it is there already.
  Status add(const Transaction& t, const std::string& why, std::int64_t now);
  Status remove(const Target& target);
  Result<std::optional<Degraded>> find(const Target& target) const;
  Result<std::vector<Degraded>> all() const;

 private:
  Records& records_;
};

}  // namespace hc
