#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/crash/disk_recorder.h"

namespace hc {

// A part of one recorded write.
struct Piece {
  std::size_t event = 0;
  std::size_t size = 0;  // its first bytes, in whole sectors
};

// What a disk may hold when power goes: everything up to a flush, and some of what was written after it. A disk with a
// write-back cache may keep any part of what was not flushed, in any order, and a write may stop between two sectors.
struct DiskState {
  std::size_t epoch = 0;  // how many flushes are behind it
  std::string_view kind;  // "boundary", "prefix", "torn", "dropped", "reordered", "random"
  std::vector<Piece> pieces;
  std::string told;  // the newest mark before the end of the epoch: this much has been promised
};

struct StatePlan {
  std::vector<DiskState> states;  // by epoch, each disk content once
  std::size_t epochs = 0;
  std::size_t possible = 0;  // distinct states before `most` cut them down
};

// The states to look at: every boundary, and of the others at most so many that `most` is kept, chosen by `seed`.
StatePlan plan_states(const Recording& recording, std::size_t most, unsigned seed);

// Pages of a disk that differ from the base of an epoch.
constexpr std::size_t kDiskPage = 4096;
using DiskPages = std::map<std::size_t, std::string>;

// Goes through a recording's epochs; base() is the disk at the last flush.
class DiskBase {
 public:
  explicit DiskBase(const Recording& recording) : recording_(recording), disk_(recording.before) {}

  // REQUIRES: not before the epoch it is at. Names the pages that changed.
  std::vector<std::size_t> advance_to(std::size_t epoch);
  const std::string& disk() const { return disk_; }
  DiskPages pages_of(const DiskState& state) const;

 private:
  const Recording& recording_;
  std::string disk_;
  std::size_t epoch_ = 0;
  std::size_t next_ = 0;
};

}  // namespace hc
