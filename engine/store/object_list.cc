#include "engine/store/object_list.h"

#include <array>
#include <set>

#include "engine/base/text.h"
#include "engine/store/commit_walk.h"
#include "engine/store/ostree.h"

namespace hc {

Result<std::vector<ListedObject>> list_objects(const Repository& repository, const Commit& commit,
                                               const StopToken& stop) {
  using Kind = ListedObject::Kind;
  std::vector<ListedObject> objects;
  std::set<std::pair<Kind, std::string>> seen;
  const auto add = [&](Kind kind, const std::string& checksum, const std::string& path) {
    if (seen.emplace(kind, checksum).second) objects.push_back({kind, checksum, path});
  };
  const bool whole = HC_TRY(CommitWalk(repository.raw(), stop).run(commit, "", [&](const CommitEntry& entry) -> Status {
    if (entry.is_directory) {
      add(Kind::attributes, entry.dirmeta, entry.path);
      add(Kind::directory, entry.checksum, entry.path);
    } else {
      add(Kind::file, entry.checksum, entry.path);
    }
    return ok;
  }));
  if (!whole) return Error(Code::io, "commit " + commit.brief() + " has no tree");
  return objects;
}

Result<std::string> metadata_object(const Repository& repository, const ListedObject& object) {
  const auto type =
      object.kind == ListedObject::Kind::directory ? OSTREE_OBJECT_TYPE_DIR_TREE : OSTREE_OBJECT_TYPE_DIR_META;
  Variant bytes;
  GErr err;
  if (!ostree_repo_load_variant(repository.raw(), type, object.checksum.c_str(), out(bytes), err))
    return failed(err, "reading the object of /" + printable(object.path));
  return serialized(bytes.get());
}

Result<LoadedFile> load_file(const Repository& repository, const std::string& checksum, bool with_content) {
  GRef<GInputStream> stream;
  GRef<GFileInfo> info;
  Variant xattrs;
  GErr err;
  if (!ostree_repo_load_file(repository.raw(), checksum.c_str(),
                             with_content ? static_cast<GInputStream**>(out(stream)) : nullptr, out(info), out(xattrs),
                             nullptr, err))
    return failed(err, "reading object " + checksum);
  LoadedFile file;
  file.attributes = {g_file_info_get_attribute_uint32(info.get(), "unix::uid"),
                     g_file_info_get_attribute_uint32(info.get(), "unix::gid"),
                     g_file_info_get_attribute_uint32(info.get(), "unix::mode"),
                     xattrs && g_variant_n_children(xattrs.get()) > 0 ? serialized(xattrs.get()) : std::string()};
  if (g_file_info_get_file_type(info.get()) == G_FILE_TYPE_SYMBOLIC_LINK)
    file.link = g_file_info_get_symlink_target(info.get());
  if (!file.link) file.size = static_cast<std::uint64_t>(g_file_info_get_size(info.get()));
  if (!with_content || file.link) return file;
  file.content.reserve(file.size);
  std::array<char, 65536> buffer{};
  while (true) {
    GErr read_err;
    const gssize size = g_input_stream_read(stream.get(), buffer.data(), buffer.size(), nullptr, read_err);
    if (size < 0) return failed(read_err, "reading object " + checksum);
    if (size == 0) return file;
    file.content.append(buffer.data(), static_cast<std::size_t>(size));
  }
}

}  // namespace hc
