#pragma once

#include <functional>
#include <optional>
#include <string>

#include "engine/base/stop.h"
#include "engine/store/ostree.h"

// The tree that a commit describes, entry by entry, read from the repository's own objects.
namespace hc {

struct CommitEntry {
  std::string path;  // relative to the root; empty for the root itself
  bool is_directory = false;
  std::string checksum;  // of the file's content object, or of the directory's tree object
  std::string dirmeta;   // directories: the object with owner, mode and extended attributes
};

// Calls `visit` for each entry below `start` ("" is the root; a directory comes before what it contains, names sorted).
// Ok with false: there is no such directory. Total on damaged objects: what does not read as a tree is an error.
class CommitWalk {
 public:
  using Visit = std::function<Status(const CommitEntry&)>;

  CommitWalk(OstreeRepo* repo, const StopToken& stop) : repo_(repo), stop_(stop) {}

  Result<bool> run(const Commit& commit, const std::string& start, const Visit& visit) const;

  // The one entry at `path` ("" is the root), or nothing. Symlinks are entries, not followed.
  Result<std::optional<CommitEntry>> find(const Commit& commit, const std::string& path) const;

 private:
  Status walk(const CommitEntry& directory, unsigned depth, const Visit& visit) const;
  Result<Variant> tree(const std::string& checksum) const;

  OstreeRepo* repo_;
  const StopToken& stop_;
};

// Owner, mode and, for a symlink, target of an entry, with its extended attributes (a(ayay)).
struct CommitEntryInfo {
  GRef<GFileInfo> info;
  Variant xattrs;
};
Result<CommitEntryInfo> entry_info(OstreeRepo* repo, const CommitEntry& entry);

}  // namespace hc
