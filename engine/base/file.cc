#include "engine/base/file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <limits>

#include "engine/base/clock.h"

namespace hc {
namespace {

Error failed(const char* what, const fs::path& path) {
  return Error::from_errno(errno, std::string(what) + " " + path.string());
}

fs::path directory_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

fs::path part_name(const fs::path& path) {
  return directory_of(path) / ("." + path.filename().string() + ".part-" + std::to_string(getpid()));
}

Status rename_durably(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    const Error error = failed("renaming to", to);
    ::unlink(from.c_str());
    return error;
  }
  return sync_dir(directory_of(to));
}

Status write_part(const fs::path& part, std::string_view content, unsigned mode) {
  const UniqueFd fd(::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return failed("creating", part);
  HC_TRY(write_all(fd.get(), content, "writing").in(part.string()));
  if (::fchmod(fd.get(), mode) != 0) return failed("setting the mode of", part);
  if (::fsync(fd.get()) != 0) return failed("syncing", part);
  return ok;
}

void clear_immutable(const fs::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  int flags = 0;
  if (!fd || ::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) != 0) return;
  constexpr int kLocked = FS_IMMUTABLE_FL | FS_APPEND_FL;
  if ((flags & kLocked) == 0) return;
  flags &= ~kLocked;
  ::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags);
}

}  // namespace

Status write_all(int fd, std::string_view content, std::string_view what) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Error::from_errno(errno, what);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return ok;
}

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::optional<std::string>> read_file_if_exists(const fs::path& path, std::uint64_t limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd && errno == ENOENT) return std::optional<std::string>();
  if (!fd) return failed("opening", path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return failed("reading", path);
  if (!S_ISREG(info.st_mode)) return Error(Code::invalid, path.string() + " is no regular file");
  std::string content;
  std::array<char, 65536> buffer{};
  while (true) {
    const ssize_t size = ::read(fd.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failed("reading", path);
    if (size == 0) return std::optional(std::move(content));
    content.append(buffer.data(), static_cast<std::size_t>(size));
    if (content.size() > limit)
      return Error(Code::invalid, path.string() + " is larger than the " + std::to_string(limit) + " bytes allowed");
  }
}

Result<std::string> read_file(const fs::path& path, std::uint64_t limit) {
  std::optional<std::string> content = HC_TRY(read_file_if_exists(path, limit));
  if (!content) return Error::from_errno(ENOENT, "opening " + path.string());
  return std::move(*content);
}

Status write_atomically(const fs::path& path, std::string_view content, unsigned mode) {
  const fs::path part = part_name(path);
  Status written = write_part(part, content, mode);
  if (!written) {
    ::unlink(part.c_str());
    return written;
  }
  return rename_durably(part, path);
}

Status replace_symlink(const fs::path& link, const std::string& target) {
  const fs::path part = part_name(link);
  ::unlink(part.c_str());
  if (::symlink(target.c_str(), part.c_str()) != 0) return failed("creating", part);
  return rename_durably(part, link);
}

Status make_dirs(const fs::path& path, unsigned mode) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return ok;
    return Error(Code::invalid, path.string() + " is no directory");
  }
  if (path.has_parent_path() && path.parent_path() != path) HC_TRY(make_dirs(path.parent_path(), mode));
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return failed("making the directory", path);
  return sync_dir(directory_of(path));
}

Status remove_tree(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(path, error))) return ok;
  fs::remove_all(path, error);
  if (!error) return ok;
  // One immutable file must not keep a tree for ever: deployments carry the flag on purpose, technicians set it by
  // hand.
  clear_immutable(path);
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end; it.increment(error))
    clear_immutable(it->path());
  fs::remove_all(path, error);
  if (error) return Error::from_errno(error.value(), "removing " + path.string());
  return ok;
}

Status sync_dir(const fs::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return failed("opening", path);
  if (::fsync(fd.get()) != 0) return failed("syncing", path);
  return ok;
}

Status sync_filesystem(const fs::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return failed("opening", path);
  if (::syncfs(fd.get()) != 0) return failed("syncing the file system of", path);
  return ok;
}

Result<std::vector<std::string>> list_dir(const fs::path& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  if (error && error != std::errc::no_such_file_or_directory)
    return Error::from_errno(error.value(), "listing " + path.string());
  std::sort(names.begin(), names.end());
  return names;
}

Result<Space> free_space(const fs::path& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) return failed("asking the free space of", path);
  const bool fixed_inodes = info.f_files != 0;
  return Space{static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize,
               fixed_inodes ? info.f_favail : std::numeric_limits<std::uint64_t>::max()};
}

Result<FileLock> FileLock::take(const fs::path& path, std::int64_t wait_ms) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return failed("opening", path);
  constexpr std::int64_t kPauseMs = 10;
  SystemClock clock;
  const std::int64_t until = clock.monotonic_ms() + wait_ms;
  int locked = ::flock(fd.get(), LOCK_EX | LOCK_NB);
  while (locked != 0 && errno == EWOULDBLOCK && clock.monotonic_ms() < until) {
    clock.sleep_ms(kPauseMs);
    locked = ::flock(fd.get(), LOCK_EX | LOCK_NB);
  }
  if (locked != 0) {
    if (errno != EWOULDBLOCK) return failed("locking", path);
    std::array<char, 32> holder{};
    const ssize_t size = ::pread(fd.get(), holder.data(), holder.size() - 1, 0);
    std::string text = "another hc-os process works on this node";
    if (size > 0) text += " (pid " + std::string(holder.data(), static_cast<std::size_t>(size)) + ")";
    return Error(Code::busy, std::move(text)).with_hint("wait until it has ended, then try again");
  }
  // The pid only helps people; the lock is what counts.
  const std::string pid = std::to_string(getpid());
  if (::ftruncate(fd.get(), 0) == 0 && ::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) errno = 0;
  return FileLock(std::move(fd));
}

}  // namespace hc
