#include "engine/store/repository.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/text.h"
#include "engine/store/ostree.h"

namespace hc {
namespace {

constexpr const char* kDetachedType = "a{sv}";

Result<OstreeRepoMode> mode_of(const std::string& mode) {
  OstreeRepoMode value{};
  if (!ostree_repo_mode_from_string(mode.c_str(), &value, nullptr))
    return Error(Code::invalid, quote(mode) + " is no kind of OSTree repository");
  return value;
}

// The dictionary beside a commit, checked: what is written there is read again by everyone who verifies.
Result<Variant> detached_of(std::string_view detached) {
  Variant dictionary = variant_of(detached, kDetachedType);
  if (!g_variant_is_normal_form(dictionary.get()))
    return Error(Code::invalid, "the detached metadata of the commit are no GVariant dictionary");
  return dictionary;
}

Status write_detached(OstreeRepo* repo, const Commit& commit, std::string_view detached) {
  const Variant dictionary = HC_TRY(detached_of(detached));
  GErr err;
  if (!ostree_repo_write_commit_detached_metadata(repo, commit.hex().c_str(),
                                                  detached.empty() ? nullptr : dictionary.get(), nullptr, err))
    return failed(err, "storing the signatures of commit " + commit.brief());
  return ok;
}

fs::path ref_path(OstreeRepo* repo, const std::string& name) {
  return fs::path("/proc/self/fd") / std::to_string(ostree_repo_get_dfd(repo)) / "refs/heads" / name;
}

Status check_ref_name(const std::string& name) {
  GErr err;
  const bool valid = ostree_validate_rev(name.c_str(), err) && name.find(':') == std::string::npos;
  if (!valid || Commit::looks_like(name)) return Error(Code::invalid, quote(name) + " cannot be the name of a ref");
  return ok;
}

}  // namespace

Result<Repository> Repository::open(const fs::path& path) {
  GErr err;
  GRef<OstreeRepo> repo = adopt(ostree_repo_open_at(AT_FDCWD, path.c_str(), nullptr, err));
  if (!repo) return failed(err, "opening the repository " + path.string());
  return Repository(std::move(repo));
}

Result<Repository> Repository::create(const fs::path& path, const std::string& mode) {
  const OstreeRepoMode wanted = HC_TRY(mode_of(mode));
  HC_TRY(make_dirs(path));
  GErr err;
  GRef<OstreeRepo> repo = adopt(ostree_repo_create_at(AT_FDCWD, path.c_str(), wanted, nullptr, nullptr, err));
  if (!repo) return failed(err, "making the repository " + path.string());
  if (ostree_repo_get_mode(repo.get()) != wanted)
    return Error(Code::invalid, path.string() + " holds a repository of another kind than " + mode);
  HC_TRY(sync_filesystem(path));
  return Repository(std::move(repo));
}

Result<std::vector<std::pair<std::string, Commit>>> Repository::refs(const std::string& prefix) const {
  HashTable found;
  GErr err;
  constexpr auto kLocal = static_cast<OstreeRepoListRefsExtFlags>(OSTREE_REPO_LIST_REFS_EXT_EXCLUDE_REMOTES |
                                                                  OSTREE_REPO_LIST_REFS_EXT_EXCLUDE_MIRRORS);
  if (!ostree_repo_list_refs_ext(repo_.get(), nullptr, out(found), kLocal, nullptr, err))
    return failed(err, "listing the refs");
  std::vector<std::pair<std::string, Commit>> refs;
  GHashTableIter iterator;
  gpointer key = nullptr;
  gpointer value = nullptr;
  for (g_hash_table_iter_init(&iterator, found.get()); g_hash_table_iter_next(&iterator, &key, &value);) {
    std::string name = static_cast<const char*>(key);
    if (!name.starts_with(prefix)) continue;
    // A half-written foreign ref must not hide the others.
    Result<Commit> commit = Commit::parse(static_cast<const char*>(value));
    if (commit) refs.emplace_back(std::move(name), std::move(commit).value());
  }
  std::sort(refs.begin(), refs.end());
  return refs;
}

Result<std::optional<Commit>> Repository::ref(const std::string& name) const {
  HC_TRY(check_ref_name(name));
  // Not ostree_repo_resolve_rev(): it takes a name that looks like the start of a checksum for one.
  const fs::path path = ref_path(repo_.get(), name);
  std::error_code error;
  if (fs::is_directory(path, error)) return std::optional<Commit>();
  const std::optional<std::string> text = HC_TRY(read_file_if_exists(path, 4096).in("reading the ref " + name));
  if (!text) return std::optional<Commit>();
  Result<Commit> commit = Commit::parse(trimmed(*text));
  if (!commit) return std::move(commit).error().in("reading the ref " + name);
  return std::optional(std::move(commit).value());
}

Status Repository::set_ref(const std::string& name, const std::optional<Commit>& commit) {
  HC_TRY(check_ref_name(name));
  GErr err;
  if (!ostree_repo_set_ref_immediate(repo_.get(), nullptr, name.c_str(), commit ? commit->hex().c_str() : nullptr,
                                     nullptr, err))
    return failed(err, "writing the ref " + name);
  // Each directory of the name may be new, or hold the removed entry.
  const fs::path heads = ref_path(repo_.get(), "");
  for (fs::path parent = fs::path(name).parent_path();; parent = parent.parent_path()) {
    std::error_code error;
    if (fs::exists(heads / parent, error)) HC_TRY(sync_dir(heads / parent));
    if (parent.empty()) return ok;
  }
}

Result<bool> Repository::has_commit(const Commit& commit) const {
  gboolean found = FALSE;
  GErr err;
  if (!ostree_repo_has_object(repo_.get(), OSTREE_OBJECT_TYPE_COMMIT, commit.hex().c_str(), &found, nullptr, err))
    return failed(err, "looking for commit " + commit.brief());
  return found != FALSE;
}

Result<CommitObject> Repository::commit_object(const Commit& commit) const {
  Variant object;
  GErr err;
  if (!ostree_repo_load_variant(repo_.get(), OSTREE_OBJECT_TYPE_COMMIT, commit.hex().c_str(), out(object), err)) {
    const bool missing = err.matches(G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
    return failed(err, missing ? "commit " + commit.brief() + " is not here" : "reading commit " + commit.brief());
  }
  Variant detached;
  GErr detached_err;
  if (!ostree_repo_read_commit_detached_metadata(repo_.get(), commit.hex().c_str(), out(detached), nullptr,
                                                 detached_err))
    return failed(detached_err, "reading the signatures of commit " + commit.brief());
  return CommitObject{serialized(object.get()), detached ? serialized(detached.get()) : std::string()};
}

std::string Repository::version(const Commit& commit) const {
  Variant object;
  if (!ostree_repo_load_variant(repo_.get(), OSTREE_OBJECT_TYPE_COMMIT, commit.hex().c_str(), out(object), nullptr))
    return {};
  const Variant metadata(g_variant_get_child_value(object.get(), 0));
  const char* version = nullptr;
  if (!g_variant_lookup(metadata.get(), OSTREE_COMMIT_META_KEY_VERSION, "&s", &version)) return {};
  return version;
}

Status Repository::put_commit(const VerifiedPayload& payload, const CommitObject& object) {
  const std::string& hex = payload.commit().hex();
  const std::string actual = checksum_of(object.bytes);
  if (hex != actual) return Error(Code::untrusted, "the commit object received is " + actual + ", not " + hex);
  HC_TRY(detached_of(object.detached));
  const bool complete = HC_TRY(is_complete(payload.commit()));
  if (!complete) {
    GErr err;
    if (!ostree_repo_mark_commit_partial(repo_.get(), hex.c_str(), TRUE, err))
      return failed(err, "marking commit " + payload.commit().brief() + " as incomplete");
    // The mark must be on the disk before the object that it speaks of.
    HC_TRY(sync_dir(fs::path("/proc/self/fd") / std::to_string(ostree_repo_get_dfd(repo_.get())) / "state"));
  }
  RepoWrite write = HC_TRY(RepoWrite::begin(repo_.get(), nullptr));
  const Variant commit = variant_of(object.bytes, OSTREE_COMMIT_GVARIANT_STRING);
  GErr err;
  if (!ostree_repo_write_metadata(repo_.get(), OSTREE_OBJECT_TYPE_COMMIT, hex.c_str(), commit.get(), nullptr, nullptr,
                                  err))
    return failed(err, "storing commit " + payload.commit().brief());
  HC_TRY(write_detached(repo_.get(), payload.commit(), object.detached));
  return write.commit(nullptr);
}

Status Repository::set_detached(const Commit& commit, std::string_view detached) {
  RepoWrite write = HC_TRY(RepoWrite::begin(repo_.get(), nullptr));
  HC_TRY(write_detached(repo_.get(), commit, detached));
  return write.commit(nullptr);
}

}  // namespace hc
