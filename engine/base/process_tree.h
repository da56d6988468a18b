#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>

namespace hc {

struct TreeEntry {
  pid_t pid = 0;
  pid_t parent = 0;
  char state = '?';                // as in /proc/PID/stat: 'Z' is a process that ended already
  unsigned long long started = 0;  // with `pid` it names one process for ever
  bool below = false;
};

// A look at /proc. All memory is taken by the constructor, so that a forked child of a threaded process may call the
// rest.
class ProcessTable {
 public:
  ProcessTable();
  ~ProcessTable();
  ProcessTable(const ProcessTable&) = delete;
  ProcessTable& operator=(const ProcessTable&) = delete;

  // The descendants of `ancestor` as they are now, valid until the next call. Empty where /proc cannot be read.
  std::span<const TreeEntry> descendants(pid_t ancestor);

  // Sends `signal` to all descendants of `ancestor`, and never to a newer process that got the number of one of them.
  void signal_descendants(pid_t ancestor, int signal);

 private:
  void read_all();
  void add(int proc, const char* name);
  void mark_below(pid_t ancestor);
  TreeEntry* find(pid_t pid);

  TreeEntry* entries_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace hc
