// Preloaded into the programs under test (LD_PRELOAD): makes the system calls of libc that change files, open or read
// them fail, or ends the process before one. Only calls on files below HC_FAULT_ROOT count.
//
//   HC_FAULT_ROOT     the node
//   HC_FAULT_COUNTER  a file of 8 bytes: calls counted so far, in all processes together
//   HC_FAULT_AT       which call; 0: none, count only
//   HC_FAULT_WITH     the number of errno, or "kill"
//   HC_FAULT_CALLS    "change", "open", "read": which kind of calls counts
//   HC_FAULT_CLOCK    seconds: the wall clock is that far ahead at every second look, and as far behind at the others
//   HC_FAULT_NO_SYNC  a deliberate break: paths with this text in them are never synced; after a `!`, all others
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace {

const char* setting(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

// The absolute path of `name` seen from `directory`; of the descriptor itself where there is no name.
void path_of(int directory, const char* name, char (&path)[2 * PATH_MAX]) {
  path[0] = '\0';
  size_t size = 0;
  if (name == nullptr || name[0] != '/') {
    char link[64];
    if (directory == AT_FDCWD) {
      snprintf(link, sizeof(link), "/proc/self/cwd");
    } else {
      snprintf(link, sizeof(link), "/proc/self/fd/%d", directory);
    }
    const ssize_t have = readlink(link, path, PATH_MAX - 1);
    size = have > 0 ? static_cast<size_t>(have) : 0;
    path[size] = '\0';
  }
  if (name != nullptr) snprintf(path + size, sizeof(path) - size, "/%s", name);
}

bool counts(int directory, const char* name) {
  const char* root = setting("HC_FAULT_ROOT");
  if (root[0] == '\0') return false;
  char path[2 * PATH_MAX];
  path_of(directory, name, path);
  const char* from = path[0] == '/' && path[1] == '/' ? path + 1 : path;
  return strncmp(from, root, strlen(root)) == 0;
}

uint64_t next_number() {
  static std::atomic<uint64_t>* counter = [] {
    const int fd = static_cast<int>(open(setting("HC_FAULT_COUNTER"), O_RDWR | O_CLOEXEC));
    void* map = fd < 0 ? MAP_FAILED : mmap(nullptr, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0) close(fd);
    return map == MAP_FAILED ? nullptr : static_cast<std::atomic<uint64_t>*>(map);
  }();
  return counter == nullptr ? 0 : ++*counter;
}

thread_local bool inside = false;

// True where this call has to fail; errno says how.
bool fails(const char* kind, int directory, const char* name) {
  const int before = errno;
  if (inside || strcmp(setting("HC_FAULT_CALLS"), kind) != 0) return false;
  inside = true;
  const bool here = counts(directory, name) && next_number() == strtoull(setting("HC_FAULT_AT"), nullptr, 10);
  inside = false;
  errno = before;
  if (!here) return false;
  const char* with = setting("HC_FAULT_WITH");
  if (strcmp(with, "kill") == 0) kill(getpid(), SIGKILL);
  errno = atoi(with);
  return true;
}

bool not_synced(int fd) {
  const char* text = setting("HC_FAULT_NO_SYNC");
  if (text[0] == '\0') return false;
  char path[2 * PATH_MAX];
  path_of(fd, nullptr, path);
  return text[0] == '!' ? strstr(path, text + 1) == nullptr : strstr(path, text) != nullptr;
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

mode_t mode_of(int flags, va_list list) {
  return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? static_cast<mode_t>(va_arg(list, int)) : 0;
}

const char* kind_of(int flags) { return (flags & O_ACCMODE) == O_RDONLY ? "open" : "change"; }

bool open_fails(int directory, const char* name, int flags) {
  return fails("open", directory, name) || (kind_of(flags)[0] == 'c' && fails("change", directory, name));
}

}  // namespace

// The functions of libc, by the same names: NAME(arguments), on which file it works, and how it is handed on.
#define HC_CHANGE(result, name, parameters, arguments, directory, path)    \
  extern "C" result name parameters {                                      \
    static const auto real = next<result(*) parameters>(#name);            \
    return fails("change", directory, path) ? result(-1) : real arguments; \
  }
#define HC_READ(result, name, parameters, arguments, fd)             \
  extern "C" result name parameters {                                \
    static const auto real = next<result(*) parameters>(#name);      \
    return fails("read", fd, nullptr) ? result(-1) : real arguments; \
  }
#define HC_SYNC(name)                                    \
  extern "C" int name(int fd) {                          \
    static const auto real = next<int (*)(int)>(#name);  \
    if (not_synced(fd)) return 0;                        \
    return fails("change", fd, nullptr) ? -1 : real(fd); \
  }
#define HC_OPEN(name)                                                        \
  extern "C" int name(const char* path, int flags, ...) {                    \
    static const auto real = next<int (*)(const char*, int, ...)>(#name);    \
    va_list list;                                                            \
    va_start(list, flags);                                                   \
    const mode_t mode = mode_of(flags, list);                                \
    va_end(list);                                                            \
    return open_fails(AT_FDCWD, path, flags) ? -1 : real(path, flags, mode); \
  }
#define HC_OPENAT(name)                                                                  \
  extern "C" int name(int directory, const char* path, int flags, ...) {                 \
    static const auto real = next<int (*)(int, const char*, int, ...)>(#name);           \
    va_list list;                                                                        \
    va_start(list, flags);                                                               \
    const mode_t mode = mode_of(flags, list);                                            \
    va_end(list);                                                                        \
    return open_fails(directory, path, flags) ? -1 : real(directory, path, flags, mode); \
  }

HC_OPEN(open)
HC_OPEN(open64)
HC_OPENAT(openat)
HC_OPENAT(openat64)
HC_SYNC(fsync)
HC_SYNC(fdatasync)
HC_SYNC(syncfs)
HC_READ(ssize_t, read, (int fd, void* to, size_t size), (fd, to, size), fd)
HC_READ(ssize_t, pread, (int fd, void* to, size_t size, off_t at), (fd, to, size, at), fd)
HC_READ(ssize_t, pread64, (int fd, void* to, size_t size, off64_t at), (fd, to, size, at), fd)
HC_CHANGE(ssize_t, write, (int fd, const void* from, size_t size), (fd, from, size), fd, nullptr)
HC_CHANGE(ssize_t, pwrite, (int fd, const void* from, size_t size, off_t at), (fd, from, size, at), fd, nullptr)
HC_CHANGE(ssize_t, pwrite64, (int fd, const void* from, size_t size, off64_t at), (fd, from, size, at), fd, nullptr)
HC_CHANGE(ssize_t, writev, (int fd, const iovec* from, int count), (fd, from, count), fd, nullptr)
HC_CHANGE(ssize_t, sendfile, (int to, int from, off_t* at, size_t size), (to, from, at, size), to, nullptr)
HC_CHANGE(ssize_t, sendfile64, (int to, int from, off64_t* at, size_t size), (to, from, at, size), to, nullptr)
HC_CHANGE(ssize_t, copy_file_range, (int from, off64_t* from_at, int to, off64_t* to_at, size_t size, unsigned flags),
          (from, from_at, to, to_at, size, flags), to, nullptr)
HC_CHANGE(int, ftruncate, (int fd, off_t size), (fd, size), fd, nullptr)
HC_CHANGE(int, ftruncate64, (int fd, off64_t size), (fd, size), fd, nullptr)
HC_CHANGE(int, rename, (const char* from, const char* to), (from, to), AT_FDCWD, to)
HC_CHANGE(int, renameat, (int from_dir, const char* from, int to_dir, const char* to), (from_dir, from, to_dir, to),
          to_dir, to)
HC_CHANGE(int, renameat2, (int from_dir, const char* from, int to_dir, const char* to, unsigned flags),
          (from_dir, from, to_dir, to, flags), to_dir, to)
HC_CHANGE(int, link, (const char* from, const char* to), (from, to), AT_FDCWD, to)
HC_CHANGE(int, linkat, (int from_dir, const char* from, int to_dir, const char* to, int flags),
          (from_dir, from, to_dir, to, flags), to_dir, to)
HC_CHANGE(int, symlink, (const char* target, const char* link), (target, link), AT_FDCWD, link)
HC_CHANGE(int, symlinkat, (const char* target, int directory, const char* link), (target, directory, link), directory,
          link)
HC_CHANGE(int, unlink, (const char* path), (path), AT_FDCWD, path)
HC_CHANGE(int, unlinkat, (int directory, const char* path, int flags), (directory, path, flags), directory, path)
HC_CHANGE(int, mkdir, (const char* path, mode_t mode), (path, mode), AT_FDCWD, path)
HC_CHANGE(int, mkdirat, (int directory, const char* path, mode_t mode), (directory, path, mode), directory, path)
HC_CHANGE(int, rmdir, (const char* path), (path), AT_FDCWD, path)
HC_CHANGE(int, fchmod, (int fd, mode_t mode), (fd, mode), fd, nullptr)
HC_CHANGE(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group), fd, nullptr)
HC_CHANGE(int, fchownat, (int directory, const char* path, uid_t user, gid_t group, int flags),
          (directory, path, user, group, flags), directory, path)
HC_CHANGE(int, fsetxattr, (int fd, const char* name, const void* value, size_t size, int flags),
          (fd, name, value, size, flags), fd, nullptr)
HC_CHANGE(int, futimens, (int fd, const timespec* times), (fd, times), fd, nullptr)

namespace {

time_t clock_error() {
  static std::atomic<unsigned> looks;
  static const time_t jump = atoll(setting("HC_FAULT_CLOCK"));
  return jump == 0 || looks++ % 2 == 0 ? jump : -jump;
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* time) {
  static const auto real = next<int (*)(clockid_t, timespec*)>("clock_gettime");
  const int status = real(clock, time);
  if (status == 0 && clock == CLOCK_REALTIME) time->tv_sec += clock_error();
  return status;
}

extern "C" time_t time(time_t* to) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (to != nullptr) *to = now.tv_sec;
  return now.tv_sec;
}

extern "C" int ioctl(int fd, unsigned long request, ...) {
  static const auto real = next<int (*)(int, unsigned long, void*)>("ioctl");
  va_list list;
  va_start(list, request);
  void* argument = va_arg(list, void*);
  va_end(list);
  constexpr unsigned long kExt4Checkpoint = _IOW('f', 43, uint32_t);
  const bool settles = request == FIFREEZE || request == FITHAW || request == kExt4Checkpoint;
  if (settles && not_synced(fd)) return 0;
  if ((settles || request == FS_IOC_SETFLAGS) && fails("change", fd, nullptr)) return -1;
  return real(fd, request, argument);
}
