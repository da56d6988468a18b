#include <fcntl.h>

#include "engine/base/text.h"
#include "engine/store/ostree.h"
#include "engine/store/repository.h"

// Making commits: image-tools' half of the repository.
namespace hc {
namespace {

using Modifier = Handle<OstreeRepoCommitModifier, ostree_repo_commit_modifier_unref>;

struct CommitRun {
  bool root_owned = false;
  const ProgressFn* progress = nullptr;
  std::uint64_t entries = 0;
};

OstreeRepoCommitFilterResult on_entry(OstreeRepo*, const char*, GFileInfo* info, gpointer data) {
  auto* run = static_cast<CommitRun*>(data);
  if (run->root_owned) {
    g_file_info_set_attribute_uint32(info, "unix::uid", 0);
    g_file_info_set_attribute_uint32(info, "unix::gid", 0);
  }
  if (++run->entries % 256 == 0 && *run->progress) (*run->progress)({"committing", run->entries, 0, false});
  return OSTREE_REPO_COMMIT_FILTER_ALLOW;
}

Result<GRef<GFile>> write_tree(OstreeRepo* repo, const fs::path& tree, CommitRun& run, const StopToken& stop) {
  const Modifier modifier(
      ostree_repo_commit_modifier_new(OSTREE_REPO_COMMIT_MODIFIER_FLAGS_GENERATE_SIZES, on_entry, &run, nullptr));
  const GRef<OstreeMutableTree> mutable_tree = adopt(ostree_mutable_tree_new());
  GErr err;
  if (!ostree_repo_write_dfd_to_mtree(repo, AT_FDCWD, tree.c_str(), mutable_tree.get(), modifier.get(),
                                      stop.cancellable(), err))
    return failed(err, "committing the tree " + tree.string());
  GRef<GFile> root;
  GErr root_err;
  if (!ostree_repo_write_mtree(repo, mutable_tree.get(), out(root), stop.cancellable(), root_err))
    return failed(root_err, "committing the tree " + tree.string());
  return root;
}

// The checksum in child `index` of a commit object: 6 is the root's content, 7 its owner and mode.
std::string checksum_in(GVariant* commit, gsize index) {
  const Variant bytes(g_variant_get_child_value(commit, index));
  if (g_variant_get_size(bytes.get()) != OSTREE_SHA256_DIGEST_LEN) return {};
  const GText hex(ostree_checksum_from_bytes_v(bytes.get()));
  return hex.get();
}

}  // namespace

Result<Commit> Repository::adopt_tree(const CommitObject& object, const fs::path& tree, const StopToken& stop) {
  const Variant commit = variant_of(object.bytes, OSTREE_COMMIT_GVARIANT_STRING);
  if (!g_variant_is_normal_form(commit.get())) return Error(Code::invalid, "this is no commit object");
  const Commit id = HC_TRY(Commit::parse(checksum_of(object.bytes)));
  RepoWrite write = HC_TRY(RepoWrite::begin(repo_.get(), stop.cancellable()));
  const ProgressFn silent;
  CommitRun run{true, &silent, 0};
  const GRef<GFile> root = HC_TRY(write_tree(repo_.get(), tree, run, stop));
  OstreeRepoFile* file = OSTREE_REPO_FILE(root.get());
  if (checksum_in(commit.get(), 6) != ostree_repo_file_tree_get_contents_checksum(file) ||
      checksum_in(commit.get(), 7) != ostree_repo_file_tree_get_metadata_checksum(file))
    return Error(Code::untrusted, "the content is not what commit " + id.brief() + " names");
  GErr err;
  if (!ostree_repo_write_metadata(repo_.get(), OSTREE_OBJECT_TYPE_COMMIT, id.hex().c_str(), commit.get(), nullptr,
                                  stop.cancellable(), err))
    return failed(err, "storing commit " + id.brief());
  HC_TRY(write.commit(stop.cancellable()));
  HC_TRY(set_detached(id, object.detached));
  return id;
}

Result<Commit> Repository::commit_tree(const fs::path& tree, GVariant* metadata, const CommitOptions& options,
                                       const ProgressFn& progress, const StopToken& stop) {
  // Keeps a floating dictionary alive however this ends.
  const Variant kept(metadata ? g_variant_ref_sink(metadata) : nullptr);
  RepoWrite write = HC_TRY(RepoWrite::begin(repo_.get(), stop.cancellable()));
  CommitRun run{options.root_owned, &progress, 0};
  const GRef<GFile> root = HC_TRY(write_tree(repo_.get(), tree, run, stop));
  GText checksum;
  GErr err;
  if (!ostree_repo_write_commit_with_time(repo_.get(), nullptr, options.subject.c_str(), options.body.c_str(), metadata,
                                          OSTREE_REPO_FILE(root.get()), static_cast<guint64>(options.timestamp),
                                          out(checksum), stop.cancellable(), err))
    return failed(err, "writing the commit of " + tree.string());
  HC_TRY(write.commit(stop.cancellable()));
  return Commit::parse(checksum.get());
}

Status Repository::update_summary() {
  GErr err;
  if (!ostree_repo_regenerate_summary(repo_.get(), nullptr, nullptr, err))
    return failed(err, "writing the summary of the repository");
  return ok;
}

}  // namespace hc
