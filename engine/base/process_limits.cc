#include "engine/base/process_limits.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <net/if.h>
#include <pwd.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <initializer_list>

#include "engine/base/text.h"

namespace hc {
namespace {

// Up to find_user(): only async-signal-safe calls, as in the guard.

constexpr unsigned long kPlainMount = MS_NOSUID | MS_NODEV | MS_NOEXEC;

bool set_mount(int directory, const char* path, unsigned flags, std::uint64_t set, std::uint64_t clear) {
  mount_attr attributes{};
  attributes.attr_set = set;
  attributes.attr_clr = clear;
  return mount_setattr(directory, path, flags, &attributes, sizeof attributes) == 0;
}

bool exists(const char* path) {
  struct stat info {};
  return lstat(path, &info) == 0;
}

bool make_parents(const char* path) {
  std::array<char, 4096> part{};
  for (std::size_t at = 1; path[at] != '\0' && at < part.size(); ++at) {
    if (path[at] != '/') continue;
    std::memcpy(part.data(), path, at);
    if (!exists(part.data()) && mkdir(part.data(), 0755) != 0) return false;
  }
  return true;
}

// Lets what lies at `source` below the directory `from` be seen at `place` too. Nothing to show is no failure.
bool show(int from, const char* source, const char* place, std::uint64_t set, std::uint64_t clear) {
  const UniqueFd tree(open_tree(from, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  if (!tree) return errno == ENOENT;
  struct stat info {};
  if (fstat(tree.get(), &info) != 0 || !make_parents(place)) return false;
  if (!exists(place)) {
    if (S_ISDIR(info.st_mode) && mkdir(place, 0755) != 0) return false;
    if (!S_ISDIR(info.st_mode) && !UniqueFd(open(place, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644))) return false;
  }
  return set_mount(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, set, clear) &&
         move_mount(tree.get(), "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

bool own_network() {
  if (unshare(CLONE_NEWNET) != 0) return false;
  const UniqueFd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq loopback{};
  std::memcpy(loopback.ifr_name, "lo", sizeof "lo");
  loopback.ifr_flags = IFF_UP;
  return any && ioctl(any.get(), SIOCSIFFLAGS, &loopback) == 0;
}

bool hide(const char* directory) {
  return mount("tmpfs", directory, "tmpfs", kPlainMount | MS_RDONLY, "size=4k,mode=555") == 0 || errno == ENOENT;
}

bool own_run(const ProcessLimits& limits) {
  constexpr std::size_t kPrefix = sizeof "/run/" - 1;
  const UniqueFd old(open("/run", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!old) return errno == ENOENT;
  if (mount("tmpfs", "/run", "tmpfs", kPlainMount, "size=16m,mode=755") != 0) return false;
  for (const char* place : {"/run/lock", "/run/udev"}) {
    if (!show(old.get(), place + kPrefix, place, 0, 0)) return false;
  }
  return std::all_of(limits.kept.begin(), limits.kept.end(), [&old](const std::string& place) {
    return !place.starts_with("/run/") || show(old.get(), place.c_str() + kPrefix, place.c_str(), MOUNT_ATTR_RDONLY, 0);
  });
}

bool link_at(const char* target, const char* path) {
  return exists(path) || (make_parents(path) && symlink(target, path) == 0);
}

// Among the child's own terminals its number means another one.
bool is_terminal(const std::string& path) { return path.starts_with("/dev/pts/"); }

bool own_devices(const std::vector<ProcessLimits::Device>& devices) {
  constexpr std::size_t kPrefix = sizeof "/dev/" - 1;
  constexpr std::uint64_t kRights = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
  const UniqueFd old(open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC));
  // A node that somebody left in another place opens nothing either.
  if (!old || !set_mount(AT_FDCWD, "/", AT_RECURSIVE, MOUNT_ATTR_NODEV, 0)) return false;
  if (mount("tmpfs", "/dev", "tmpfs", kPlainMount, "size=64k,mode=755") != 0) return false;
  for (const char* place : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}) {
    if (!show(old.get(), place + kPrefix, place, kRights, MOUNT_ATTR_NODEV)) return false;
  }
  if (mkdir("/dev/pts", 0755) != 0 || mkdir("/dev/shm", 0755) != 0) return false;
  const bool mounted = mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=666") == 0 &&
                       mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "size=64m,mode=1777") == 0;
  const bool linked = link_at("pts/ptmx", "/dev/ptmx") && link_at("/proc/self/fd", "/dev/fd") &&
                      link_at("/proc/self/fd/0", "/dev/stdin") && link_at("/proc/self/fd/1", "/dev/stdout") &&
                      link_at("/proc/self/fd/2", "/dev/stderr");
  if (!mounted || !linked) return false;
  for (const ProcessLimits::Device& device : devices) {
    const char* place = is_terminal(device.real) ? device.seen.c_str() : device.real.c_str();
    if (!show(old.get(), device.real.c_str() + kPrefix, place, kRights, MOUNT_ATTR_NODEV) ||
        !link_at(device.real.c_str(), device.seen.c_str())) {
      return false;
    }
  }
  return set_mount(AT_FDCWD, "/dev", 0, MOUNT_ATTR_RDONLY, 0);
}

bool write_all(int fd, const std::string& content) {
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t size = write(fd, content.data() + done, content.size() - done);
    if (size <= 0) return false;
    done += static_cast<std::size_t>(size);
  }
  return true;
}

bool give_secrets(const ProcessLimits& limits) {
  const char* directory = limits.secrets_directory.c_str();
  const uid_t uid = limits.user ? limits.user->uid : 0;
  const gid_t gid = limits.user ? limits.user->gid : 0;
  if (mount("ramfs", directory, "ramfs", kPlainMount, "mode=700") != 0) return false;  // tmpfs may be swapped out
  const UniqueFd opened(open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened) return false;
  for (const auto& [name, content] : limits.secrets) {
    const UniqueFd file(openat(opened.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400));
    if (!file || !write_all(file.get(), content) || fchmod(file.get(), 0400) != 0 ||
        fchown(file.get(), uid, gid) != 0) {
      return false;
    }
  }
  if (fchown(opened.get(), uid, gid) != 0 || fchmod(opened.get(), 0500) != 0) return false;
  return mount(nullptr, directory, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | kPlainMount, nullptr) == 0;
}

constexpr std::uint64_t capabilities(std::initializer_list<int> numbers) {
  std::uint64_t bits = 0;
  for (const int number : numbers) bits |= std::uint64_t{1} << number;
  return bits;
}

// Those of a root that is confined. None of them mounts, traces, makes a node, sets up the network or loads code into
// the kernel, and none opens files by a handle, which knows no mount namespace.
std::uint64_t left_to(const ProcessLimits& limits) {
  if (limits.user && limits.user->uid != 0) return 0;
  if (!limits.confined()) return ~std::uint64_t{0};
  constexpr std::uint64_t kHarmless =
      capabilities({CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_KILL, CAP_SETGID, CAP_SETUID,
                    CAP_NET_BIND_SERVICE, CAP_IPC_LOCK, CAP_SYS_NICE});
  constexpr std::uint64_t kNetwork = capabilities({CAP_NET_ADMIN, CAP_NET_RAW});
  return limits.network == ProcessLimits::Network::open ? kHarmless | kNetwork : kHarmless;
}

bool gain_only(std::uint64_t left) {
  for (int number = 0; number < 64 && prctl(PR_CAPBSET_READ, number) >= 0; ++number) {
    if ((left >> number & 1) == 0 && prctl(PR_CAPBSET_DROP, number) != 0) return false;
  }
  return true;
}

bool have_only(std::uint64_t left) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  if (syscall(SYS_capget, &header, data.data()) != 0) return false;
  for (std::size_t half = 0; half < data.size(); ++half) {
    const auto bits = static_cast<std::uint32_t>(left >> (32 * half));
    data[half].permitted &= bits;
    data[half].effective = data[half].permitted;
    data[half].inheritable = 0;
  }
  return syscall(SYS_capset, &header, data.data()) == 0;
}

// By system calls: the C library would first look for our other threads, of which a fork has copied none.
bool become(const ProcessUser& user) {
#ifdef SYS_setresuid32
  constexpr long kGroups = SYS_setgroups32;
  constexpr long kGid = SYS_setresgid32;
  constexpr long kUid = SYS_setresuid32;
#else
  constexpr long kGroups = SYS_setgroups;
  constexpr long kGid = SYS_setresgid;
  constexpr long kUid = SYS_setresuid;
#endif
  return syscall(kGroups, user.groups.size(), user.groups.data()) == 0 &&
         syscall(kGid, user.gid, user.gid, user.gid) == 0 && syscall(kUid, user.uid, user.uid, user.uid) == 0;
}

// What the kernel wrote with `\\040` for a blank and the like.
std::string without_escapes(const std::string& text) {
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\\' || at + 3 >= text.size()) {
      plain += text[at];
      continue;
    }
    plain += static_cast<char>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 + (text[at + 3] - '0'));
    at += 3;
  }
  return plain;
}

}  // namespace

