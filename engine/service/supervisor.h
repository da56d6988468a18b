#pragma once

#include <gio/gio.h>

#include <functional>

#include "engine/base/handle.h"
#include "engine/service/queue.h"
#include "engine/upgrade/node.h"

namespace hc {

// Sees to it that a worker runs whenever a job can, whoever added it and whatever killed the last one: looks at the
// queue's directory, not at what it was told.
class Supervisor {
 public:
  // `changed` is called when something happened in the queue's directory. REQUIRES: a main loop.
  Supervisor(fs::path sysroot, std::function<void()> changed);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  void begin();
  // From any thread: look soon.
  void wake();

 private:
  static gboolean on_time(gpointer self);
  Status watch_all(const Node& node, const JobQueue& queue);
  Status watch(const fs::path& directory);
  void look_in(std::int64_t ms);
  void look();
  void start_worker();
  void start_unit();
  void start_process();

  fs::path sysroot_;
  std::function<void()> changed_;
  SystemClock clock_;
  std::vector<GRef<GFileMonitor>> monitors_;
  GRef<GDBusConnection> bus_;
  guint timer_ = 0;
  std::int64_t due_ms_ = 0;
  std::int64_t started_ms_ = 0;
  std::string trouble_;   // told last
  unsigned in_vain_ = 0;  // starts after which a job could still run
};

}  // namespace hc
