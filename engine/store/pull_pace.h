#pragma once

#include <glib.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>

namespace hc {

// Holds what this process receives over TCP to a rate, for libostree's fetcher, which knows no limit: while it is
// ahead, the main context that drives the fetcher sleeps, and the senders see full buffers. Counts what the sockets
// really received (tcpi_bytes_received of TCP_INFO), so encryption and headers are in it; of connections that live too
// short to be seen, what the fetcher says. Time in which nothing came is not saved up.
class PullPace {
 public:
  // 0 bytes per second: no limit. `held` is called while it sleeps. REQUIRES: the thread's default main context drives
  // all transfers of the process.
  PullPace(std::uint64_t bytes_per_s, std::function<void()> held);
  ~PullPace();
  PullPace(const PullPace&) = delete;
  PullPace& operator=(const PullPace&) = delete;

  // So much has come by the fetcher's own count.
  void fetched(std::uint64_t bytes);

 private:
  static gboolean on_time(gpointer self);
  void hold();
  std::uint64_t newly_received();

  std::uint64_t rate_;
  std::function<void()> held_;
  GSource* timer_ = nullptr;
  std::map<std::uint64_t, std::uint64_t> seen_;  // by the socket's inode
  std::uint64_t received_ = 0;
  std::int64_t ahead_ = 0;  // bytes received before their time
  std::chrono::steady_clock::time_point last_;
};

}  // namespace hc
