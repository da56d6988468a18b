#include <map>

#include "engine/base/text.h"
#include "engine/store/commit_walk.h"
#include "engine/store/ostree.h"
#include "engine/store/repository.h"

namespace hc {
namespace {

constexpr const char* kPartOf = "honeycomb.part-of";

Variant checksum_bytes(const std::string& hex) {
  return Variant(g_variant_ref_sink(ostree_checksum_to_bytes_v(hex.c_str())));
}

// Nothing in it depends on when or where it is made, so every node gives one part the same id.
Variant part_object(const Commit& whole, const CommitEntry& root, const std::string& subject,
                    const std::string& version, guint64 timestamp) {
  GVariantBuilder metadata;
  g_variant_builder_init(&metadata, G_VARIANT_TYPE("a{sv}"));
  g_variant_builder_add(&metadata, "{sv}", kPartOf, g_variant_new_string(whole.hex().c_str()));
  g_variant_builder_add(&metadata, "{sv}", OSTREE_COMMIT_META_KEY_VERSION, g_variant_new_string(version.c_str()));
  GVariantBuilder related;
  g_variant_builder_init(&related, G_VARIANT_TYPE("a(say)"));
  const Variant tree = checksum_bytes(root.checksum);
  const Variant meta = checksum_bytes(root.dirmeta);
  return Variant(
      g_variant_ref_sink(g_variant_new("(@a{sv}@aya(say)sst@ay@ay)", g_variant_builder_end(&metadata),
                                       g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, nullptr, 0, 1), &related,
                                       subject.c_str(), "", GUINT64_TO_BE(timestamp), tree.get(), meta.get())));
}

}  // namespace

Result<std::vector<std::string>> Repository::directories(const Commit& commit, const std::string& path) const {
  std::vector<std::string> names;
  const auto add = [&](const CommitEntry& entry) -> Status {
    const std::string below = entry.path.size() > path.size() ? entry.path.substr(path.size() + 1) : "";
    if (entry.is_directory && !below.empty() && below.find('/') == std::string::npos) names.push_back(below);
    return ok;
  };
  HC_TRY(CommitWalk(repo_.get(), StopToken()).run(commit, path, add));
  return names;
}

Result<VerifiedPayload> Repository::part(const VerifiedPayload& whole, const std::string& path,
                                         const std::string& version) {
  const std::optional<CommitEntry> root = HC_TRY(CommitWalk(repo_.get(), StopToken()).find(whole.commit(), path));
  if (!root || !root->is_directory)
    return Error(Code::invalid, "commit " + whole.commit().brief() + " has no directory " + quote(path));
  Variant object;
  GErr err;
  if (!ostree_repo_load_variant(repo_.get(), OSTREE_OBJECT_TYPE_COMMIT, whole.commit().hex().c_str(), out(object), err))
    return failed(err, "reading commit " + whole.commit().brief());
  const std::string subject = fs::path(path).filename().string() + " " + version;
  const Variant made = part_object(whole.commit(), *root, subject, version, ostree_commit_get_timestamp(object.get()));
  const Commit commit = HC_TRY(Commit::parse(checksum_of(serialized(made.get()))));
  // Asked for after each boot: what is there need not be written, and synced, again.
  if (HC_TRY(has_commit(commit))) return VerifiedPayload(commit);
  RepoWrite write = HC_TRY(RepoWrite::begin(repo_.get(), nullptr));
  GErr write_err;
  if (!ostree_repo_write_metadata(repo_.get(), OSTREE_OBJECT_TYPE_COMMIT, commit.hex().c_str(), made.get(), nullptr,
                                  nullptr, write_err))
    return failed(write_err, "storing what commit " + whole.commit().brief() + " has in " + path);
  HC_TRY(write.commit(nullptr));
  return VerifiedPayload(commit);
}

Result<std::optional<Commit>> Repository::part_of(const Commit& commit) const {
  Variant object;
  GErr err;
  if (!ostree_repo_load_variant(repo_.get(), OSTREE_OBJECT_TYPE_COMMIT, commit.hex().c_str(), out(object), err))
    return failed(err, "reading commit " + commit.brief());
  const Variant metadata(g_variant_get_child_value(object.get(), 0));
  const char* whole = nullptr;
  if (!g_variant_lookup(metadata.get(), kPartOf, "&s", &whole)) return std::optional<Commit>();
  return std::optional(HC_TRY(Commit::parse(whole)));
}

Result<TreeDiff> Repository::diff(const Commit& from, const Commit& to, const StopToken& stop) const {
  const auto entries = [&](const Commit& commit, std::map<std::string, std::string>& known) -> Status {
    HC_TRY(CommitWalk(repo_.get(), stop).run(commit, "", [&](const CommitEntry& entry) -> Status {
      // What a directory contains is told by its entries.
      known[entry.path + (entry.is_directory ? "/" : "")] = entry.is_directory ? entry.dirmeta : entry.checksum;
      return ok;
    }));
    return ok;
  };
  std::map<std::string, std::string> before;
  std::map<std::string, std::string> after;
  HC_TRY(entries(from, before));
  HC_TRY(entries(to, after));
  TreeDiff diff;
  for (const auto& [path, checksum] : before) {
    const auto it = after.find(path);
    if (it == after.end()) {
      diff.removed.push_back(path);
    } else if (it->second != checksum) {
      diff.changed.push_back(path);
    }
  }
  for (const auto& [path, checksum] : after)
    if (!before.contains(path)) diff.added.push_back(path);
  return diff;
}

}  // namespace hc
