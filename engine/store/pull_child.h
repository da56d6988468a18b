#pragma once

#include <cstdint>
#include <string>

#include "engine/base/ids.h"

// Pulling happens in a child process: libostree's fetcher cannot be stopped while a server is silent, and what a
// hostile source sends must not be able to take the engine with it. The child is this very program, started again under
// another name, which pull.cc notices before main().
namespace hc {

inline constexpr const char* kPullChildName = "honeycomb-pull";
inline constexpr int kReportFd = 3;      // the child writes one JSON object a line: progress, then how it ended
inline constexpr int kRepositoryFd = 4;  // the directory of the repository that is written to

struct PullOrder {
  std::string source;  // http(s) URL, or the absolute path of a local repository
  bool is_local = false;
  Commit commit;
  std::uint64_t largest_file = 0;  // no file that the source sends may be larger; 0: not known
  std::uint64_t bytes_per_s = 0;   // no more over the network; 0: no limit
};

// The child's whole life. `argv`: name, "local" or "http", source, commit, largest file, bytes per second, pid of
// the parent.
[[noreturn]] void run_pull_child(char** argv);
inline constexpr int kPullChildArguments = 7;

}  // namespace hc
