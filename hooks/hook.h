#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/stop.h"

namespace hc {

// One thing that a hook said through hc-insight.
struct Insight {
  enum class Kind { progress, metric, state, log };
  Kind kind = Kind::log;
  std::string name;        // metric and state: the name; log: the level; progress: empty
  std::string text;        // state: the value; log and progress: the message
  double number = 0;       // progress: percent 0..100; metric: the value
  std::int64_t at_ms = 0;  // since the hook began
};

// How a hook ended. Only `passed` is success; `said_no` carries the exit status.
enum class HookEnd { passed, said_no, could_not_run, killed, timed_out, cancelled };
std::string_view name(HookEnd end);

struct HookResult {
  HookEnd end = HookEnd::could_not_run;
  int exit_code = 0;             // said_no: 1..255
  int signal = 0;                // killed: which
  std::string reason;            // one sentence for people: "hc_install_upgrade.sh said no (exit status 3)"
  int attempts = 0;              // 0: could not even be tried
  std::int64_t duration_ms = 0;  // all attempts
  std::string output;  // stdout and stderr in the order they came; valid UTF-8, no control characters but \n and \t;
                       // head and tail
  std::uint64_t dropped_bytes = 0;  // of the output, between head and tail
  std::vector<Insight> insight;
  std::vector<std::string>
      leftovers;  // processes that the hook left behind and that were ended ("sleep 600 (pid 4711)")

  bool passed() const { return end == HookEnd::passed; }
};

Json to_json(const Insight& insight);
Json to_json(const HookResult& result);
// The reverse, of what this or a newer engine wrote: fields that are not known are ignored, missing ones have their
// default. Fails where a field is of another type.
Result<HookResult> hook_result_from_json(const Json& json);

// Which addresses a hook may reach.
enum class HookNetwork {
  open,      // all that the machine reaches
  none,      // none: its loopback interface is its own
  loopback,  // the machine's own 127.0.0.0/8 and ::1
  hosts      // those of HookCall::hosts and no other, also not loopback unless listed
};

// What to run and under which limits.
struct HookCall {
  fs::path program;    // absolute
  fs::path directory;  // its working directory; read-only to it where mount namespaces are allowed, unless it is `/`
  // The whole of it, but for what the runner adds: PATH, LANG, HC_ATTEMPT, HC_INSIGHT, HC_CREDENTIALS_DIR, and with
  // `user` HOME, USER and LOGNAME.
  std::map<std::string, std::string> environment;
  std::int64_t timeout_ms = 600'000;  // for all attempts together
  int retries = 0;                    // further attempts after a failed one; -1: until the time limit
  std::int64_t retry_delay_ms = 1000;
  // An exit status that ends the attempts though it is not 0 (state check: 1 is an answer, not a failure).
  std::optional<int> final_status;
  // More directories that are read-only to it, where mount namespaces are allowed.
  std::vector<fs::path> read_only;
  std::vector<std::string> secrets;  // masked as *** in the output, the insight and the reason

  // What follows narrows the hook, and everything it starts. All of it holds or the hook does not run: where this
  // machine cannot enforce one, the result is `could_not_run` with a reason that says what is missing. All need root.
  // With devices or network narrowed it also sees no process but its own, /proc and /sys are read-only, of /run it has
  // only its own directory, lock and udev, and as root it keeps no capability that could undo any of this: it cannot
  // mount. Its state directory must then lie elsewhere than in /run.

  // Whom it runs as, with that user's groups and HOME; empty: as we do. Nothing that it starts can gain rights again.
  // What it is to write to (its state directory) must be that user's already.
  std::string user;
  // The nodes in its /dev besides the standard ones (null, zero, full, random, urandom, tty, pseudo terminals, shm);
  // absolute paths below /dev, also of symbolic links. Nothing: all that the machine has. One that is not there is left
  // out, with a warning in the insight.
  std::optional<std::vector<std::string>> devices;
  HookNetwork network = HookNetwork::open;
  // HookNetwork::hosts: names and addresses. Names are looked up before each attempt and stand in the hook's own
  // /etc/hosts; it has no name server. One that has no address is left out, with a warning in the insight.
  std::vector<std::string> hosts;
  // Absolute paths of directories that are empty and read-only to it. A hook that is root, with neither devices nor
  // network narrowed, may mount and so could undo that: it keeps from accidents only.
  std::vector<fs::path> hidden;
  // A directory with files, each a secret: the hook finds a copy of them in the directory HC_CREDENTIALS_DIR, in memory
  // that is never swapped out, for its user's eyes only (0500, 0400), and gone with the hook. Their contents are masked
  // like `secrets`. Empty: none.
  fs::path credentials;
};

using InsightFn = std::function<void(const Insight&)>;
using OutputFn = std::function<void(std::string_view line)>;
struct HookListener {
  InsightFn insight;
  OutputFn line;
};

class HookRunner {
 public:
  virtual ~HookRunner() = default;
  // Runs one hook to its end; never fails as such: HookResult says what happened. On return nothing that the hook
  // started is alive and none of its mounts is left.
  virtual HookResult run(const HookCall& call, const HookListener& listener, const StopToken& stop) = 0;
};

}  // namespace hc
