#include "engine/base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>

#include "engine/base/process_cgroup.h"
#include "engine/base/process_guard.h"
#include "engine/base/text.h"

namespace hc {
namespace {

constexpr std::int64_t kSettleMs = 300;  // for what ends by itself just after its parent, like a `| tee`
constexpr std::int64_t kHangMs = 5'000;  // after SIGKILL: what lives longer hangs in the kernel

std::int64_t now_ms() {
  using std::chrono::steady_clock;
  return std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now().time_since_epoch()).count();
}

// Above 2, so that the child can put its own 0-2 in place without overwriting one of ours.
UniqueFd above_standard(int fd) {
  UniqueFd given(fd);
  if (fd < 0 || fd > 2) return given;
  return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

struct Channel {
  UniqueFd ours;
  UniqueFd theirs;
};

std::optional<Channel> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  Channel channel{above_standard(ends[0]), above_standard(ends[1])};
  // Only our end: to a child, a descriptor that says EAGAIN is a surprise.
  if (!channel.ours || !channel.theirs || fcntl(channel.ours.get(), F_SETFL, O_NONBLOCK) != 0) return std::nullopt;
  return channel;
}

std::optional<Channel> make_control() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return std::nullopt;
  Channel channel{above_standard(ends[0]), above_standard(ends[1])};
  if (!channel.ours || !channel.theirs) return std::nullopt;
  return channel;
}

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  for (const std::string& directory : split(kSystemPath, ':')) {
    std::string candidate = (fs::path(directory) / name).string();
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return name;
}

std::string first_line(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::array<char, 256> buffer{};
  const ssize_t size = fd ? read(fd.get(), buffer.data(), buffer.size()) : 0;
  return split(std::string_view(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))), '\n').front();
}

std::string why_not_executed(const std::string& program, int error, bool as_other) {
  struct stat info {};
  const bool there = stat(program.c_str(), &info) == 0;
  if (!there) return "there is no program " + quote(program);
  const std::string line = first_line(program);
  if (error == ENOENT && line.starts_with("#!")) {
    return "its interpreter " + quote(line.substr(std::min(line.find_first_not_of(" \t", 2), line.size()))) +
           " does not exist";
  }
  if (error == EACCES && S_ISREG(info.st_mode) && (info.st_mode & 0111) == 0) return "it is not executable";
  if (error == EACCES && as_other) return "its user may not execute it, or not enter its directory";
  if (error == ENOEXEC) return "it is neither a program for this machine nor a script that begins with #!";
  return std::strerror(error);
}

// One child with its guard, from the fork to the end of both.
class Run {
 public:
  Run(const ProcessSpec& spec, const ProcessWatch& watch, const StopToken& stop)
      : spec_(spec), watch_(watch), stop_(stop), limits_(spec.limits) {}

  ProcessEnd run() {
    if (stop_.requested()) {
      end_.kind = ProcessEnd::Kind::cancelled;
      return end_;
    }
    if (start()) {
      follow();
      drain();
      finish();
    }
    return end_;
  }

 private:
  enum class Phase { running, settling, ending, over };

  bool can_be_limited();
  bool start();
  void fork_guard(const GuardPlan& plan);
  void follow();
  void serve(const std::function<void(std::string_view)>& handler, UniqueFd& pipe, short events);
  void hear_guard();
  void at_deadline();
  void end_all(ProcessEnd::Kind kind);
  void note_leftovers();
  void drain();
  void finish();
  bool refuse(int error, const std::string& what) {
    end_.value = error;
    end_.reason = what + ": " + std::strerror(error);
    return false;
  }

  const ProcessSpec& spec_;
  const ProcessWatch& watch_;
  const StopToken& stop_;
  ProcessLimits limits_;
  ProcessEnd end_;
  bool decided_ = false;  // end_ says how it ended
  bool hangs_ = false;    // something outlived SIGKILL, and the guard waits for it
  Phase phase_ = Phase::running;
  std::int64_t deadline_ = 0;
  std::string program_;
  ProcessTable table_;
  ProcessCgroup cgroup_ = ProcessCgroup::make();
  pid_t guard_ = -1;
  pid_t main_ = -1;
  UniqueFd control_;
  UniqueFd output_;
  UniqueFd errors_;
};

// Pointers into strings that must stay where they are until the child runs.
std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> all;
  all.reserve(strings.size() + 1);
  for (const std::string& text : strings) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

