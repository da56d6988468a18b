#include "engine/store/boot_files.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

namespace hc {
namespace {

constexpr const char* kKernel = "vmlinuz";
constexpr const char* kInitramfs = "initramfs.img";
constexpr const char* kPart = ".part";
constexpr int kGuardMs = 30'000;

Status copy_whole(const fs::path& from, const fs::path& to) {
  const UniqueFd in(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in) return Error::from_errno(errno, "opening " + from.string());
  const UniqueFd out(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!out) return Error::from_errno(errno, "making " + to.string());
  while (true) {
    const ssize_t size = ::sendfile(out.get(), in.get(), nullptr, 1 << 24);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Error::from_errno(errno, "copying to " + to.string());
    if (size == 0) break;
  }
  if (::fsync(out.get()) != 0) return Error::from_errno(errno, "syncing " + to.string());
  return ok;
}

Result<bool> same_bytes(const fs::path& one, const fs::path& other) {
  const UniqueFd a(::open(one.c_str(), O_RDONLY | O_CLOEXEC));
  if (!a && errno == ENOENT) return false;
  const UniqueFd b(::open(other.c_str(), O_RDONLY | O_CLOEXEC));
  if (!a || !b) return Error::from_errno(errno, "comparing " + one.string() + " with " + other.string());
  constexpr std::size_t kPiece = 1 << 18;
  const auto left = std::make_unique<char[]>(kPiece);
  const auto right = std::make_unique<char[]>(kPiece);
  for (off_t at = 0;; at += kPiece) {
    const ssize_t have = ::pread(a.get(), left.get(), kPiece, at);
    const ssize_t want = ::pread(b.get(), right.get(), kPiece, at);
    if (have < 0 || want < 0) return Error::from_errno(errno, "comparing " + one.string() + " with " + other.string());
    if (std::string_view(left.get(), static_cast<std::size_t>(have)) !=
        std::string_view(right.get(), static_cast<std::size_t>(want)))
      return false;
    if (have == 0) return true;
  }
}

Status link_or_copy(const fs::path& from, const fs::path& likeness, const fs::path& to) {
  if (likeness.empty() || ::link(likeness.c_str(), to.c_str()) != 0) return copy_whole(from, to);
  const bool same = HC_TRY(same_bytes(to, from));
  if (!same) {
    if (::unlink(to.c_str()) != 0) return Error::from_errno(errno, "removing " + to.string());
    return copy_whole(from, to);
  }
  const UniqueFd fd(::open(to.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return Error::from_errno(errno, "syncing " + to.string());
  return ok;
}

// The guard's whole life, between fork() and _exit(): nothing here may allocate or take a lock. It thaws unless told
// that the parent did.
[[noreturn]] void guard(int channel, int directory) {
  ::setsid();
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_IGN);
  char done = 0;
  pollfd wait{channel, POLLIN, 0};
  while (::poll(&wait, 1, kGuardMs) < 0 && errno == EINTR) continue;
  if (::recv(channel, &done, 1, MSG_DONTWAIT) != 1) ::ioctl(directory, FITHAW, 0);
  ::_exit(0);
}

}  // namespace

Status freeze_and_thaw(const fs::path& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return Error::from_errno(errno, "opening " + directory.string());
  if (::syncfs(fd.get()) != 0) return Error::from_errno(errno, "syncing the file system of " + directory.string());
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return Error::from_errno(errno, "making a socket pair");
  const UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return Error::from_errno(errno, "starting the guard of the frozen file system");
  if (child == 0) {
    ::close(ours.get());
    guard(theirs.get(), fd.get());
  }
  theirs = UniqueFd();
  const bool frozen = ::ioctl(fd.get(), FIFREEZE, 0) == 0;
  const int freeze_error = errno;
  const bool thawed = !frozen || ::ioctl(fd.get(), FITHAW, 0) == 0 || errno == EINVAL;
  const int thaw_error = errno;
  // Told so, or finding the channel closed, the guard ends.
  if (thawed && ::send(ours.get(), "!", 1, MSG_NOSIGNAL) != 1) errno = 0;
  ::shutdown(ours.get(), SHUT_WR);
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) continue;
  if (!thawed) return Error::from_errno(thaw_error, "thawing the file system of " + directory.string());
  const bool not_to_be_had = freeze_error == EOPNOTSUPP || freeze_error == ENOTTY || freeze_error == EPERM ||
                             freeze_error == EBUSY || freeze_error == ENOSYS;
  if (!frozen && !not_to_be_had)
    return Error::from_errno(freeze_error, "freezing the file system of " + directory.string());
  return ok;
}

fs::path BootDirectory::directory(Slot slot, const std::string& key) const {
  return boot_ / "honeycomb" / name(slot) / key;
}

Status BootDirectory::settle() const { return may_freeze_ ? freeze_and_thaw(boot_) : sync_filesystem(boot_); }

Status BootDirectory::install(Slot slot, const std::string& key, const KernelPair& pair,
                              const KernelPair& likeness) const {
  const fs::path place = directory(slot, key);
  std::error_code error;
  if (fs::is_directory(place, error)) {
    if (check(slot, key, pair)) return settle();
    HC_TRY(remove_tree(place));
  }
  const fs::path part = place.string() + kPart;
  HC_TRY(remove_tree(part));
  HC_TRY(make_dirs(part));
  Status filled = link_or_copy(pair.kernel, likeness.kernel, part / kKernel);
  if (filled && !pair.initramfs.empty()) filled = link_or_copy(pair.initramfs, likeness.initramfs, part / kInitramfs);
  if (filled) filled = sync_dir(part);
  if (!filled) {
    // A full /boot must not stay full because of what did not fit.
    HC_TRY(remove_tree(part));
    return std::move(filled).in("placing the kernel of slot " + std::string(name(slot)));
  }
  if (::rename(part.c_str(), place.c_str()) != 0) return Error::from_errno(errno, "renaming to " + place.string());
  HC_TRY(sync_dir(place.parent_path()));
  return settle();
}

Status BootDirectory::sweep(Slot slot, const std::set<std::string>& kept) const {
  const fs::path place = directory(slot, "");
  const std::vector<std::string> entries = HC_TRY(list_dir(place));
  for (const std::string& entry : entries) {
    std::error_code error;
    // The bootloader's entry file stands beside the pairs.
    if (kept.contains(entry) || !fs::is_directory(fs::symlink_status(place / entry, error))) continue;
    HC_TRY(remove_tree(place / entry));
  }
  return ok;
}

Status BootDirectory::check(Slot slot, const std::string& key, const KernelPair& pair) const {
  const fs::path place = directory(slot, key);
  for (const auto& [have, want] :
       {std::pair(place / kKernel, pair.kernel), std::pair(place / kInitramfs, pair.initramfs)}) {
    if (want.empty()) continue;
    const bool same = HC_TRY(same_bytes(have, want));
    if (!same) return Error(Code::io, have.string() + " is not the file that the version brings");
  }
  return ok;
}

}  // namespace hc
