#include "engine/base/process_guard.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

namespace hc {
namespace {

// Only async-signal-safe calls below: the process that forked us may have had threads in the middle of malloc.

std::int64_t now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

void say(const GuardPlan& plan, const GuardReport& report) {
  send(plan.control_fd, &report, sizeof report, MSG_NOSIGNAL);
}

[[noreturn]] void fail(const GuardPlan& plan, GuardReport::Stage stage, const char* what = nullptr) {
  say(plan, {GuardReport::Kind::setup_failed, stage, errno, what});
  _exit(127);
}

void close_range_or_loop(unsigned first, unsigned last) {
  if (first > last || syscall(SYS_close_range, first, last, 0) == 0) return;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const auto most = static_cast<unsigned>(std::min<rlim_t>(limit.rlim_cur, 65'536));
  for (unsigned fd = first; fd <= last && fd < most; ++fd) close(static_cast<int>(fd));
}

// Other guards, running at the same time, would keep alive what they inherited by chance: locks, sockets, pipe ends.
void keep_only_plan(const GuardPlan& plan) {
  std::array<int, 6> keep = {plan.null_fd,    plan.output_fd,      plan.errors_fd,
                             plan.control_fd, plan.cgroup_join_fd, plan.cgroup_kill_fd};
  std::sort(keep.begin(), keep.end());
  unsigned next = 3;
  for (const int fd : keep) {
    if (fd < 0) continue;
    close_range_or_loop(next, static_cast<unsigned>(fd) - 1);
    next = static_cast<unsigned>(fd) + 1;
  }
  close_range_or_loop(next, ~0U);
}

// True where we now have mounts of our own. Being refused is no failure: see ProcessSpec::own_mounts.
bool isolate_mounts(const GuardPlan& plan) {
  if (unshare(CLONE_NEWNS) != 0) return !plan.limits->needs_mounts() && (errno == EPERM || errno == ENOSYS);
  // Slave: what the machine mounts or unmounts meanwhile still reaches the child, and nothing goes the other way.
  if (mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return false;
  for (const char* const* path = plan.read_only; *path != nullptr; ++path) {
    struct statvfs info {};
    const bool bound = mount(*path, *path, nullptr, MS_BIND | MS_REC, nullptr) == 0;
    if (!bound && errno == ENOENT) continue;  // nothing to protect; where it is needed, that is said then
    if (!bound || statvfs(*path, &info) != 0) return false;
    const unsigned long kept = info.f_flag & (ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME);
    if (mount(nullptr, *path, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | kept, nullptr) != 0) return false;
  }
  return true;
}

void reset_limits() {
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = std::min<rlim_t>(1024, files.rlim_max);
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

void reset_signals() {
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void execute(const GuardPlan& plan) {
  // A group of its own inside the guard's session: not being a session leader, it cannot get a controlling terminal
  // by opening a serial port.
  setpgid(0, 0);
  // Where it only serves to end everything, the walk over /proc finds its processes all the same.
  const bool joined = plan.cgroup_join_fd >= 0 && write(plan.cgroup_join_fd, "0", 1) == 1;
  if (!joined && plan.limits->network == ProcessLimits::Network::filtered) {
    fail(plan, GuardReport::Stage::limit, "it cannot enter its cgroup");
  }
  reset_signals();
  reset_limits();
  umask(022);
  if (plan.limits->user) {  // else it could not open its own /dev/stderr
    for (const int fd : {plan.output_fd, plan.errors_fd}) {
      if (fchown(fd, plan.limits->user->uid, plan.limits->user->gid) != 0) fail(plan, GuardReport::Stage::descriptors);
    }
  }
  if (dup2(plan.null_fd, 0) < 0 || dup2(plan.output_fd, 1) < 0 || dup2(plan.errors_fd, 2) < 0) {
    fail(plan, GuardReport::Stage::descriptors);
  }
  if (chdir(plan.directory) != 0) fail(plan, GuardReport::Stage::directory);
  const char* not_dropped = drop_rights(*plan.limits);
  if (not_dropped != nullptr) fail(plan, GuardReport::Stage::limit, not_dropped);
  // A program that was written a moment ago may still be open for writing in a sibling between its fork and exec.
  for (int attempt = 0; attempt < 20; ++attempt) {
    execve(plan.program, plan.argv, plan.environment);
    if (errno != ETXTBSY) break;
    const timespec pause{0, 25'000'000};
    nanosleep(&pause, nullptr);
    errno = ETXTBSY;
  }
  fail(plan, GuardReport::Stage::execute);
}

class Guard {
 public:
  Guard(const GuardPlan& plan, pid_t main) : plan_(plan), main_(main) {}

  [[noreturn]] void watch() {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    std::array<pollfd, 2> fds = {pollfd{plan_.control_fd, POLLIN, 0},
                                 pollfd{signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC), POLLIN, 0}};
    for (;;) {
      poll(fds.data(), fds.size(), wait_ms());
      signalfd_siginfo info{};
      while (read(fds[1].fd, &info, sizeof info) > 0) {
      }
      reap();
      if (fds[0].revents != 0) {
        fds[0].fd = -1;
        begin_end();
      }
      if (kill_at_ >= 0 && now_ms() >= kill_at_) kill_all();
    }
  }

 private:
  int wait_ms() const {
    // With a pause even when nothing is due: were a SIGCHLD ever missed, nobody would wait for ever.
    if (kill_at_ < 0) return 1000;
    return static_cast<int>(std::clamp<std::int64_t>(kill_at_ - now_ms(), 0, 1000));
  }

  void reap() {
    int status = 0;
    pid_t pid = 0;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
      if (pid != main_) continue;
      main_ = 0;
      say(plan_, {GuardReport::Kind::main_ended, {}, status, nullptr});
    }
    if (pid < 0 && errno == ECHILD) _exit(0);
  }

  void begin_end() {
    plan_.table->signal_descendants(getpid(), SIGTERM);
    plan_.table->signal_descendants(getpid(), SIGCONT);
    kill_at_ = now_ms() + plan_.grace_ms;
  }

  void kill_all() {
    if (plan_.cgroup_kill_fd >= 0 && write(plan_.cgroup_kill_fd, "1", 1) != 1) {
      // The walk does it.
    }
    if (main_ > 0) kill(-main_, SIGKILL);
    // Stopped first, so that nothing can fork while the rest is being killed.
    plan_.table->signal_descendants(getpid(), SIGSTOP);
    plan_.table->signal_descendants(getpid(), SIGSTOP);
    plan_.table->signal_descendants(getpid(), SIGKILL);
    kill_at_ = now_ms() + pause_;
    pause_ = std::min<std::int64_t>(pause_ * 2, 1000);
  }

  const GuardPlan& plan_;
  pid_t main_;                 // 0 once it was reaped
  std::int64_t kill_at_ = -1;  // when to kill next, once the end has begun
  std::int64_t pause_ = 20;
};

}  // namespace

void guard_main(const GuardPlan& plan) {
  setsid();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_NAME, "hc-guard");
  keep_only_plan(plan);
  if (plan.own_mounts && !isolate_mounts(plan)) fail(plan, GuardReport::Stage::isolate);
  const char* not_limited = enter_limits(*plan.limits);
  if (not_limited != nullptr) fail(plan, GuardReport::Stage::limit, not_limited);
  const pid_t main = _Fork();  // fork() would take locks that another thread of ours may have held
  if (main < 0) fail(plan, GuardReport::Stage::execute);
  if (main == 0) execute(plan);
  setpgid(main, main);  // as the child does: whoever comes first
  say(plan, {GuardReport::Kind::main_started, {}, main, nullptr});
  for (const int fd : {0, 1, 2}) dup2(plan.null_fd, fd);
  for (const int fd : {plan.null_fd, plan.output_fd, plan.errors_fd, plan.cgroup_join_fd}) {
    if (fd >= 0) close(fd);
  }
  Guard(plan, main).watch();
}

}  // namespace hc
