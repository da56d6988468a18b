#include "engine/store/pull_local.h"

#include <fcntl.h>

#include <chrono>

#include "engine/base/text.h"
#include "engine/store/commit_walk.h"

namespace hc {
namespace {

using Digest = Handle<guchar, g_free>;

class Import {
 public:
  using Report = std::function<void(const char*, std::uint64_t, std::uint64_t)>;

  Import(OstreeRepo* to, OstreeRepo* from, const PullOrder& order, const Report& report)
      : to_(to), from_(from), order_(order), report_(report) {}

  Status run() {
    const StopToken never;
    // The walk reads a directory's object only after its visit, which brings it here.
    HC_TRY(CommitWalk(to_, never).run(order_.commit, "", [this](const CommitEntry& e) { return visit(e); }));
    return ok;
  }

 private:
  Status visit(const CommitEntry& entry) {
    if (!entry.is_directory) return object(OSTREE_OBJECT_TYPE_FILE, entry.checksum, entry.path);
    HC_TRY(object(OSTREE_OBJECT_TYPE_DIR_META, entry.dirmeta, entry.path));
    return object(OSTREE_OBJECT_TYPE_DIR_TREE, entry.checksum, entry.path);
  }

  Status object(OstreeObjectType type, const std::string& checksum, const std::string& path) {
    gboolean here = FALSE;
    GErr err;
    if (!ostree_repo_has_object(to_, type, checksum.c_str(), &here, nullptr, err))
      return failed(err, "looking for object " + checksum);
    if (here) return ok;
    GErr copy_err;
    const bool copied =
        type == OSTREE_OBJECT_TYPE_FILE ? copy_file(checksum, copy_err) : copy_metadata(type, checksum, copy_err);
    if (!copied) return explain(copy_err, checksum + "." + ostree_object_type_to_string(type), path);
    ++objects_;
    tell();
    return ok;
  }

  bool copy_metadata(OstreeObjectType type, const std::string& checksum, GErr& err) {
    Variant object;
    if (!ostree_repo_load_variant(from_, type, checksum.c_str(), out(object), err)) return false;
    bytes_ += g_variant_get_size(object.get());
    return ostree_repo_write_metadata(to_, type, checksum.c_str(), object.get(), nullptr, nullptr, err) != FALSE;
  }

  bool copy_file(const std::string& checksum, GErr& err) {
    GRef<GInputStream> stream;
    guint64 size = 0;
    if (!ostree_repo_load_object_stream(from_, OSTREE_OBJECT_TYPE_FILE, checksum.c_str(), out(stream), &size, nullptr,
                                        err))
      return false;
    bytes_ += size;
    // Asked for the checksum it found, libostree compares it; not asked, it believes the name.
    Digest found;
    return ostree_repo_write_content(to_, checksum.c_str(), stream.get(), size, out(found), nullptr, err) != FALSE;
  }

  Error explain(const GErr& err, const std::string& object, const std::string& path) const {
    const std::string what = "object " + object + " (/" + printable(path) + ")";
    if (err.matches(G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
      return err.as(Code::unavailable, order_.source + " lacks " + what);
    if (err.text().find("checksum expected=") != std::string_view::npos)
      return err.as(Code::untrusted, order_.source + " holds a bad " + what);
    return err.as(Code::io, "copying " + what + " from " + order_.source);
  }

  void tell() {
    const auto now = std::chrono::steady_clock::now();
    if (now - told_ < std::chrono::milliseconds(100)) return;
    told_ = now;
    report_("fetch", bytes_, objects_);
  }

  OstreeRepo* to_;
  OstreeRepo* from_;
  const PullOrder& order_;
  const Report& report_;
  std::uint64_t bytes_ = 0;
  std::uint64_t objects_ = 0;
  std::chrono::steady_clock::time_point told_;
};

}  // namespace

Status import_local(OstreeRepo* repo, const PullOrder& order, const Import::Report& progress) {
  GErr err;
  const GRef<OstreeRepo> source = adopt(ostree_repo_open_at(AT_FDCWD, order.source.c_str(), nullptr, err));
  if (!source) return err.as(Code::unavailable, "there is no repository in " + order.source);
  return Import(repo, source.get(), order, progress).run();
}

}  // namespace hc
