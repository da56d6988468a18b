#include "bootloader/grub_medium.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include <array>
#include <cerrno>
#include <cstdint>

namespace hc {
namespace {

constexpr long kXfs = 0x58465342;
constexpr long kZfs = 0x2fc12fc1;
constexpr long kF2fs = static_cast<long>(0xF2F52010);

struct Kind {
  long magic;
  const char* name;
};
constexpr std::array kRefused = {
    Kind{static_cast<long>(BTRFS_SUPER_MAGIC), "btrfs"},
    Kind{kXfs, "xfs"},
    Kind{kF2fs, "f2fs"},
    Kind{kZfs, "zfs"},
    Kind{TMPFS_MAGIC, "tmpfs"},
    Kind{OVERLAYFS_SUPER_MAGIC, "overlay"},
};

std::string name_of(long magic) {
  for (const Kind& kind : kRefused) {
    if (kind.magic == magic) return kind.name;
  }
  return "this kind of file system";
}

bool is_writable_for_grub(long magic) { return magic == EXT4_SUPER_MAGIC || magic == MSDOS_SUPER_MAGIC; }

}  // namespace

Status save_env_works(const fs::path& dir) {
  struct statfs info {};
  struct stat place {};
  if (::statfs(dir.c_str(), &info) != 0 || ::stat(dir.c_str(), &place) != 0)
    return Error::from_errno(errno, "asking for the file system of " + dir.string());
  // The width of f_type differs between architectures, and f2fs's number has its highest bit set.
  const auto magic = static_cast<long>(static_cast<std::uint32_t>(info.f_type));
  if (!is_writable_for_grub(magic))
    return Error(Code::invalid, dir.string() + " is on " + name_of(magic) + ", which GRUB's save_env cannot write to")
        .with_hint("put /boot on a partition of its own with ext4");
  return is_plain_partition(place.st_dev).in(dir.string());
}

Status is_plain_partition(dev_t device, const fs::path& sys) {
  const fs::path block = sys / "dev/block" / (std::to_string(major(device)) + ":" + std::to_string(minor(device)));
  std::error_code error;
  if (fs::exists(block / "dm", error))
    return Error(Code::invalid, "it is on a mapped device (LVM, encryption), which GRUB's save_env cannot write to")
        .with_hint("put /boot on a plain partition");
  if (fs::exists(block / "md", error))
    return Error(Code::invalid, "it is on a RAID, which GRUB's save_env cannot write to")
        .with_hint("put /boot on a plain partition");
  return ok;
}

}  // namespace hc
