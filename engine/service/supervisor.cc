#include "engine/service/supervisor.h"

#include <unistd.h>

#include <algorithm>
#include <limits>

#include "engine/base/log.h"
#include "engine/service/worker.h"

namespace hc {
namespace {

constexpr std::int64_t kSoonMs = 50;       // several changes in a row are looked at once
constexpr std::int64_t kAgainMs = 5'000;   // while a worker works
constexpr std::int64_t kQuietMs = 60'000;  // else
constexpr std::int64_t kMostBackOffMs = 60'000;

bool systemd_runs() { return ::access("/run/systemd/system", F_OK) == 0; }

fs::path worker_program() {
  std::error_code error;
  const fs::path own = fs::read_symlink("/proc/self/exe", error);
  return own.parent_path() / "honeycomb-worker";
}

}  // namespace

Supervisor::Supervisor(fs::path sysroot, std::function<void()> changed)
    : sysroot_(std::move(sysroot)), changed_(std::move(changed)) {}

Supervisor::~Supervisor() {
  if (timer_ != 0) g_source_remove(timer_);
  for (const auto& monitor : monitors_) g_signal_handlers_disconnect_by_data(monitor.get(), this);
}

void Supervisor::begin() { look(); }

// Jobs come and go in one; the other tells when a transaction has ended that no worker of ours carried on.
Status Supervisor::watch_all(const Node& node, const JobQueue& queue) {
  if (!monitors_.empty()) return ok;
  HC_TRY(watch(queue.directory()));
  return watch(node.state);
}

Status Supervisor::watch(const fs::path& directory) {
  const GRef<GFile> file = adopt(g_file_new_for_path(directory.c_str()));
  GErr err;
  GRef<GFileMonitor> monitor = adopt(g_file_monitor_directory(file.get(), G_FILE_MONITOR_WATCH_MOVES, nullptr, err));
  if (!monitor) return err.as(Code::io, "watching " + directory.string());
  constexpr int kRateMs = 100;
  g_file_monitor_set_rate_limit(monitor.get(), kRateMs);
  g_signal_connect(
      monitor.get(), "changed", G_CALLBACK(+[](GFileMonitor*, GFile*, GFile*, GFileMonitorEvent event, gpointer self) {
        auto& own = *static_cast<Supervisor*>(self);
        own.changed_();
        const bool other_file = event == G_FILE_MONITOR_EVENT_RENAMED || event == G_FILE_MONITOR_EVENT_MOVED_IN ||
                                event == G_FILE_MONITOR_EVENT_DELETED;
        if (other_file) own.look_in(kSoonMs);
      }),
      this);
  monitors_.push_back(std::move(monitor));
  return ok;
}

void Supervisor::wake() {
  g_idle_add(
      [](gpointer self) -> gboolean {
        static_cast<Supervisor*>(self)->look_in(kSoonMs);
        return G_SOURCE_REMOVE;
      },
      this);
}

gboolean Supervisor::on_time(gpointer data) {
  auto& self = *static_cast<Supervisor*>(data);
  self.timer_ = 0;
  self.look();
  return G_SOURCE_REMOVE;
}

// The earliest wish counts.
void Supervisor::look_in(std::int64_t ms) {
  const std::int64_t due = clock_.monotonic_ms() + ms;
  if (timer_ != 0 && due_ms_ <= due) return;
  if (timer_ != 0) g_source_remove(timer_);
  due_ms_ = due;
  timer_ = g_timeout_add(static_cast<guint>(ms), &Supervisor::on_time, this);
}

void Supervisor::look() {
  changed_();
  const auto node = Node::open(sysroot_);
  auto queue = node ? JobQueue::open(node->state, clock_) : Result<JobQueue>(node.error());
  const Status watched = queue ? watch_all(*node, *queue) : Status(queue.error());
  const auto jobs = watched ? queue->all() : Result<std::vector<Job>>(watched.error());
  if (!jobs) {
    // Also before the node has its slots: whoever asks meanwhile hears the same.
    if (jobs.error().text() != trouble_) log(Level::error, "no job can be run: " + jobs.error().text());
    trouble_ = jobs.error().text();
    look_in(kQuietMs);
    return;
  }
  trouble_.clear();
  const std::int64_t wall = clock_.wall_seconds();
  if (next_job(*jobs, moment_of(*node, wall)) == nullptr) {
    in_vain_ = 0;
    const std::int64_t wait_s = seconds_to_next(*jobs, wall).value_or(kQuietMs / 1000);
    look_in(std::clamp<std::int64_t>(wait_s * 1000, kSoonMs, kQuietMs));
    return;
  }
  if (worker_runs(*queue)) {
    in_vain_ = 0;
    look_in(kAgainMs);
    return;
  }
  // A worker that dies at once must not be started in a circle.
  constexpr unsigned kMostDoublings = 6;
  const std::int64_t pause =
      in_vain_ == 0 ? 0 : std::min(kMostBackOffMs, std::int64_t{1000} << std::min(in_vain_ - 1, kMostDoublings));
  const std::int64_t wait = started_ms_ + pause - clock_.monotonic_ms();
  if (wait > 0) {
    look_in(wait);
    return;
  }
  ++in_vain_;
  started_ms_ = clock_.monotonic_ms();
  start_worker();
  look_in(1000);
}

void Supervisor::start_worker() {
  if (sysroot_ == "/" && systemd_runs())
    start_unit();
  else
    start_process();
}

// In a unit of its own it has the rights that we have given up, and outlives us.
void Supervisor::start_unit() {
  GErr err;
  if (!bus_) bus_ = adopt(g_bus_get_sync(G_BUS_TYPE_SYSTEM, nullptr, err));
  if (!bus_) {
    log(Level::error, "no bus to systemd: " + std::string(err.text()));
    return;
  }
  g_dbus_connection_call(
      bus_.get(), "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
      "StartUnit", g_variant_new("(ss)", "honeycomb-worker.service", "replace"), nullptr, G_DBUS_CALL_FLAGS_NONE, -1,
      nullptr,
      [](GObject* bus, GAsyncResult* result, gpointer) {
        GErr failure;
        const Variant answer(g_dbus_connection_call_finish(G_DBUS_CONNECTION(bus), result, failure));
        if (!answer) log(Level::error, "honeycomb-worker.service cannot be started: " + std::string(failure.text()));
      },
      nullptr);
}

// Without systemd: a process in a session of its own, which outlives us too.
void Supervisor::start_process() {
  const std::string program = worker_program().string();
  const std::string sysroot = sysroot_.string();
  std::vector<const char*> argv = {program.c_str(), "--sysroot", sysroot.c_str(), nullptr};
  GErr err;
  GPid pid = 0;
  const bool started = g_spawn_async(
      "/", const_cast<char**>(argv.data()), nullptr, G_SPAWN_DO_NOT_REAP_CHILD,
      [](gpointer) { static_cast<void>(::setsid()); }, nullptr, &pid, err);
  if (!started) {
    log(Level::error, "the worker cannot be started: " + std::string(err.text()));
    return;
  }
  g_child_watch_add(
      pid,
      [](GPid child, gint, gpointer self) {
        g_spawn_close_pid(child);
        static_cast<Supervisor*>(self)->look_in(kSoonMs);
      },
      this);
}

}  // namespace hc
