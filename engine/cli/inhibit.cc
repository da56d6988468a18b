#include "engine/upgrade/inhibit.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdio>

#include "engine/base/text.h"
#include "engine/cli/service_link.h"

namespace hc {
namespace {

// The person's own command with the person's own terminal; what ends it is theirs.
Result<int> run_beside(const std::vector<std::string>& command) {
  std::vector<std::string> words = command;
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = -1;
  const int failed = ::posix_spawnp(&pid, argv[0], nullptr, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return Error::from_errno(failed, "starting " + quote(command.front()));
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  constexpr int kSignalled = 128;  // as a shell says it
  return WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled + WTERMSIG(status);
}

void wait_for_stop(const StopToken& stop) {
  pollfd fd{g_cancellable_get_fd(stop.cancellable()), POLLIN, 0};
  while (!stop.requested() && ::poll(&fd, 1, -1) < 0 && errno == EINTR) {
  }
  g_cancellable_release_fd(stop.cancellable());
}

}  // namespace

int inhibit(const Session& session, const std::string& why, const std::vector<std::string>& command) {
  const auto node = Node::open(session.sysroot);
  if (!node) return fail(session, node.error());
  const auto held = Inhibitors(node->state).hold(why, who());
  if (!held) return fail(session, held.error());
  if (command.empty()) {
    if (!session.quiet && !session.json) std::fprintf(stderr, "Upgrades are held off until Ctrl-C.\n");
    wait_for_stop(session.stop);
    return 0;
  }
  const auto status = run_beside(command);
  return status ? *status : fail(session, status.error());
}

}  // namespace hc
