#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <set>

#include "engine/base/text.h"
#include "engine/store/commit_walk.h"
#include "engine/store/ostree.h"
#include "engine/store/repository.h"

namespace hc {
namespace {

constexpr std::size_t kNamed = 5;  // how many bad objects an error names

Result<bool> has_object(OstreeRepo* repo, OstreeObjectType type, const std::string& checksum) {
  gboolean found = FALSE;
  GErr err;
  if (!ostree_repo_has_object(repo, type, checksum.c_str(), &found, nullptr, err))
    return failed(err, "looking for object " + checksum);
  return found != FALSE;
}

// Each object of a commit once, with the first path that uses it.
struct Object {
  OstreeObjectType type;
  std::string checksum;
  std::string path;
};
using Objects = std::set<std::pair<OstreeObjectType, std::string>>;

template <typename Use>
Status each_new_object(const CommitEntry& entry, Objects& seen, const Use& use) {
  const auto once = [&](OstreeObjectType type, const std::string& checksum) -> Status {
    if (!seen.emplace(type, checksum).second) return ok;
    return use(Object{type, checksum, entry.path});
  };
  if (!entry.is_directory) return once(OSTREE_OBJECT_TYPE_FILE, entry.checksum);
  HC_TRY(once(OSTREE_OBJECT_TYPE_DIR_META, entry.dirmeta));
  return once(OSTREE_OBJECT_TYPE_DIR_TREE, entry.checksum);
}

struct Fault {
  Object object;
  std::string text;
};

// Hashes every object of the commit again.
Result<std::vector<Fault>> find_faults(OstreeRepo* repo, const Commit& commit, const ProgressFn& progress,
                                       const StopToken& stop) {
  std::vector<Fault> faults;
  Objects seen;
  const auto test = [&](const Object& object) -> Status {
    if (stop.requested()) return Error(Code::cancelled, "stopped on request");
    if (progress && seen.size() % 64 == 0) progress({"checking objects", seen.size(), 0, false});
    GErr err;
    if (ostree_repo_fsck_object(repo, object.type, object.checksum.c_str(), nullptr, err)) return ok;
    faults.push_back({object, object.checksum + "." + ostree_object_type_to_string(object.type) + " (/" +
                                  printable(object.path) + "): " + std::string(err.text())});
    // What stands below a directory object that lies cannot be read.
    return object.type == OSTREE_OBJECT_TYPE_DIR_TREE ? Status(Error(Code::io, "unreadable")) : Status(ok);
  };
  HC_TRY(test(Object{OSTREE_OBJECT_TYPE_COMMIT, commit.hex(), ""}));
  if (!faults.empty()) return faults;
  const Result<bool> walked =
      CommitWalk(repo, stop).run(commit, "", [&](const CommitEntry& e) { return each_new_object(e, seen, test); });
  if (faults.empty() && !walked) return walked.error();
  return faults;
}

}  // namespace

Result<bool> Repository::is_complete(const Commit& commit) const {
  const bool here = HC_TRY(has_commit(commit));
  if (!here) return false;
  OstreeRepoCommitState state{};
  GErr err;
  if (!ostree_repo_load_commit(repo_.get(), commit.hex().c_str(), nullptr, &state, err))
    return failed(err, "reading commit " + commit.brief());
  if (state & OSTREE_REPO_COMMIT_STATE_PARTIAL) return false;
  // The mark alone does not count: objects may have been lost since.
  Objects seen;
  bool complete = true;
  const auto look = [&](const Object& object) -> Status {
    const bool found = HC_TRY(has_object(repo_.get(), object.type, object.checksum));
    if (found) return ok;
    complete = false;
    return Error(Code::io, "incomplete");
  };
  const Result<bool> walked = CommitWalk(repo_.get(), StopToken()).run(commit, "", [&](const CommitEntry& e) {
    return each_new_object(e, seen, look);
  });
  if (!walked && complete) return walked.error();
  return complete;
}

Result<TreeSize> Repository::missing(const CommitObject& object) const {
  const Variant commit = variant_of(object.bytes, OSTREE_COMMIT_GVARIANT_STRING);
  if (!g_variant_is_normal_form(commit.get())) return Error(Code::invalid, "the commit object is malformed");
  PtrArray sizes;
  GErr err;
  TreeSize total;
  if (!ostree_commit_get_object_sizes(commit.get(), out(sizes), err)) {
    if (err.matches(G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) return total;
    return err.as(Code::invalid, "reading the object sizes of the commit");
  }
  total.known = true;
  for (guint i = 0; i < sizes->len; ++i) {
    const auto* entry = static_cast<const OstreeCommitSizesEntry*>(g_ptr_array_index(sizes.get(), i));
    total.all_bytes += entry->unpacked;
    const bool here = HC_TRY(has_object(repo_.get(), entry->objtype, entry->checksum));
    if (here) continue;
    ++total.objects;
    total.bytes += entry->unpacked;
    total.download_bytes += entry->archived;
  }
  return total;
}

Status Repository::fsck(const Commit& commit, const ProgressFn& progress, const StopToken& stop) const {
  const std::vector<Fault> faults = HC_TRY(find_faults(repo_.get(), commit, progress, stop));
  if (faults.empty()) return ok;
  std::string text = "commit " + commit.brief() + " has " + std::to_string(faults.size()) + " bad or missing objects: ";
  for (std::size_t i = 0; i < faults.size() && i < kNamed; ++i) text += (i ? "; " : "") + faults[i].text;
  return Error(Code::io, std::move(text));
}

Result<std::uint64_t> Repository::drop_damaged(const Commit& commit, const ProgressFn& progress,
                                               const StopToken& stop) {
  std::uint64_t dropped = 0;
  // Below a directory object that lies nothing can be looked at: it is dropped, and what it hid is looked at once it
  // has been fetched again.
  const std::vector<Fault> faults = HC_TRY(find_faults(repo_.get(), commit, progress, stop));
  if (faults.empty()) return dropped;
  GErr err;
  if (!ostree_repo_mark_commit_partial(repo_.get(), commit.hex().c_str(), TRUE, err))
    return failed(err, "marking commit " + commit.brief() + " as incomplete");
  for (const Fault& fault : faults) {
    const bool there = HC_TRY(has_object(repo_.get(), fault.object.type, fault.object.checksum));
    if (!there) continue;
    GErr delete_err;
    if (!ostree_repo_delete_object(repo_.get(), fault.object.type, fault.object.checksum.c_str(), nullptr, delete_err))
      return failed(delete_err, "removing the bad object " + fault.object.checksum);
    ++dropped;
  }
  return dropped;
}

Result<std::optional<std::string>> Repository::read_file(const Commit& commit, const std::string& path,
                                                         std::uint64_t limit) const {
  const std::optional<CommitEntry> found = HC_TRY(CommitWalk(repo_.get(), StopToken()).find(commit, path));
  if (!found) return std::optional<std::string>();
  if (found->is_directory)
    return Error(Code::invalid, quote(path) + " of commit " + commit.brief() + " is no regular file");
  GRef<GInputStream> stream;
  GRef<GFileInfo> info;
  GErr err;
  if (!ostree_repo_load_file(repo_.get(), found->checksum.c_str(), out(stream), out(info), nullptr, nullptr, err))
    return failed(err, "reading " + quote(path) + " of commit " + commit.brief());
  if (g_file_info_get_file_type(info.get()) != G_FILE_TYPE_REGULAR)
    return Error(Code::invalid, quote(path) + " of commit " + commit.brief() + " is no regular file");
  std::string content;
  std::array<char, 65536> buffer{};
  while (true) {
    GErr read_err;
    const gssize size = g_input_stream_read(stream.get(), buffer.data(), buffer.size(), nullptr, read_err);
    if (size < 0) return failed(read_err, "reading " + quote(path) + " of commit " + commit.brief());
    if (size == 0) return std::optional(std::move(content));
    content.append(buffer.data(), static_cast<std::size_t>(size));
    if (content.size() > limit)
      return Error(Code::invalid, quote(path) + " is larger than the " + human_bytes(limit) + " allowed");
  }
}

Result<bool> Repository::checkout(const Commit& commit, const std::string& subdirectory,
                                  const fs::path& destination) const {
  const StopToken never;
  const std::optional<CommitEntry> found = HC_TRY(CommitWalk(repo_.get(), never).find(commit, subdirectory));
  if (!found || !found->is_directory) return false;
  const std::string start = "/" + found->path;
  const fs::path part = destination.parent_path() / ("." + destination.filename().string() + ".part");
  HC_TRY(remove_tree(part));
  OstreeRepoCheckoutAtOptions options{};
  const bool keeps_owners = ::geteuid() == 0 && ostree_repo_get_mode(repo_.get()) != OSTREE_REPO_MODE_BARE_USER;
  options.mode = keeps_owners ? OSTREE_REPO_CHECKOUT_MODE_NONE : OSTREE_REPO_CHECKOUT_MODE_USER;
  options.force_copy = TRUE;  // a hook that writes into a checkout must not write into the repository
  options.enable_fsync = TRUE;
  options.subpath = start.c_str();
  GErr err;
  if (!ostree_repo_checkout_at(repo_.get(), &options, AT_FDCWD, part.c_str(), commit.hex().c_str(), nullptr, err)) {
    HC_TRY(remove_tree(part));
    return failed(err, "checking out " + start + " of commit " + commit.brief());
  }
  HC_TRY(remove_tree(destination));
  if (::rename(part.c_str(), destination.c_str()) != 0)
    return Error::from_errno(errno, "moving the checkout to " + destination.string());
  HC_TRY(sync_dir(destination.parent_path()));
  return true;
}

Result<std::uint64_t> Repository::prune() {
  gint total = 0;
  gint pruned = 0;
  guint64 bytes = 0;
  GErr err;
  if (!ostree_repo_prune(repo_.get(), OSTREE_REPO_PRUNE_FLAGS_REFS_ONLY, 0, &total, &pruned, &bytes, nullptr, err))
    return failed(err, "removing objects that no version needs");
  return bytes;
}

}  // namespace hc
