#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"

// Files that must survive a power cut.
namespace hc {

namespace fs = std::filesystem;

// Owns one file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd();

  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// The whole content of a regular file, or nothing where there is no such file. Fails above `limit` bytes, and on
// anything that is no regular file.
Result<std::optional<std::string>> read_file_if_exists(const fs::path& path, std::uint64_t limit = 64 << 20);
Result<std::string> read_file(const fs::path& path, std::uint64_t limit = 64 << 20);

// Writes all of `content`, however many calls that takes. `what` is what failed then: "writing PATH".
Status write_all(int fd, std::string_view content, std::string_view what);

// After Ok the new content is on disk under `path`; after an error or a power cut the old content is untouched. (Part
// file, fsync, rename, fsync of the directory.) REQUIRES: the directory exists.
Status write_atomically(const fs::path& path, std::string_view content, unsigned mode = 0644);

// After Ok, `link` is a symlink to `target`, durable; a reader sees the old or the new one and never none.
Status replace_symlink(const fs::path& link, const std::string& target);

// Makes `path` and its missing parents with `mode`; no error where they exist.
Status make_dirs(const fs::path& path, unsigned mode = 0755);

// Removes `path` and everything below it, following no symlink, clearing immutable flags where it may. No error where
// there is none.
Status remove_tree(const fs::path& path);

Status sync_dir(const fs::path& path);
// Writes out everything the file system of `path` holds in memory.
Status sync_filesystem(const fs::path& path);

// The names in a directory, sorted, without `.` and `..`; empty where there is no such directory.
Result<std::vector<std::string>> list_dir(const fs::path& path);

struct Space {
  std::uint64_t bytes = 0;
  std::uint64_t inodes = 0;  // the maximum value where the file system has no fixed number
};
// What an unprivileged writer may still use on the file system of `path`.
Result<Space> free_space(const fs::path& path);

// An exclusive lock (flock) on a file, held until destruction. It dies with the process, so a dead holder never blocks.
class FileLock {
 public:
  // Fails with Code::busy where another process still holds it after `wait_ms`; the text names the holder's pid where
  // it wrote one.
  static Result<FileLock> take(const fs::path& path, std::int64_t wait_ms = 0);

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace hc
