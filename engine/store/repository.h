#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/file.h"
#include "engine/base/handle.h"
#include "engine/base/ids.h"
#include "engine/base/progress.h"
#include "engine/base/stop.h"

typedef struct OstreeRepo OstreeRepo;  // libostree's own name; only engine/store includes its header

namespace hc {

// A commit object and what stands detached beside it, as bytes.
struct CommitObject {
  std::string bytes;
  std::string detached;  // serialized a{sv}; empty where there is none
};

struct PullLimits {
  std::int64_t stall_ms = 60'000;  // nothing arrives for this long: give up
  std::uint64_t bytes_per_s = 0;   // no more over the network; 0: no limit
};

struct TreeSize {
  std::uint64_t bytes = 0;           // on disk, of the objects that are not here yet
  std::uint64_t download_bytes = 0;  // the same objects as an http(s) source sends them, compressed
  std::uint64_t objects = 0;         // how many they are: one inode each
  std::uint64_t all_bytes = 0;       // on disk, of all objects of the commit
  bool known = false;                // the commit carries ostree.sizes
};

// Paths relative to the root, sorted, directories with a `/` at their end.
struct TreeDiff {
  std::vector<std::string> added;
  std::vector<std::string> removed;
  std::vector<std::string> changed;  // content, owner, mode or extended attributes
};

// One OSTree repository: the node's own (bare) or a published one (archive).
class Repository {
 public:
  static Result<Repository> open(const fs::path& path);
  // Makes an empty one; mode "bare", "bare-user" or "archive". No error where one of that mode exists.
  static Result<Repository> create(const fs::path& path, const std::string& mode);

  // Exact names only: a branch called like a checksum never stands for another commit.
  Result<std::vector<std::pair<std::string, Commit>>> refs(const std::string& prefix = "") const;
  Result<std::optional<Commit>> ref(const std::string& name) const;
  Status set_ref(const std::string& name, const std::optional<Commit>& commit);  // nothing: deletes; durable

  Result<bool> has_commit(const Commit& commit) const;   // the object, complete or partial
  Result<bool> is_complete(const Commit& commit) const;  // with every object it names
  Result<CommitObject> commit_object(const Commit& commit) const;
  // The version that the commit names; empty where it names none or is not here.
  std::string version(const Commit& commit) const;
  // Stores a verified commit object and its detached metadata, marked partial until pull() completes it.
  Status put_commit(const VerifiedPayload& payload, const CommitObject& object);

  // Fetches the content that `payload` names from `url` (http, https, file), each object checked against its checksum
  // before it is kept; nothing is trusted because it is local. Resumes where a broken one stopped. Code::unavailable
  // where a later try may help.
  Status pull(const std::string& url, const VerifiedPayload& payload, const PullLimits& limits,
              const ProgressFn& progress, const StopToken& stop);

  Result<TreeSize> missing(const CommitObject& object) const;

  // Reads every object of `commit` again and compares checksums; names those that are bad or missing.
  Status fsck(const Commit& commit, const ProgressFn& progress, const StopToken& stop) const;
  // Removes what fsck() would name, so that pull() fetches it anew. Returns how many objects were removed.
  Result<std::uint64_t> drop_damaged(const Commit& commit, const ProgressFn& progress, const StopToken& stop);

  // Reads one regular file out of a commit, at most `limit` bytes; nothing where the path does not exist.
  Result<std::optional<std::string>> read_file(const Commit& commit, const std::string& path,
                                               std::uint64_t limit = 1 << 20) const;
  // Checks out one directory of a commit as plain files (a copy, fsynced); Ok with false where the commit has no such
  // directory.
  Result<bool> checkout(const Commit& commit, const std::string& subdirectory, const fs::path& destination) const;

  // The names of the directories directly in `path` of a commit, sorted; none where there is no such directory.
  Result<std::vector<std::string>> directories(const Commit& commit, const std::string& path) const;
  // What two commits differ in. REQUIRES: both are complete.
  Result<TreeDiff> diff(const Commit& from, const Commit& to, const StopToken& stop) const;

  // Makes one directory of a payload a commit of its own, on this node only and without copying content: the same
  // directory, payload and version give the same id everywhere. As trustworthy as the payload it is a part of. No ref
  // is set. REQUIRES: `whole` is complete.
  Result<VerifiedPayload> part(const VerifiedPayload& whole, const std::string& path, const std::string& version);
  // The commit that part() cut this one out of; nothing for any other commit. Says nothing about trust.
  Result<std::optional<Commit>> part_of(const Commit& commit) const;

  // Removes all objects that no ref (and no deployment, for a sysroot's repository) needs. Returns the bytes freed.
  Result<std::uint64_t> prune();

  // Writers (image-tools): commits a directory tree with its modes, owners (see CommitOptions) and extended attributes,
  // and returns the commit. `metadata` is the a{sv} of the commit, to which the sizes of its objects are added. The
  // same tree, metadata and options give the same commit in every repository of one mode; no ref is set.
  struct CommitOptions {
    std::string subject;
    std::string body;
    std::int64_t timestamp = 0;
    bool root_owned = false;  // every file becomes 0:0
  };
  Result<Commit> commit_tree(const fs::path& tree, GVariant* metadata, const CommitOptions& options,
                             const ProgressFn& progress, const StopToken& stop);
  // Stores `object`, its signatures and its content, which is the directory `tree` with every file owned by root. Where
  // the tree is not the one that the commit names: Code::untrusted, and no commit is stored. The same in a repository
  // of any mode. May be repeated.
  Result<Commit> adopt_tree(const CommitObject& object, const fs::path& tree, const StopToken& stop);
  Status set_detached(const Commit& commit, std::string_view detached);
  Status update_summary();

  OstreeRepo* raw() const { return repo_.get(); }  // engine/store only

  // Takes over a repository that a sysroot opened; engine/store only.
  explicit Repository(GRef<OstreeRepo> repo) : repo_(std::move(repo)) {}

 private:
  GRef<OstreeRepo> repo_;
};

}  // namespace hc
