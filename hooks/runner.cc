#include "hooks/runner.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <set>

#include "engine/base/process.h"
#include "engine/base/text.h"
#include "hooks/capture.h"
#include "hooks/insight_box.h"
#include "hooks/mask.h"
#include "hooks/narrow.h"
#include "hooks/room.h"

namespace hc {
namespace {

std::int64_t now_ms() {
  using std::chrono::steady_clock;
  return std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now().time_since_epoch()).count();
}

void sleep_unless(const StopToken& stop, std::int64_t ms) {
  pollfd fd{g_cancellable_get_fd(stop.cancellable()), POLLIN, 0};
  poll(&fd, 1, static_cast<int>(ms));
  if (fd.fd >= 0) g_cancellable_release_fd(stop.cancellable());
}

// In memory where there is /run: a full disk must not take the insight away.
fs::path socket_directory(const fs::path& wanted) {
  if (!wanted.empty()) return wanted;
  std::error_code error;
  return access("/run", W_OK) == 0 ? fs::path("/run") : fs::temp_directory_path(error);
}

// All attempts of one hook.
class HookRun {
 public:
  HookRun(const HookCall& call, const Credentials& credentials, const HookListener& listener, const StopToken& stop,
          const ProcessHookRunner::Options& options)
      : call_(call),
        credentials_(credentials),
        stop_(stop),
        options_(options),
        mask_(all_secrets(call, credentials)),
        capture_(mask_, listener.line),
        insight_(mask_, listener.insight) {}

  HookResult run();

 private:
  std::int64_t left_ms() const { return begun_ + call_.timeout_ms - now_ms(); }
  Result<ProcessSpec> spec();
  void open_room();
  bool attempt();
  bool may_try_again() const;
  void take(const ProcessEnd& end);
  std::string explain(const ProcessEnd& end) const;
  std::string in_how_many() const;