bool Run::can_be_limited() {
  end_.value = EPERM;
  if (limits_.any() && (geteuid() != 0 || !spec_.own_mounts)) {
    end_.reason = "what its payload narrows can be enforced by root only";
    return false;
  }
  if (limits_.confined()) {
    const auto mounts = other_kernel_mounts();
    if (!mounts) return refuse(EIO, "looking for mounts to be hidden from it: " + mounts.error().text());
    limits_.hidden.insert(limits_.hidden.end(), mounts->begin(), mounts->end());
  }
  if (limits_.network != ProcessLimits::Network::filtered) return true;
  const UniqueFd group = cgroup_.open_directory();
  if (!group) {
    end_.reason = "its network cannot be narrowed: there is no cgroup of version 2 that we may use";
    return false;
  }
  const Status limited = limit_network(group.get(), limits_.reach);
  if (!limited) end_.reason = "its network cannot be narrowed: " + limited.error().text();
  return static_cast<bool>(limited);
}

bool Run::start() {
  if (!can_be_limited()) return false;
  auto control = make_control();
  auto output = make_pipe();
  auto errors = watch_.errors ? make_pipe() : std::optional<Channel>(Channel{});
  const UniqueFd null = above_standard(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!control || !output || !errors || !null) return refuse(errno, "no descriptors for it");

  program_ = find_program(spec_.argv.front());
  std::vector<std::string> environment;
  for (const auto& [key, value] : spec_.environment) environment.push_back(std::string(key).append("=").append(value));
  std::vector<std::string> read_only;
  for (const fs::path& path : spec_.read_only) read_only.push_back(path.string());
  const auto argv = pointers(spec_.argv);
  const auto envp = pointers(environment);
  const auto bound = pointers(read_only);

  GuardPlan plan;
  plan.program = program_.c_str();
  plan.argv = argv.data();
  plan.environment = envp.data();
  plan.directory = spec_.directory.c_str();
  plan.read_only = bound.data();
  plan.own_mounts = spec_.own_mounts;
  plan.limits = &limits_;
  plan.grace_ms = spec_.grace_ms;
  plan.null_fd = null.get();
  plan.output_fd = output->theirs.get();
  plan.errors_fd = watch_.errors ? errors->theirs.get() : output->theirs.get();
  plan.control_fd = control->theirs.get();
  plan.cgroup_join_fd = cgroup_.join_fd();
  plan.cgroup_kill_fd = cgroup_.kill_fd();
  plan.table = &table_;
  fork_guard(plan);
  if (guard_ < 0) return refuse(errno, limits_.confined() ? "no processes of its own for it" : "no process for it");
  control_ = std::move(control->ours);
  output_ = std::move(output->ours);
  errors_ = std::move(errors->ours);
  return true;
}

void Run::fork_guard(const GuardPlan& plan) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // the guard must not run our handlers, nor die of our Ctrl-C
  // Confined, the guard is the first process of a namespace: the child then sees no other process than its own.
  guard_ = limits_.confined() ? static_cast<pid_t>(syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0)) : fork();
  if (guard_ == 0) guard_main(plan);
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
}

void Run::follow() {
  deadline_ = now_ms() + spec_.timeout_ms;
  GCancellable* cancellable = stop_.cancellable();
  const int stop_fd = g_cancellable_get_fd(cancellable);
  while (phase_ != Phase::over) {
    const bool stoppable = phase_ == Phase::running;
    std::array<pollfd, 5> fds = {pollfd{control_.get(), POLLIN, 0}, pollfd{output_.get(), POLLIN, 0},
                                 pollfd{errors_.get(), POLLIN, 0}, pollfd{watch_.fd, POLLIN, 0},
                                 pollfd{stoppable ? stop_fd : -1, POLLIN, 0}};
    const std::int64_t wait = std::clamp<std::int64_t>(deadline_ - now_ms(), 0, 60'000);
    if (poll(fds.data(), fds.size(), static_cast<int>(wait)) < 0 && errno != EINTR) break;
    serve(watch_.output, output_, fds[1].revents);
    serve(watch_.errors, errors_, fds[2].revents);
    if (fds[3].revents != 0) watch_.readable();
    if (fds[0].revents != 0) hear_guard();
    if (phase_ == Phase::running && stop_.requested()) end_all(ProcessEnd::Kind::cancelled);
    if (now_ms() >= deadline_) at_deadline();
  }
  if (stop_fd >= 0) g_cancellable_release_fd(cancellable);
}

// Reads once, so that a child which never stops writing keeps nobody from looking at the clock.
void Run::serve(const std::function<void(std::string_view)>& handler, UniqueFd& pipe, short events) {
  if (events == 0) return;
  std::array<char, 65'536>
      buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): clearing it costs as much as reading
  const ssize_t size = read(pipe.get(), buffer.data(), buffer.size());
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size > 0) {
    if (handler) handler({buffer.data(), static_cast<std::size_t>(size)});
  } else {
    const UniqueFd closed = std::move(pipe);
  }
}

