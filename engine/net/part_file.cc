#include "engine/net/part_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "engine/base/text.h"

namespace hc {
namespace {

constexpr std::string_view kFormat = "honeycomb download 1";
// Synced whenever the part has grown over a multiple of this. After a power cut, what lies beyond the last multiple may
// be anything.
constexpr std::uint64_t kSyncEvery = 4 << 20;

std::string boot_id() {
  const Result<std::string> id = read_file("/proc/sys/kernel/random/boot_id", 128);
  return id ? std::string(trimmed(*id)) : std::string();
}

}  // namespace

fs::path PartFile::part_path() const { return path_.string() + ".part"; }
fs::path PartFile::info_path() const { return path_.string() + ".part-info"; }

Result<PartFile> PartFile::open(const fs::path& path, std::string origin) {
  PartFile part(path, std::move(origin));
  part.fd_ = UniqueFd(::open(part.part_path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!part.fd_) return Error::from_errno(errno, "opening " + part.part_path().string());
  if (!HC_TRY(part.matches_info())) HC_TRY(part.restart(""));
  return part;
}

// Takes over validator and size where the info is about this origin; false where there is nothing to go on with.
Result<bool> PartFile::matches_info() {
  const std::optional<std::string> text = HC_TRY(read_file_if_exists(info_path(), 64 << 10));
  const std::vector<std::string> lines = split(text.value_or(""), '\n');
  if (lines.size() != 5 || lines[0] != kFormat || lines[1] != origin_ || lines[2].empty()) return false;
  struct stat info {};
  if (::fstat(fd_.get(), &info) != 0) return Error::from_errno(errno, "reading " + part_path().string());
  validator_ = lines[2];
  size_ = static_cast<std::uint64_t>(info.st_size);
  if (lines[3] != boot_id()) size_ -= size_ % kSyncEvery;
  if (::ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0)
    return Error::from_errno(errno, "cutting " + part_path().string());
  return true;
}

Status PartFile::restart(const std::string& validator) {
  // The old bytes must be gone for good before anything says that they are of the new file.
  if (::unlink(info_path().c_str()) != 0 && errno != ENOENT)
    return Error::from_errno(errno, "removing " + info_path().string());
  if (::ftruncate(fd_.get(), 0) != 0 || ::fsync(fd_.get()) != 0)
    return Error::from_errno(errno, "emptying " + part_path().string());
  size_ = 0;
  validator_ = validator;
  if (validator.empty()) return ok;
  return write_atomically(info_path(),
                          std::string(kFormat) + "\n" + origin_ + "\n" + validator + "\n" + boot_id() + "\n");
}

Status PartFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Error::from_errno(errno, "writing " + part_path().string());
    const std::uint64_t before = size_;
    size_ += static_cast<std::uint64_t>(written);
    bytes.remove_prefix(static_cast<std::size_t>(written));
    if (before / kSyncEvery != size_ / kSyncEvery && ::fdatasync(fd_.get()) != 0)
      return Error::from_errno(errno, "syncing " + part_path().string());
  }
  return ok;
}

Status PartFile::finish() {
  if (::fsync(fd_.get()) != 0) return Error::from_errno(errno, "syncing " + part_path().string());
  if (::rename(part_path().c_str(), path_.c_str()) != 0)
    return Error::from_errno(errno, "renaming to " + path_.string());
  ::unlink(info_path().c_str());
  return sync_dir(path_.has_parent_path() ? path_.parent_path() : fs::path("."));
}

}  // namespace hc