  const HookCall& call_;
  const Credentials& credentials_;
  const StopToken& stop_;
  const ProcessHookRunner::Options& options_;
  const SecretMask mask_;
  OutputCapture capture_;
  InsightBox insight_;
  std::optional<HookRoom> room_;
  InsightSocket socket_;
  std::set<std::string> warnings_;
  HookResult result_;
  const std::int64_t begun_ = now_ms();
};

HookResult HookRun::run() {
  open_room();
  while (attempt()) {
    sleep_unless(stop_, call_.retry_delay_ms);
  }
  capture_.end();
  auto [text, dropped] = capture_.kept();
  result_.output = std::move(text);
  result_.dropped_bytes = dropped;
  result_.insight = insight_.take();
  result_.duration_ms = now_ms() - begun_;
  return std::move(result_);
}

void HookRun::open_room() {
  auto room = HookRoom::open(socket_directory(options_.socket_directory));
  auto socket = room ? InsightSocket::open(room->socket()) : Result<InsightSocket>(room.error());
  if (room) room_ = std::move(room).value();
  if (socket) {
    socket_ = std::move(socket).value();
  } else {
    insight_.note("the hook runs without insight: " + socket.error().text());
  }
}

Result<ProcessSpec> HookRun::spec() {
  ProcessSpec spec;
  spec.argv = {call_.program.string()};
  spec.directory = call_.directory;
  spec.environment = call_.environment;
  spec.environment["PATH"] = kSystemPath;
  spec.environment["LANG"] = "C.UTF-8";
  spec.environment["HC_ATTEMPT"] = std::to_string(result_.attempts + 1);
  if (socket_.fd() >= 0) spec.environment["HC_INSIGHT"] = socket_.path();
  spec.grace_ms = options_.grace_ms;
  spec.own_mounts = geteuid() == 0;
  spec.read_only = call_.read_only;
  if (call_.directory != "/") spec.read_only.push_back(call_.directory);
  Narrowing narrowing{call_, credentials_, room_ ? &*room_ : nullptr, left_ms(), stop_, {}};
  HC_TRY(narrow(narrowing, spec));
  for (const std::string& warning : narrowing.warnings) {
    if (warnings_.insert(warning).second) insight_.note(warning);
  }
  spec.timeout_ms = std::max<std::int64_t>(left_ms(), 0);
  return spec;
}

// Runs the hook once. True where it is to be tried again.
bool HookRun::attempt() {
  if (stop_.requested()) {
    take({ProcessEnd::Kind::cancelled, 0, "", {}});
    return false;
  }
  if (result_.attempts > 0) {
    capture_.feed("--- attempt " + std::to_string(result_.attempts + 1) + " ---\n");
  }
  ProcessWatch watch;
  watch.output = [this](std::string_view bytes) { capture_.feed(bytes); };
  watch.fd = socket_.fd();
  watch.readable = [this] { insight_.receive(socket_); };
  const Result<ProcessSpec> made = spec();
  const ProcessEnd end =
      made ? run_process(*made, watch, stop_) : ProcessEnd{ProcessEnd::Kind::could_not_run, 0, made.error().text(), {}};
  if (end.kind != ProcessEnd::Kind::could_not_run) ++result_.attempts;
  take(end);
  return may_try_again();
}

bool HookRun::may_try_again() const {
  const bool failed = result_.end == HookEnd::said_no || result_.end == HookEnd::killed;
  if (!failed || (result_.end == HookEnd::said_no && result_.exit_code == call_.final_status)) return false;
  if (call_.retries >= 0 && result_.attempts > call_.retries) return false;
  return left_ms() > call_.retry_delay_ms;
}

void HookRun::take(const ProcessEnd& end) {
  result_.exit_code = 0;
  result_.signal = 0;
  switch (end.kind) {
    case ProcessEnd::Kind::exited:
      result_.end = end.value == 0 ? HookEnd::passed : HookEnd::said_no;
      result_.exit_code = end.value;
      break;
    case ProcessEnd::Kind::signalled:
      result_.end = HookEnd::killed;
      result_.signal = end.value;
      break;
    case ProcessEnd::Kind::could_not_run:
      result_.end = HookEnd::could_not_run;
      break;
    case ProcessEnd::Kind::timed_out:
      result_.end = HookEnd::timed_out;
      break;
    case ProcessEnd::Kind::cancelled:
      result_.end = HookEnd::cancelled;
      break;
  }
  result_.reason = mask_.masked(call_.program.filename().string() + " " + explain(end));
  constexpr std::size_t kMostLeftovers = 100;
  for (const std::string& leftover : end.leftovers) {
    if (result_.leftovers.size() < kMostLeftovers) result_.leftovers.push_back(mask_.masked(leftover));
  }
}

std::string HookRun::explain(const ProcessEnd& end) const {
  switch (end.kind) {
    case ProcessEnd::Kind::exited:
      if (end.value == 0) return "passed" + in_how_many();
      return "said no (exit status " + std::to_string(end.value) + ")" + in_how_many();
    case ProcessEnd::Kind::signalled:
      return "was killed by signal " + std::to_string(end.value) + " (" + strsignal(end.value) + ")" + in_how_many();
    case ProcessEnd::Kind::could_not_run:
      return "could not run: " + end.reason;
    case ProcessEnd::Kind::timed_out: {
      const std::string doing = end.leftovers.empty() ? "" : "; still running then: " + end.leftovers.back();
      return "did not end within " + human_duration(call_.timeout_ms) + in_how_many() + doing;
    }
    case ProcessEnd::Kind::cancelled:
      return "was ended because a stop was asked for";
  }
  return "ended in an unknown way";
}

std::string HookRun::in_how_many() const {
  return result_.attempts > 1 ? ", attempt " + std::to_string(result_.attempts) : "";
}

}  // namespace

HookResult ProcessHookRunner::run(const HookCall& call, const HookListener& listener, const StopToken& stop) {
  const auto credentials = read_credentials(call.credentials);
  if (credentials) return HookRun(call, *credentials, listener, stop, options_).run();
  HookResult result;
  result.reason = call.program.filename().string() + " could not run: " + credentials.error().text();
  return result;
}

}  // namespace hc
