#pragma once

#include <cstdint>

#include "engine/store/commit_walk.h"
#include "engine/store/repository.h"

namespace hc {

// What entries of a commit take on a disk, when each is made anew: whole blocks of 4 kB, one inode each.
struct TreeSpace {
  std::uint64_t bytes = 0;
  std::uint64_t inodes = 0;

  Status add(const Repository& repository, const CommitEntry& entry);
  // Counts a file only where it is empty: such a one is never a link.
  Status add_if_empty(const Repository& repository, const CommitEntry& entry);
};

}  // namespace hc
