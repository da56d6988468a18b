#include <sys/stat.h>

#include "engine/store/commit_walk.h"
#include "engine/store/os_contents.h"
#include "engine/store/os_store.h"
#include "engine/store/tree_space.h"

namespace hc {
namespace {

// Links, lists and directories of libostree and of ours, whatever the version.
constexpr std::uint64_t kOverheadBytes = 1 << 20;
constexpr std::uint64_t kOverheadInodes = 64;

// The checksum that libostree gives a pair of kernel and initramfs; empty where device trees are part of it too.
Result<std::string> pair_checksum(const Repository& repository, const Commit& commit, const OsContents& contents) {
  const std::string directory = "usr/lib/modules/" + contents.kernel_version;
  for (const char* name : {"devicetree", "dtb"}) {
    const auto found = HC_TRY(CommitWalk(repository.raw(), StopToken()).find(commit, directory + "/" + name));
    if (found) return std::string();
  }
  const Handle<GChecksum, g_checksum_free> sum(g_checksum_new(G_CHECKSUM_SHA256));
  const auto add = [&](std::string_view piece) {
    g_checksum_update(sum.get(), reinterpret_cast<const guchar*>(piece.data()), static_cast<gssize>(piece.size()));
    return true;
  };
  HC_TRY(read_pieces(repository, contents.kernel, add));
  if (contents.initramfs) HC_TRY(read_pieces(repository, *contents.initramfs, add));
  return std::string(g_checksum_get_string(sum.get()));
}

// What the kernel's directory adds to the boot directory: all of it but the modules themselves.
Result<TreeSpace> boot_space(const Repository& repository, const Commit& commit, const OsContents& contents) {
  TreeSpace space;
  const std::string directory = "usr/lib/modules/" + contents.kernel_version;
  const auto add = [&](const CommitEntry& entry) -> Status {
    const std::string below = fs::path(entry.path).lexically_relative(directory).string();
    const bool boots = below == "vmlinuz" || below == "initramfs.img" || below == "devicetree" ||
                       below == ".vmlinuz.hmac" || below == "dtb" || below.starts_with("dtb/");
    return boots ? space.add(repository, entry) : Status(ok);
  };
  HC_TRY(CommitWalk(repository.raw(), StopToken()).run(commit, directory, add));
  return space;
}

}  // namespace

Result<SlotSpace> OsStore::space_for(const VerifiedPayload& payload) {
  const Commit& commit = payload.commit();
  const OsContents contents = HC_TRY(read_os_contents(repository_, commit));
  // Files are links to the repository's; directories, empty files and all of /etc are made anew, /etc once for the
  // version's own and once more, at the most, for what is carried over.
  TreeSpace tree;
  const auto count = [&](const CommitEntry& entry) -> Status {
    const bool in_etc = entry.path.starts_with("usr/etc/");
    for (int times = 0; times < (in_etc ? 2 : 1); ++times)
      HC_TRY(in_etc || entry.is_directory ? tree.add(repository_, entry) : tree.add_if_empty(repository_, entry));
    return ok;
  };
  HC_TRY(CommitWalk(repository_.raw(), StopToken()).run(commit, "", count));
  TreeSpace boot;
  const std::string sum = HC_TRY(pair_checksum(repository_, commit, contents));
  std::error_code error;
  const bool there = !sum.empty() && fs::exists(boot_.path() / "ostree" / (stateroot_ + "-" + sum), error);
  struct stat of_boot {};
  struct stat of_root {};
  const bool apart = ::stat(boot_.path().c_str(), &of_boot) == 0 && ::stat(sysroot_.c_str(), &of_root) == 0 &&
                     of_boot.st_dev != of_root.st_dev;
  if (apart && !there) boot = HC_TRY(boot_space(repository_, commit, contents));

  SlotSpace space;
  const fs::path deploy = sysroot_ / "ostree/deploy";
  const Space free = HC_TRY(free_space(deploy));
  space.needs.push_back({deploy, tree.bytes + kOverheadBytes, tree.inodes + kOverheadInodes, free});
  if (!apart) return space;
  const Space boot_free = HC_TRY(free_space(boot_.path()));
  space.needs.push_back({boot_.path(), boot.bytes, boot.inodes + kOverheadInodes, boot_free});
  return space;
}

}  // namespace hc
