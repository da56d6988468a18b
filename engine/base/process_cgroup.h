#pragma once

#include <string>

#include "engine/base/file.h"

namespace hc {

// A cgroup of version 2 for one child, below our own. Ending everything in it is one write, which nothing can outrun.
// Empty where this machine has none that we may use (no version 2, not delegated, a kernel before 5.14).
class ProcessCgroup {
 public:
  ProcessCgroup() = default;
  static ProcessCgroup make();
  ProcessCgroup(ProcessCgroup&& other) noexcept = default;
  ProcessCgroup& operator=(ProcessCgroup&&) = delete;
  // Ends what is still in it, and removes it.
  ~ProcessCgroup();

  int join_fd() const { return join_.get(); }  // a process that writes "0" moves in
  int kill_fd() const { return kill_.get(); }  // "1" ends everything
  UniqueFd open_directory() const;

 private:
  UniqueFd parent_;
  std::string name_;
  UniqueFd join_;
  UniqueFd kill_;
};

}  // namespace hc
