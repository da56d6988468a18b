#include "engine/store/commit_walk.h"

#include "engine/base/text.h"

namespace hc {
namespace {

constexpr unsigned kMaxDepth = 256;  // as deep as libostree itself goes

std::string hex_of(GVariant* checksum) {
  if (g_variant_get_size(checksum) != OSTREE_SHA256_DIGEST_LEN) return {};
  std::string hex(OSTREE_SHA256_STRING_LEN + 1, '\0');
  ostree_checksum_inplace_from_bytes(static_cast<const guchar*>(g_variant_get_data(checksum)), hex.data());
  hex.pop_back();
  return hex;
}

std::string joined(const std::string& directory, const char* name) {
  return directory.empty() ? std::string(name) : directory + "/" + name;
}

// The entry called `name` in a tree object (a(say)a(sayay)).
std::optional<CommitEntry> child(GVariant* tree, const std::string& parent, const std::string& name) {
  const Variant files(g_variant_get_child_value(tree, 0));
  for (gsize i = 0; i < g_variant_n_children(files.get()); ++i) {
    const char* entry = nullptr;
    Variant checksum;
    g_variant_get_child(files.get(), i, "(&s@ay)", &entry, static_cast<GVariant**>(out(checksum)));
    if (name == entry) return CommitEntry{joined(parent, entry), false, hex_of(checksum.get()), {}};
  }
  const Variant directories(g_variant_get_child_value(tree, 1));
  for (gsize i = 0; i < g_variant_n_children(directories.get()); ++i) {
    const char* entry = nullptr;
    Variant contents;
    Variant meta;
    g_variant_get_child(directories.get(), i, "(&s@ay@ay)", &entry, static_cast<GVariant**>(out(contents)),
                        static_cast<GVariant**>(out(meta)));
    if (name == entry) return CommitEntry{joined(parent, entry), true, hex_of(contents.get()), hex_of(meta.get())};
  }
  return std::nullopt;
}

}  // namespace

Result<Variant> CommitWalk::tree(const std::string& checksum) const {
  Variant tree;
  GErr err;
  if (checksum.empty() ||
      !ostree_repo_load_variant(repo_, OSTREE_OBJECT_TYPE_DIR_TREE, checksum.c_str(), out(tree), err))
    return failed(err, "reading the directory object " + checksum);
  GErr invalid;
  if (!g_variant_is_normal_form(tree.get()) || !ostree_validate_structureof_dirtree(tree.get(), invalid))
    return Error(Code::io, "the directory object " + checksum + " is damaged");
  return tree;
}

Status CommitWalk::walk(const CommitEntry& directory, unsigned depth, const Visit& visit) const {
  if (stop_.requested()) return Error(Code::cancelled, "stopped on request");
  if (depth > kMaxDepth) return Error(Code::invalid, quote(directory.path) + " lies too deep");
  HC_TRY(visit(directory));
  const Variant contents = HC_TRY(tree(directory.checksum));
  const Variant files(g_variant_get_child_value(contents.get(), 0));
  for (gsize i = 0; i < g_variant_n_children(files.get()); ++i) {
    const char* name = nullptr;
    Variant checksum;
    g_variant_get_child(files.get(), i, "(&s@ay)", &name, static_cast<GVariant**>(out(checksum)));
    HC_TRY(visit(CommitEntry{joined(directory.path, name), false, hex_of(checksum.get()), {}}));
  }
  const Variant directories(g_variant_get_child_value(contents.get(), 1));
  for (gsize i = 0; i < g_variant_n_children(directories.get()); ++i) {
    const char* name = nullptr;
    Variant tree;
    Variant meta;
    g_variant_get_child(directories.get(), i, "(&s@ay@ay)", &name, static_cast<GVariant**>(out(tree)),
                        static_cast<GVariant**>(out(meta)));
    HC_TRY(walk({joined(directory.path, name), true, hex_of(tree.get()), hex_of(meta.get())}, depth + 1, visit));
  }
  return ok;
}

Result<std::optional<CommitEntry>> CommitWalk::find(const Commit& commit, const std::string& path) const {
  Variant object;
  GErr err;
  if (!ostree_repo_load_variant(repo_, OSTREE_OBJECT_TYPE_COMMIT, commit.hex().c_str(), out(object), err))
    return failed(err, "reading commit " + commit.brief());
  const Variant root(g_variant_get_child_value(object.get(), 6));
  const Variant meta(g_variant_get_child_value(object.get(), 7));
  std::optional<CommitEntry> entry = CommitEntry{"", true, hex_of(root.get()), hex_of(meta.get())};
  for (const std::string& part : split(path, '/')) {
    if (part.empty()) continue;
    if (!entry->is_directory) return std::optional<CommitEntry>();
    const Variant contents = HC_TRY(tree(entry->checksum));
    entry = child(contents.get(), entry->path, part);
    if (!entry) break;
  }
  return entry;
}

Result<bool> CommitWalk::run(const Commit& commit, const std::string& start, const Visit& visit) const {
  const std::optional<CommitEntry> entry = HC_TRY(find(commit, start));
  if (!entry || !entry->is_directory) return false;
  HC_TRY(walk(*entry, 0, visit));
  return true;
}

Result<CommitEntryInfo> entry_info(OstreeRepo* repo, const CommitEntry& entry) {
  CommitEntryInfo result;
  GErr err;
  if (!entry.is_directory) {
    if (!ostree_repo_load_file(repo, entry.checksum.c_str(), nullptr, out(result.info), out(result.xattrs), nullptr,
                               err))
      return failed(err, "reading the object of " + quote(entry.path));
    return result;
  }
  Variant meta;
  if (!ostree_repo_load_variant(repo, OSTREE_OBJECT_TYPE_DIR_META, entry.dirmeta.c_str(), out(meta), err))
    return failed(err, "reading the object of " + quote(entry.path));
  guint32 uid = 0;
  guint32 gid = 0;
  guint32 mode = 0;
  g_variant_get(meta.get(), "(uuu@a(ayay))", &uid, &gid, &mode, static_cast<GVariant**>(out(result.xattrs)));
  result.info = adopt(g_file_info_new());
  g_file_info_set_attribute_uint32(result.info.get(), "unix::uid", GUINT32_FROM_BE(uid));
  g_file_info_set_attribute_uint32(result.info.get(), "unix::gid", GUINT32_FROM_BE(gid));
  g_file_info_set_attribute_uint32(result.info.get(), "unix::mode", GUINT32_FROM_BE(mode));
  return result;
}

}  // namespace hc
