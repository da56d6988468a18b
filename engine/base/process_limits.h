#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/file.h"
#include "engine/base/process_network.h"
#include "engine/base/result.h"

// What a child may do less than we may. All of it needs root, and all of it holds or the child does not run.
namespace hc {

struct ProcessUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  std::string home;
};

// The user `name` with all its groups. Fails (invalid) where this machine has none of that name.
Result<ProcessUser> find_user(const std::string& name);

struct ProcessLimits {
  enum class Network { open, none, filtered };

  std::optional<ProcessUser> user;
  // Nodes, directories of nodes and symlinks below /dev, as their real path and the path to be seen: see find_device().
  struct Device {
    std::string real;
    std::string seen;
  };
  std::optional<std::vector<Device>> devices;  // in a /dev of its own, beside the standard nodes
  Network network = Network::open;             // none: a network namespace of its own
  std::vector<NetRange> reach;                 // filtered: whom it may talk to, in the network of the machine
  std::string hosts_file;                      // a file that it sees as /etc/hosts; empty: that of the machine
  std::vector<std::string> hidden;             // directories that are empty and read-only to it
  std::vector<std::string> kept;               // of /run when it is confined, read-only
  std::string secrets_directory;               // an existing directory where it finds `secrets`, in memory; empty: none
  std::map<std::string, std::string> secrets;  // name and content

  // With fewer devices or addresses a child also gets its own processes, its own /run and a read-only /proc and /sys,
  // and as root only the capabilities that open none of these again: who can mount, trace or ask the service manager
  // reaches everything.
  bool confined() const { return devices.has_value() || network != Network::open; }
  bool any() const { return user || confined() || needs_mounts(); }
  bool needs_mounts() const {
    return confined() || !hidden.empty() || !hosts_file.empty() || !secrets_directory.empty();
  }
};

// A device by its path below /dev. Fails where that is neither a device node nor a directory below /dev, `unavailable`
// where it does not exist.
Result<ProcessLimits::Device> find_device(const std::string& path);

// Where the kernel's own file systems (proc, sysfs, cgroup, devtmpfs, ...) are mounted besides /proc, /sys and /dev, as
// in a chroot: to be hidden from who is confined. Fails where that cannot be known.
Result<std::vector<std::string>> other_kernel_mounts();

// The two parts below run between fork and exec, and allocate nothing. Each returns what could not be done, with errno,
// or null.

// In the child's mount namespace, which is no one else's.
const char* enter_limits(const ProcessLimits& limits);
// In the child itself, last: afterwards it has no right to anything of the above.
const char* drop_rights(const ProcessLimits& limits);

}  // namespace hc