void Run::hear_guard() {
  GuardReport report;
  const ssize_t size = recv(control_.get(), &report, sizeof report, MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size != sizeof report) {
    phase_ = Phase::over;
    return;
  }
  // In a namespace of its own it has another number here; there it ends with its guard.
  if (report.kind == GuardReport::Kind::main_started && !limits_.confined()) main_ = report.value;
  if (decided_ || report.kind == GuardReport::Kind::main_started) return;
  decided_ = true;
  if (report.kind == GuardReport::Kind::setup_failed) {
    end_.value = report.value;
    switch (report.stage) {
      case GuardReport::Stage::isolate:
        refuse(report.value, "no mount namespace for it");
        break;
      case GuardReport::Stage::limit:
        refuse(report.value, report.what);
        break;
      case GuardReport::Stage::descriptors:
        refuse(report.value, "no descriptors for it");
        break;
      case GuardReport::Stage::directory:
        refuse(report.value, "its directory " + quote(spec_.directory.string()));
        break;
      case GuardReport::Stage::execute:
        end_.reason = why_not_executed(program_, report.value, limits_.user.has_value());
        break;
    }
    return;
  }
  const bool exited = WIFEXITED(report.value);
  end_.kind = exited ? ProcessEnd::Kind::exited : ProcessEnd::Kind::signalled;
  end_.value = exited ? WEXITSTATUS(report.value) : WTERMSIG(report.value);
  phase_ = Phase::settling;
  deadline_ = now_ms() + kSettleMs;
}

void Run::at_deadline() {
  switch (phase_) {
    case Phase::running:
      end_all(ProcessEnd::Kind::timed_out);
      break;
    case Phase::settling:
      end_all(end_.kind);
      break;
    case Phase::ending:
      end_.leftovers.clear();
      note_leftovers();
      for (std::string& text : end_.leftovers) text += ", which could not be ended";
      hangs_ = true;
      phase_ = Phase::over;
      break;
    case Phase::over:
      break;
  }
}

void Run::end_all(ProcessEnd::Kind kind) {
  note_leftovers();
  if (!decided_) end_.kind = kind;
  decided_ = true;
  send(control_.get(), "e", 1, MSG_NOSIGNAL);
  phase_ = Phase::ending;
  deadline_ = now_ms() + spec_.grace_ms + kHangMs;
}

void Run::note_leftovers() {
  constexpr std::size_t kMost = 32;
  for (const TreeEntry& entry : table_.descendants(guard_)) {
    if (entry.state == 'Z' || end_.leftovers.size() == kMost) continue;
    const std::string number = std::to_string(entry.pid);
    auto command = read_file("/proc/" + number + "/cmdline");
    std::string text = command ? std::move(command).value() : std::string();
    std::replace(text.begin(), text.end(), '\0', ' ');
    text = printable(trimmed(text).substr(0, 200));
    end_.leftovers.push_back((text.empty() ? "a process" : text) + " (pid " + number + ")");
  }
}

// What is still in the pipes. Everybody who could add to it is gone, or got the pipe by ways that we do not wait for.
void Run::drain() {
  constexpr int kMost = 256;
  for (int i = 0; i < kMost && output_; ++i) {
    pollfd fd{output_.get(), POLLIN, 0};
    if (poll(&fd, 1, 0) <= 0) break;
    serve(watch_.output, output_, fd.revents);
  }
  for (int i = 0; i < kMost && errors_; ++i) {
    pollfd fd{errors_.get(), POLLIN, 0};
    if (poll(&fd, 1, 0) <= 0) break;
    serve(watch_.errors, errors_, fd.revents);
  }
  if (watch_.fd >= 0) watch_.readable();
}

void Run::finish() {
  const UniqueFd closed = std::move(control_);
  int status = 0;
  while (waitpid(guard_, &status, hangs_ ? WNOHANG : 0) < 0 && errno == EINTR) {
  }
  if (!decided_) {  // the guard was killed before the child had ended; the cgroup gets what is in no group
    if (main_ > 0) kill(-main_, SIGKILL);
    end_.kind = ProcessEnd::Kind::signalled;
    end_.value = SIGKILL;
  }
}

}  // namespace

ProcessEnd run_process(const ProcessSpec& spec, const ProcessWatch& watch, const StopToken& stop) {
  return Run(spec, watch, stop).run();
}

}  // namespace hc
