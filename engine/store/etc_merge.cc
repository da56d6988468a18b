#include "engine/store/etc_merge.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/base/text.h"
#include "engine/store/commit_walk.h"

namespace hc {
namespace {

constexpr const char* kDefaults = "usr/etc";
constexpr std::size_t kNamed = 5;

using Defaults = std::map<std::string, CommitEntry>;  // by path below /etc

Result<Defaults> defaults_of(const Repository& repository, const Commit& commit) {
  Defaults defaults;
  HC_TRY(CommitWalk(repository.raw(), StopToken()).run(commit, kDefaults, [&](const CommitEntry& entry) -> Status {
    if (entry.path != kDefaults) defaults.emplace(entry.path.substr(std::string_view(kDefaults).size() + 1), entry);
    return ok;
  }));
  return defaults;
}

class Rehearsal {
 public:
  Rehearsal(const Defaults& before, const Defaults& after, const fs::path& local)
      : before_(before), after_(after), local_(local) {}

  Status run() {
    HC_TRY(walk("", false));
    // A directory removed as a whole counts once: libostree removes it with all below.
    for (const auto& [path, entry] : before_) {
      const std::string parent = fs::path(path).parent_path().string();
      if (seen_.contains(path) || (!parent.empty() && !seen_.contains(parent))) continue;
      check_parents(path, "was removed on this node");
      const CommitEntry* now = find(after_, path);
      if (now && now->checksum != entry.checksum)
        note(path, "stays removed, as on this node, though the new version changes it");
    }
    return ok;
  }

  std::vector<std::string> conflicts() const { return values(conflicts_); }
  std::vector<std::string> notes() const { return values(notes_); }

 private:
  static const CommitEntry* find(const Defaults& defaults, const std::string& path) {
    const auto found = defaults.find(path);
    return found == defaults.end() ? nullptr : &found->second;
  }

  static std::vector<std::string> values(const std::map<std::string, std::string>& texts) {
    std::vector<std::string> list(texts.size());
    std::transform(texts.begin(), texts.end(), list.begin(), [](const auto& entry) { return entry.second; });
    return list;
  }

  void note(const std::string& path, const std::string& text) {
    notes_.emplace(path, "/etc/" + printable(path) + " " + text);
  }
  void conflict(const std::string& path, const std::string& text) {
    conflicts_.emplace(path, "/etc/" + printable(path) + " " + text);
  }

  // `copied`: an outer directory is the node's own, so libostree copies all below it without looking at defaults.
  Status walk(const std::string& directory, bool copied) {
    const std::vector<std::string> names = HC_TRY(list_dir(local_ / directory));
    for (const std::string& name : names) {
      const std::string path = (fs::path(directory) / name).string();
      seen_.insert(path);
      struct stat info {};
      if (::lstat((local_ / path).c_str(), &info) != 0)
        return Error::from_errno(errno, "looking at " + (local_ / path).string());
      HC_TRY(visit(path, info, copied));
    }
    return ok;
  }

  Status visit(const std::string& path, const struct stat& info, bool copied) {
    const bool is_directory = S_ISDIR(info.st_mode);
    if (!is_directory && !S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode)) {
      if (copied) conflict(path, "is no file but a device, pipe or socket, in a directory of this node's own");
      if (!copied) note(path, "is a device, pipe or socket and is left behind");
      return ok;
    }
    const CommitEntry* before = find(before_, path);
    const bool changed = copied || !before || before->is_directory != is_directory || differs(*before, path, info);
    if (changed && !copied) compare_with_new(path, is_directory, before);
    const bool own_directory = is_directory && changed;
    return is_directory ? walk(path, copied || own_directory) : Status(ok);
  }

  bool differs(const CommitEntry& before, const std::string& path, struct stat info) const {
    if (before.is_directory) return false;
    GText checksum;
    if (!ostree_checksum_file_at(AT_FDCWD, (local_ / path).c_str(), &info, OSTREE_OBJECT_TYPE_FILE,
                                 OSTREE_CHECKSUM_FLAGS_NONE, out(checksum), nullptr, nullptr))
      return true;
    return before.checksum != checksum.get();
  }

  void compare_with_new(const std::string& path, bool is_directory, const CommitEntry* before) {
    const std::string what = before ? "was changed on this node" : "was made on this node";
    check_parents(path, what);
    const CommitEntry* after = find(after_, path);
    if (!after) return;
    if (after->is_directory && !is_directory) {
      conflict(path, what + " and is no directory there, but is a directory in the new version");
    } else if (before && after->checksum != before->checksum) {
      note(path, "was changed on this node and by the new version: the node's own is kept");
    } else if (!before && !is_directory) {
      note(path, "was made on this node and is also in the new version: the node's own is kept");
    }
  }

  // A directory that the new version replaces by a file or a link cannot take what the node has in it.
  void check_parents(const std::string& path, const std::string& what) {
    for (fs::path parent = fs::path(path).parent_path(); !parent.empty(); parent = parent.parent_path()) {
      const CommitEntry* after = find(after_, parent.string());
      if (after && !after->is_directory)
        conflict(path, what + ", but /etc/" + printable(parent.string()) + " is no directory in the new version");
    }
  }

  const Defaults& before_;
  const Defaults& after_;
  const fs::path& local_;
  std::set<std::string> seen_;
  std::map<std::string, std::string> conflicts_;
  std::map<std::string, std::string> notes_;
};

}  // namespace

Result<std::vector<std::string>> rehearse_etc_merge(const Repository& repository, const Commit& from,
                                                    const fs::path& local, const Commit& to) {
  const Defaults before = HC_TRY(defaults_of(repository, from));
  const Defaults after = HC_TRY(defaults_of(repository, to));
  Rehearsal rehearsal(before, after, local);
  HC_TRY(rehearsal.run());
  const std::vector<std::string> conflicts = rehearsal.conflicts();
  if (conflicts.empty()) return rehearsal.notes();
  std::string text = "this node's /etc cannot be carried over to the new version: ";
  for (std::size_t i = 0; i < conflicts.size() && i < kNamed; ++i) text += (i ? "; " : "") + conflicts[i];
  if (conflicts.size() > kNamed) text += "; and " + std::to_string(conflicts.size() - kNamed) + " more";
  return Error(Code::invalid, std::move(text))
      .with_hint("move what is named out of the way on the node, or change the version, then try again");
}

}  // namespace hc
