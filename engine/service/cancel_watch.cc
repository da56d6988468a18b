#include "engine/service/cancel_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>

namespace hc {

CancelWatch::CancelWatch(const JobQueue& queue, std::uint64_t job, const StopToken& process)
    : process_(process), changes_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)), end_(eventfd(0, EFD_CLOEXEC)) {
  if (changes_) inotify_add_watch(changes_.get(), queue.directory().c_str(), IN_MOVED_TO);
  connection_ = g_cancellable_connect(process_.cancellable(), G_CALLBACK(+[](GCancellable*, gpointer token) {
                                        static_cast<const StopToken*>(token)->request();
                                      }),
                                      &token_, nullptr);
  thread_ = std::thread([this, &queue, job] { watch(queue, job); });
}

CancelWatch::~CancelWatch() {
  const std::uint64_t one = 1;
  if (::write(end_.get(), &one, sizeof one) != sizeof one) std::abort();  // cannot fail: the counter is at 0
  thread_.join();
  g_cancellable_disconnect(process_.cancellable(), connection_);
}

void CancelWatch::watch(const JobQueue& queue, std::uint64_t job) const {
  while (true) {
    // Looked at first: the wish may be older than this watch.
    const auto found = queue.find(job);
    if (found && *found && (*found)->cancel) token_.request();
    std::array<pollfd, 2> fds{pollfd{changes_.get(), POLLIN, 0}, pollfd{end_.get(), POLLIN, 0}};
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return;
    if (fds[1].revents != 0) return;
    std::array<char, 4096> events{};
    while (::read(changes_.get(), events.data(), events.size()) > 0) {
    }
  }
}

}  // namespace hc
