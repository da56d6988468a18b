#include "engine/base/process_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace hc {
namespace {

constexpr std::size_t kMost = 131'072;

// Reads /proc/NAME/stat below the directory `proc`. Between the pid and the state stands the program's name in
// parentheses, which may itself hold anything, parentheses too: hence from the last one.
bool read_stat(int proc, const char* name, TreeEntry& entry) {
  std::array<char, 32> path{};
  if (std::strlen(name) > 10) return false;
  std::strcpy(path.data(), name);     // NOLINT(clang-analyzer-security.insecureAPI.strcpy): its length was just checked
  std::strcat(path.data(), "/stat");  // NOLINT(clang-analyzer-security.insecureAPI.strcpy)
  const int fd = openat(proc, path.data(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  std::array<char, 1024> text{};
  const ssize_t size = read(fd, text.data(), text.size() - 1);
  close(fd);
  if (size <= 0) return false;
  const char* field = std::strrchr(text.data(), ')');
  if (field == nullptr || field[1] == '\0' || field[2] == '\0') return false;
  entry.pid = static_cast<pid_t>(std::strtol(name, nullptr, 10));
  entry.state = field[2];
  entry.parent = static_cast<pid_t>(std::strtol(field + 3, nullptr, 10));
  constexpr int kFieldsToStart = 20;  // from ')' to starttime, field 22 of proc(5)
  for (int i = 0; i < kFieldsToStart && field != nullptr; ++i) field = std::strchr(field + 1, ' ');
  if (field == nullptr) return false;
  entry.started = std::strtoull(field, nullptr, 10);
  entry.below = false;
  return true;
}

bool still_the_same(const TreeEntry& entry) {
  const int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (proc < 0) return false;
  std::array<char, 16> name{};
  std::snprintf(name.data(), name.size(), "%d", static_cast<int>(entry.pid));
  TreeEntry now;
  const bool same = read_stat(proc, name.data(), now) && now.started == entry.started;
  close(proc);
  return same;
}

void signal_entry(const TreeEntry& entry, int signal) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, entry.pid, 0));
  if (fd < 0 && errno == ESRCH) return;
  if (still_the_same(entry)) {
    if (fd < 0 || syscall(SYS_pidfd_send_signal, fd, signal, nullptr, 0) != 0) kill(entry.pid, signal);
  }
  if (fd >= 0) close(fd);
}

}  // namespace

ProcessTable::ProcessTable() {
  void* memory = mmap(nullptr, kMost * sizeof(TreeEntry), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory != MAP_FAILED) entries_ = static_cast<TreeEntry*>(memory);
}

ProcessTable::~ProcessTable() {
  if (entries_ != nullptr) munmap(entries_, kMost * sizeof(TreeEntry));
}

std::span<const TreeEntry> ProcessTable::descendants(pid_t ancestor) {
  if (entries_ == nullptr) return {};
  read_all();
  mark_below(ancestor);
  const auto* end = std::partition(entries_, entries_ + count_, [](const TreeEntry& entry) { return entry.below; });
  return {entries_, end};
}

void ProcessTable::signal_descendants(pid_t ancestor, int signal) {
  for (const TreeEntry& entry : descendants(ancestor)) signal_entry(entry, signal);
}

void ProcessTable::read_all() {
  count_ = 0;
  const int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (proc < 0) return;
  alignas(dirent64) std::array<char, 16'384> buffer{};
  for (;;) {
    const long size = syscall(SYS_getdents64, proc, buffer.data(), buffer.size());
    if (size <= 0) break;
    for (long at = 0; at < size;) {
      const auto* item = reinterpret_cast<const dirent64*>(buffer.data() + at);
      if (item->d_name[0] >= '1' && item->d_name[0] <= '9') add(proc, item->d_name);
      at += item->d_reclen;
    }
  }
  close(proc);
  std::sort(entries_, entries_ + count_, [](const TreeEntry& a, const TreeEntry& b) { return a.pid < b.pid; });
}

void ProcessTable::add(int proc, const char* name) {
  if (count_ < kMost && read_stat(proc, name, entries_[count_])) ++count_;
}

void ProcessTable::mark_below(pid_t ancestor) {
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = 0; i < count_; ++i) {
      TreeEntry& entry = entries_[i];
      if (entry.below || entry.pid == ancestor) continue;
      const TreeEntry* parent = find(entry.parent);
      entry.below = entry.parent == ancestor || (parent != nullptr && parent->below);
      changed = changed || entry.below;
    }
  }
}

TreeEntry* ProcessTable::find(pid_t pid) {
  TreeEntry* end = entries_ + count_;
  TreeEntry* found = std::lower_bound(entries_, end, pid, [](const TreeEntry& a, pid_t b) { return a.pid < b; });
  return found != end && found->pid == pid ? found : nullptr;
}

}  // namespace hc