const char* enter_limits(const ProcessLimits& limits) {
  if (limits.network == ProcessLimits::Network::none && !own_network()) return "no network of its own for it";
  // Private: nothing that the machine mounts later brings in a node or uncovers a directory.
  if (limits.confined() && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return "no own mounts for it";
  for (const std::string& directory : limits.hidden) {
    if (!hide(directory.c_str())) return "a directory cannot be hidden from it";
  }
  if (limits.confined()) {
    if (mount("proc", "/proc", "proc", kPlainMount | MS_RDONLY, nullptr) != 0) return "no /proc of its own for it";
    if (!set_mount(AT_FDCWD, "/sys", AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0)) return "no read-only /sys for it";
    if (!own_run(limits)) return "no /run of its own for it";
    // A tap device of a virtual machine is a way around the network's filter.
    if (limits.network != ProcessLimits::Network::open && !hide("/dev/net")) return "no /dev without net/tun for it";
  }
  if (limits.devices && !own_devices(*limits.devices)) return "no /dev of its own for it";
  if (!limits.hosts_file.empty()) {
    const bool bound = mount(limits.hosts_file.c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr) == 0;
    if (!bound) return "no /etc/hosts of its own for it";
  }
  if (!limits.secrets_directory.empty() && !give_secrets(limits)) return "no copy of its credentials in memory";
  return nullptr;
}

const char* drop_rights(const ProcessLimits& limits) {
  if (!limits.user && !limits.confined()) return nullptr;
  const std::uint64_t left = left_to(limits);
  if (!gain_only(left)) return "its capabilities cannot be bounded";
  if (limits.user && !become(*limits.user)) return "the rights of its user cannot be taken on";
  if (!have_only(left)) return "its capabilities cannot be dropped";
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return "no_new_privs cannot be set";
  if (limits.network != ProcessLimits::Network::open && !forbid_other_sockets()) {
    return "its system calls cannot be filtered (seccomp)";
  }
  return nullptr;
}

Result<ProcessUser> find_user(const std::string& name) {
  std::vector<char> buffer(16'384);
  passwd entry{};
  passwd* found = nullptr;
  const int error = getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) {
    const std::string what = "this machine has no user " + quote(name);
    return error == 0 ? Error(Code::invalid, what) : Error::from_errno(error, what);
  }
  ProcessUser user{entry.pw_uid, entry.pw_gid, {}, entry.pw_dir};
  int count = 64;
  user.groups.resize(static_cast<std::size_t>(count));
  if (getgrouplist(name.c_str(), user.gid, user.groups.data(), &count) < 0) {
    user.groups.resize(static_cast<std::size_t>(count));
    if (getgrouplist(name.c_str(), user.gid, user.groups.data(), &count) < 0) count = 0;
  }
  user.groups.resize(static_cast<std::size_t>(count));
  return user;
}

Result<std::vector<std::string>> other_kernel_mounts() {
  constexpr std::array kTypes = {"proc",    "sysfs",      "cgroup", "cgroup2",  "devtmpfs", "debugfs",
                                 "tracefs", "securityfs", "bpf",    "configfs", "efivarfs"};
  constexpr std::array kKnown = {"/proc", "/sys", "/dev"};
  std::vector<std::string> others;
  const std::string mounts = HC_TRY(read_file("/proc/self/mountinfo"));
  for (const std::string& line : split(mounts, '\n')) {
    const std::vector<std::string> fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 5 || fields.end() - dash < 2) continue;
    const fs::path place = without_escapes(fields[4]);
    const bool known = std::any_of(kKnown.begin(), kKnown.end(), [&place](const char* directory) {
      return place == directory || place.string().starts_with(std::string(directory) + "/");
    });
    std::error_code error;
    if (!known && std::find(kTypes.begin(), kTypes.end(), *(dash + 1)) != kTypes.end() &&
        fs::is_directory(place, error)) {
      others.push_back(place.string());
    }
  }
  return others;
}

Result<ProcessLimits::Device> find_device(const std::string& path) {
  const auto below = [](const fs::path& place) {
    return place.string().starts_with("/dev/") && place == place.lexically_normal() && place.has_filename();
  };
  if (!below(path)) return Error(Code::invalid, quote(path) + " is no path below /dev");
  if (is_terminal(path)) return Error(Code::invalid, quote(path) + " is a terminal: name a link to it");
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error) return Error(Code::unavailable, "this machine has no " + quote(path));
  struct stat info {};
  const bool known = stat(real.c_str(), &info) == 0;
  const bool device = known && (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode) || S_ISDIR(info.st_mode));
  if (!below(real) || !device) return Error(Code::invalid, quote(path) + " is no device and no directory of devices");
  return ProcessLimits::Device{real.string(), path};
}

}  // namespace hc
