#pragma once

#include <functional>
#include <optional>
#include <string>

#include "engine/store/commit_walk.h"
#include "engine/store/kernel_arguments.h"
#include "engine/store/repository.h"

namespace hc {

// What the tree of an OS payload brings for booting.
struct OsContents {
  std::string kernel_version;  // KVER of /usr/lib/modules/KVER
  CommitEntry kernel;
  std::optional<CommitEntry> initramfs;
  KernelArguments default_arguments;  // /usr/lib/honeycomb/kargs.d/*.conf, by name
  std::string name;                   // PRETTY_NAME, else ID, of os-release
};

// Reads it. Refuses with Code::invalid a version without one kernel or without a name: libostree would find out only
// half-way.
Result<OsContents> read_os_contents(const Repository& repository, const Commit& commit);

// Refuses with Code::invalid what would not boot: a kernel or an uncompressed initramfs that names another version than
// the kernel's directory, configuration in /etc instead of /usr/etc. Reads kernel and initramfs whole.
Status check_os_contents(const Repository& repository, const Commit& commit, const OsContents& contents);

// Feeds a file's bytes to `use`, piece by piece (at least 1 kB unless it ends), until it answers false.
Status read_pieces(const Repository& repository, const CommitEntry& file,
                   const std::function<bool(std::string_view piece)>& use);

// The default arguments alone; nothing where the commit has none.
Result<KernelArguments> read_default_arguments(const Repository& repository, const Commit& commit);

}  // namespace hc
