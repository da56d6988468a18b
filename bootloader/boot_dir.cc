#include "bootloader/boot_dir.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>

#include <cerrno>
#include <cstdint>

namespace hc {
namespace {

// From fs/ext4/ext4.h of Linux 5.14 and later; older headers do not have it.
constexpr unsigned long kExt4Checkpoint = _IOW('f', 43, std::uint32_t);  // EXT4_IOC_CHECKPOINT

fs::path mark_path(const fs::path& boot) { return boot / "honeycomb/sandbox"; }

}  // namespace

bool is_sandbox(const fs::path& boot) {
  std::error_code error;
  return fs::exists(mark_path(boot), error);
}

Status make_sandbox(const fs::path& boot) {
  HC_TRY(make_dirs(mark_path(boot).parent_path()));
  return write_atomically(mark_path(boot), "a throw-away node: no machine starts from this directory\n");
}

Status settle(const fs::path& boot) {
  if (is_sandbox(boot)) return ok;
  HC_TRY(sync_filesystem(boot));
  struct statfs info {};
  if (::statfs(boot.c_str(), &info) != 0)
    return Error::from_errno(errno, "asking for the file system of " + boot.string());
  if (static_cast<long>(info.f_type) != EXT4_SUPER_MAGIC) return ok;
  const UniqueFd fd(::open(boot.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return Error::from_errno(errno, "opening " + boot.string());
  std::uint32_t flags = 0;
  // ENODEV: an ext file system without a journal, where syncing was all there is to do.
  if (::ioctl(fd.get(), kExt4Checkpoint, &flags) == 0 || errno == ENODEV) return ok;
  return Error::from_errno(errno, "emptying the journal of " + boot.string())
      .with_hint("this needs root and Linux 5.14 or later");
}

}  // namespace hc
