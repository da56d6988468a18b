#include "engine/store/pull_pace.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <string_view>
#include <thread>

#include "engine/base/file.h"

namespace hc {
namespace {

constexpr unsigned kLookMs = 20;
constexpr std::int64_t kLongestSleepMs = 200;

// What may lie in one socket's buffer, so that a burst stays small: a quarter of a second's worth.
void bound_buffer(int fd, std::uint64_t rate) {
  const int size = static_cast<int>(std::clamp<std::uint64_t>(rate / 4, 4 << 10, 256 << 10));
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

}  // namespace

PullPace::PullPace(std::uint64_t bytes_per_s, std::function<void()> held)
    : rate_(bytes_per_s), held_(std::move(held)), last_(std::chrono::steady_clock::now()) {
  if (rate_ == 0) return;
  timer_ = g_timeout_source_new(kLookMs);
  // Before the fetcher's own events.
  g_source_set_priority(timer_, G_PRIORITY_HIGH);
  g_source_set_callback(timer_, &PullPace::on_time, this, nullptr);
  g_source_attach(timer_, g_main_context_get_thread_default());
}

PullPace::~PullPace() {
  if (timer_ == nullptr) return;
  g_source_destroy(timer_);
  g_source_unref(timer_);
}

gboolean PullPace::on_time(gpointer self) {
  static_cast<PullPace*>(self)->hold();
  return G_SOURCE_CONTINUE;
}

std::uint64_t PullPace::newly_received() {
  std::uint64_t total = 0;
  std::error_code gone;
  for (fs::directory_iterator entry("/proc/self/fd", gone), end; !gone && entry != end; entry.increment(gone)) {
    const std::string name = entry->path().filename().string();
    int fd = -1;
    std::from_chars(name.data(), name.data() + name.size(), fd);
    struct stat info {};
    tcp_info tcp{};
    socklen_t size = sizeof tcp;
    if (::fstat(fd, &info) != 0 || !S_ISSOCK(info.st_mode)) continue;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &tcp, &size) != 0) continue;
    if (size < offsetof(tcp_info, tcpi_bytes_received) + sizeof tcp.tcpi_bytes_received) continue;
    const auto [known, is_new] = seen_.try_emplace(info.st_ino, 0);
    if (is_new) bound_buffer(fd, rate_);
    total += tcp.tcpi_bytes_received - std::min<std::uint64_t>(known->second, tcp.tcpi_bytes_received);
    known->second = tcp.tcpi_bytes_received;
  }
  return total;
}

void PullPace::fetched(std::uint64_t bytes) {
  if (bytes <= received_) return;
  ahead_ += static_cast<std::int64_t>(bytes - received_);
  received_ = bytes;
}

void PullPace::hold() {
  using std::chrono::milliseconds;
  const auto now = std::chrono::steady_clock::now();
  const std::int64_t passed_ms = std::chrono::duration_cast<milliseconds>(now - last_).count();
  if (passed_ms == 0) return;
  last_ = now;
  const auto rate = static_cast<std::int64_t>(rate_);
  fetched(received_ + newly_received());
  ahead_ = std::max<std::int64_t>(0, ahead_ - rate * passed_ms / 1000);
  if (ahead_ == 0) return;
  held_();
  std::this_thread::sleep_for(milliseconds(std::clamp<std::int64_t>(ahead_ * 1000 / rate, 1, kLongestSleepMs)));
}

}  // namespace hc
