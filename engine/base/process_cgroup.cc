#include "engine/base/process_cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <optional>

#include "engine/base/handle.h"
#include "engine/base/text.h"

namespace hc {
namespace {

// Names are this, our pid and a number. A pid means something only in its namespace, which may share a cgroup with
// others.
std::string name_prefix() {
  struct stat info {};
  const bool known = stat("/proc/self/ns/pid", &info) == 0;
  return "hc-child-" + std::to_string(known ? info.st_ino : 0) + "-";
}

std::optional<fs::path> mount_point() {
  // The second is where hosts that still mount version 1 keep version 2.
  for (const char* path : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    struct statfs info {};
    if (statfs(path, &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC) return path;
  }
  return std::nullopt;
}

std::optional<fs::path> own_cgroup() {
  const auto root = mount_point();
  const auto groups = read_file("/proc/self/cgroup");
  if (!root || !groups) return std::nullopt;
  for (const std::string& line : split(*groups, '\n')) {
    if (line.starts_with("0::/")) return *root / line.substr(4);
  }
  return std::nullopt;
}

// Removes the cgroup, and those that its processes have made in it. False where something in it still lives.
bool remove_group(int parent, const std::string& name, int depth = 0) {
  constexpr int kDeepest = 64;
  if (unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno != EBUSY) return true;
  if (depth == kDeepest) return false;
  const int fd = openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const Handle<DIR, closedir> directory(fd < 0 ? nullptr : fdopendir(fd));
  if (!directory) return false;
  while (const dirent* entry = readdir(directory.get())) {
    const std::string below = entry->d_name;
    if (entry->d_type == DT_DIR && below != "." && below != ".." && !remove_group(fd, below, depth + 1)) return false;
  }
  return unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0;
}

void kill_and_remove(int parent, const std::string& name, int attempts) {
  const UniqueFd fd(openat(parent, (name + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC));
  for (int attempt = 0; attempt < attempts; ++attempt) {
    if (remove_group(parent, name)) return;
    if (fd && write(fd.get(), "1", 1) != 1) return;
    const timespec pause{0, 10'000'000};
    nanosleep(&pause, nullptr);
  }
}

// Those of an engine that was killed. What cannot be removed yet is left to the next child: waiting would slow down
// all.
void remove_orphans(int parent, const fs::path& path) {
  const auto names = list_dir(path);
  if (!names) return;
  const std::string prefix = name_prefix();
  for (const std::string& name : *names) {
    if (!name.starts_with(prefix)) continue;
    pid_t owner = 0;
    const auto parsed = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), owner);
    if (parsed.ec == std::errc{} && owner > 0 && kill(owner, 0) != 0 && errno == ESRCH)
      kill_and_remove(parent, name, 2);
  }
}

}  // namespace

ProcessCgroup ProcessCgroup::make() {
  static std::atomic<unsigned> counter{0};
  ProcessCgroup group;
  const auto path = own_cgroup();
  if (!path) return group;
  UniqueFd parent(open(path->c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent) return group;
  remove_orphans(parent.get(), *path);
  const std::string name = name_prefix() + std::to_string(getpid()) + "-" + std::to_string(++counter);
  if (mkdirat(parent.get(), name.c_str(), 0755) != 0) return group;
  UniqueFd join(openat(parent.get(), (name + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  UniqueFd kill_file(openat(parent.get(), (name + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC));
  if (!join || !kill_file) {
    unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR);
    return group;
  }
  group.parent_ = std::move(parent);
  group.name_ = name;
  group.join_ = std::move(join);
  group.kill_ = std::move(kill_file);
  return group;
}

UniqueFd ProcessCgroup::open_directory() const {
  return UniqueFd(parent_ ? openat(parent_.get(), name_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1);
}

ProcessCgroup::~ProcessCgroup() {
  if (parent_) kill_and_remove(parent_.get(), name_, 50);
}

}  // namespace hc
