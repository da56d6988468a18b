#pragma once

#include <cstdint>

#include "engine/base/process_limits.h"
#include "engine/base/process_tree.h"

// The inside of run_process: a small process between us and the child. It is the subreaper of everything below it, so
// whatever the child starts stays its descendant; and it ends all of it when told to, or when we die.
namespace hc {

// What the guard says over its socket, one packet each.
struct GuardReport {
  enum class Kind : std::int32_t { main_started, main_ended, setup_failed };
  enum class Stage : std::int32_t { isolate, limit, descriptors, directory, execute };
  Kind kind = Kind::main_ended;
  Stage stage = Stage::execute;  // setup_failed
  std::int32_t value = 0;        // main_started: its pid; main_ended: a wait status; setup_failed: errno
  const char* what = nullptr;    // Stage::limit: which; the guard is a copy of us, so it is the same text here
};

// Everything that the guard needs, made before the fork: after it nothing may allocate.
struct GuardPlan {
  const char* program = nullptr;
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  const char* directory = nullptr;
  const char* const* read_only = nullptr;  // ends with a null pointer
  bool own_mounts = false;
  const ProcessLimits* limits = nullptr;
  std::int64_t grace_ms = 0;
  // All above 2.
  int null_fd = -1;
  int output_fd = -1;
  int errors_fd = -1;
  int control_fd = -1;      // one byte, or its end, means: end everything
  int cgroup_join_fd = -1;  // cgroup.procs; -1 where there is no own cgroup
  int cgroup_kill_fd = -1;  // cgroup.kill
  ProcessTable* table = nullptr;
};

// The life of the guard, from the fork to _exit(): it ends when nothing that the child started is left. REQUIRES: all
// signals are blocked.
[[noreturn]] void guard_main(const GuardPlan& plan);

}  // namespace hc
