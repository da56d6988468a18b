#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/file.h"
#include "engine/base/process_limits.h"
#include "engine/base/result.h"
#include "engine/base/stop.h"

// Children that cannot outlive, block or disturb us: no shell, no terminal, no descriptor but 0-2, and an end to
// everything they started, however it hid (setsid, double fork, closed output).
namespace hc {

// Where programs are looked for, whatever our own environment says.
inline constexpr std::string_view kSystemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct ProcessSpec {
  std::vector<std::string> argv;  // the first is a path, or a name to be found in kSystemPath
  fs::path directory = "/";
  std::map<std::string, std::string> environment;  // the whole of it
  std::int64_t timeout_ms = 60'000;                // of monotonic time, until the main process ends
  std::int64_t grace_ms = 2'000;                   // between SIGTERM and SIGKILL
  // An own mount namespace: what it mounts is seen by nobody else and is gone with it. Where we may not make one
  // (not root, some containers) the child runs without.
  bool own_mounts = false;
  std::vector<fs::path> read_only;  // with own_mounts: directories that it cannot write to
  ProcessLimits limits;             // with own_mounts
};

// What to do while a child runs; all on the calling thread. Descriptors are read as fast as the child writes, so it
// never blocks on us.
struct ProcessWatch {
  std::function<void(std::string_view bytes)> output;  // stdout; stderr too where `errors` is not set
  std::function<void(std::string_view bytes)> errors;
  int fd = -1;  // one more descriptor to be served: readable() is called when it has something
  std::function<void()> readable;
};

struct ProcessEnd {
  enum class Kind { exited, signalled, could_not_run, timed_out, cancelled };
  Kind kind = Kind::could_not_run;
  int value = 0;       // exited: the status; signalled: the signal; could_not_run: errno
  std::string reason;  // could_not_run: why, in words
  // What it had started and was still alive ("sleep 600 (pid 4711)") when its main process ended, or at the time limit.
  std::vector<std::string> leftovers;
};

// Runs a child to its end. On return nothing that it started is alive (but for processes that hang in the kernel,
// which are named in `leftovers`), and none of its own mounts is left. It is ended at the time limit, on `stop`, and
// also when we ourselves are killed. REQUIRES: argv is not empty.
ProcessEnd run_process(const ProcessSpec& spec, const ProcessWatch& watch, const StopToken& stop);

struct CommandOptions {
  fs::path directory = "/";
  std::map<std::string, std::string> environment;  // added to PATH=kSystemPath and LANG=C.UTF-8
  std::int64_t timeout_ms = 60'000;
  std::size_t output_limit = 1 << 20;  // bytes, of stdout and of stderr
};

struct CommandResult {
  int status = 0;      // exit status, 0..255
  std::string output;  // stdout, raw
  std::string errors;  // stderr, raw
};

// Runs a program and returns its exit status, which is the caller's to judge. Fails where it could not run, was killed,
// took too long or printed more than the limit.
Result<CommandResult> run_command(const std::vector<std::string>& argv, const CommandOptions& options = {},
                                  const StopToken& stop = {});

}  // namespace hc
