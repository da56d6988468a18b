#include "engine/store/compare_tree.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>
#include <vector>

#include "engine/base/text.h"
#include "engine/store/commit_walk.h"

namespace hc {
namespace {

constexpr std::size_t kNamed = 5;

std::string kind_of(mode_t mode) {
  if (S_ISREG(mode)) return "a file";
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISLNK(mode)) return "a symlink";
  return "something else";
}

// What tells a changed file apart for whoever reads the error.
std::string difference(const struct stat& have, GFileInfo* want) {
  const mode_t mode = g_file_info_get_attribute_uint32(want, "unix::mode");
  if ((have.st_mode & S_IFMT) != (mode & S_IFMT)) return "is " + kind_of(have.st_mode) + ", not " + kind_of(mode);
  if (have.st_uid != g_file_info_get_attribute_uint32(want, "unix::uid") ||
      have.st_gid != g_file_info_get_attribute_uint32(want, "unix::gid"))
    return "has another owner";
  if ((have.st_mode & 07777) != (mode & 07777)) return "has another mode";
  const auto size = g_file_info_get_size(want);
  if (S_ISREG(mode) && have.st_size != size)
    return "has " + std::to_string(have.st_size) + " bytes, not " + std::to_string(size);
  return "has other content";
}

class Comparison {
 public:
  Comparison(const Repository& repository, const fs::path& root)
      : repository_(repository), root_(root), directory_(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {}

  bool opened() const { return static_cast<bool>(directory_); }

  // Nothing, or how the entry differs.
  Result<std::optional<std::string>> look(const CommitEntry& entry) const {
    struct stat have {};
    if (::fstatat(directory_.get(), at(entry), &have, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return std::optional<std::string>("is missing");
      return Error::from_errno(errno, "looking at " + (root_ / entry.path).string());
    }
    if (!entry.is_directory && is_same_file(entry, have)) return std::optional<std::string>();
    const CommitEntryInfo want = HC_TRY(entry_info(repository_.raw(), entry));
    if (!entry.is_directory) return std::optional(difference(have, want.info.get()));
    const mode_t mode = g_file_info_get_attribute_uint32(want.info.get(), "unix::mode");
    const bool same = have.st_mode == mode &&
                      have.st_uid == g_file_info_get_attribute_uint32(want.info.get(), "unix::uid") &&
                      have.st_gid == g_file_info_get_attribute_uint32(want.info.get(), "unix::gid");
    return same ? std::optional<std::string>() : std::optional(difference(have, want.info.get()));
  }

 private:
  static const char* at(const CommitEntry& entry) { return entry.path.empty() ? "." : entry.path.c_str(); }

  // The name of a file's object is the checksum of all that must be the same.
  bool is_same_file(const CommitEntry& entry, struct stat& have) const {
    if (!S_ISREG(have.st_mode) && !S_ISLNK(have.st_mode)) return false;
    GText checksum;
    const bool read = ostree_checksum_file_at(directory_.get(), at(entry), &have, OSTREE_OBJECT_TYPE_FILE,
                                              OSTREE_CHECKSUM_FLAGS_NONE, out(checksum), nullptr, nullptr) != FALSE;
    return read && entry.checksum == checksum.get();
  }

  const Repository& repository_;
  const fs::path& root_;
  UniqueFd directory_;
};

}  // namespace

Status compare_tree(const Repository& repository, const Commit& commit, const fs::path& root,
                    const std::function<bool(const std::string& path)>& ignored, const ProgressFn& progress,
                    const StopToken& stop) {
  const Comparison comparison(repository, root);
  if (!comparison.opened()) return Error::from_errno(errno, "opening " + root.string());
  std::vector<std::string> differences;
  std::uint64_t seen = 0;
  std::uint64_t differing = 0;
  const auto look = [&](const CommitEntry& entry) -> Status {
    if (stop.requested()) return Error(Code::cancelled, "stopped on request");
    if (ignored(entry.path)) return ok;
    if (++seen % 256 == 0 && progress) progress({"checking files", seen, 0, false});
    std::optional<std::string> difference = HC_TRY(comparison.look(entry));
    if (!difference) return ok;
    ++differing;
    if (differences.size() < kNamed) differences.push_back("/" + printable(entry.path) + " " + *difference);
    return ok;
  };
  HC_TRY(CommitWalk(repository.raw(), stop).run(commit, "", look));
  if (differing == 0) return ok;
  std::string text = root.string() + " is not what commit " + commit.brief() + " says: ";
  for (std::size_t i = 0; i < differences.size(); ++i) text += (i ? "; " : "") + differences[i];
  if (differing > kNamed) text += "; and " + std::to_string(differing - kNamed) + " more";
  return Error(Code::io, std::move(text));
}

}  // namespace hc
