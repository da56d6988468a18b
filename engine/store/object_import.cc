#include "engine/store/object_import.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/text.h"
#include "engine/store/ostree.h"
#include "engine/store/partial_mark.h"

namespace hc {
namespace {

constexpr const char* kXattrsType = "a(ayay)";

Error forged(const std::string& checksum) {
  return {Code::untrusted, "object " + checksum + " is not what its name says"};
}

Result<Variant> xattrs_of(const FileAttributes& attributes) {
  if (attributes.xattrs.empty()) return Variant();
  Variant xattrs = variant_of(attributes.xattrs, kXattrsType);
  if (!g_variant_is_normal_form(xattrs.get())) return Error(Code::invalid, "the attributes of a file are malformed");
  return xattrs;
}

Error write_failed(const GErr& err, const std::string& checksum) {
  if (err.text().find("checksum") != std::string_view::npos) return forged(checksum);
  return failed(err, "writing object " + checksum);
}

class StoredFile final : public BaseFile {
 public:
  StoredFile(UniqueFd fd, std::uint64_t size) : fd_(std::move(fd)), size_(size) {}
  std::uint64_t size() const override { return size_; }
  Status read(std::uint64_t offset, char* to, std::size_t size) override {
    while (size > 0) {
      const ssize_t got = ::pread(fd_.get(), to, size, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Error::from_errno(errno, "reading an old file");
      if (got == 0) return Error(Code::io, "an old file is shorter than it was");
      to += got;
      offset += static_cast<std::uint64_t>(got);
      size -= static_cast<std::size_t>(got);
    }
    return ok;
  }

 private:
  UniqueFd fd_;
  std::uint64_t size_;
};

}  // namespace

struct ObjectImport::Write {
  RepoWrite write;
};

ObjectImport::ObjectImport(Repository& repository, const VerifiedPayload& payload, std::optional<std::uint64_t> most)
    : repository_(repository), payload_(payload), most_(most) {}
ObjectImport::~ObjectImport() = default;

Result<std::unique_ptr<ObjectImport>> ObjectImport::begin(Repository& repository, const VerifiedPayload& payload,
                                                          std::optional<std::uint64_t> most) {
  HC_TRY(mark_partial(repository.raw(), payload.commit(), true));
  std::unique_ptr<ObjectImport> import(new ObjectImport(repository, payload, most));
  HC_TRY(import->open());
  return import;
}

Status ObjectImport::open() {
  RepoWrite write = HC_TRY(RepoWrite::begin(repository_.raw(), nullptr));
  write_ = std::make_unique<Write>(Write{std::move(write)});
  return ok;
}

Status ObjectImport::allow(std::uint64_t size) {
  if (!most_) return ok;
  if (size > *most_) return Error(Code::untrusted, "more content comes than the signed commit says");
  *most_ -= size;
  return ok;
}

Result<bool> ObjectImport::has_file(const std::string& checksum) {
  gboolean found = FALSE;
  GErr err;
  if (!ostree_repo_has_object(repository_.raw(), OSTREE_OBJECT_TYPE_FILE, checksum.c_str(), &found, nullptr, err))
    return failed(err, "looking for object " + checksum);
  return found != FALSE;
}

Result<std::unique_ptr<BaseFile>> ObjectImport::base(const std::string& checksum) {
  const std::string path = "objects/" + checksum.substr(0, 2) + "/" + checksum.substr(2) + ".file";
  UniqueFd fd(::openat(ostree_repo_get_dfd(repository_.raw()), path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info {};
  if (!fd && errno == ENOENT) return Error(Code::invalid, "it needs the old file " + checksum + ", which is not here");
  if (!fd || ::fstat(fd.get(), &info) != 0) return Error::from_errno(errno, "opening the old file " + checksum);
  if (!S_ISREG(info.st_mode)) return Error(Code::invalid, "it takes " + checksum + " for a regular file");
  return std::unique_ptr<BaseFile>(
      std::make_unique<StoredFile>(std::move(fd), static_cast<std::uint64_t>(info.st_size)));
}

Status ObjectImport::put_metadata(ObjectKind kind, const std::string& checksum, std::string_view bytes) {
  if (checksum_of(bytes) != checksum) return forged(checksum);
  HC_TRY(allow(bytes.size()));
  const bool directory = kind == ObjectKind::directory;
  const auto type = directory ? OSTREE_OBJECT_TYPE_DIR_TREE : OSTREE_OBJECT_TYPE_DIR_META;
  const Variant object = variant_of(bytes, directory ? "(a(say)a(sayay))" : "(uuua(ayay))");
  GErr err;
  if (!ostree_repo_write_metadata(repository_.raw(), type, checksum.c_str(), object.get(), nullptr, nullptr, err))
    return failed(err, "writing object " + checksum);
  return ok;
}

Status ObjectImport::put_link(const std::string& checksum, const FileAttributes& attributes,
                              const std::string& target) {
  HC_TRY(allow(target.size()));
  if (target.find('\0') != std::string::npos) return Error(Code::invalid, "a symlink in it is malformed");
  const Variant xattrs = HC_TRY(xattrs_of(attributes));
  GErr err;
  // Not told what to expect, libostree says what it is.
  const GText actual(ostree_repo_write_symlink(repository_.raw(), nullptr, attributes.uid, attributes.gid, xattrs.get(),
                                               target.c_str(), nullptr, err));
  if (!actual) return failed(err, "writing object " + checksum);
  return actual.get() == checksum ? Status(ok) : Status(forged(checksum));
}

Status ObjectImport::begin_file(const std::string& checksum, const FileAttributes& attributes, std::uint64_t size) {
  HC_TRY(allow(size));
  if (!S_ISREG(attributes.mode)) return Error(Code::invalid, "a file in it is no regular file");
  const Variant xattrs = HC_TRY(xattrs_of(attributes));
  GErr err;
  content_ = adopt(ostree_repo_write_regfile(repository_.raw(), checksum.c_str(), attributes.uid, attributes.gid,
                                             attributes.mode, size, xattrs.get(), err));
  if (!content_) return failed(err, "writing object " + checksum);
  file_ = checksum;
  return ok;
}

Status ObjectImport::write(std::string_view piece) {
  gsize written = 0;
  GErr err;
  if (!g_output_stream_write_all(G_OUTPUT_STREAM(content_.get()), piece.data(), piece.size(), &written, nullptr, err))
    return write_failed(err, file_);
  return ok;
}

Status ObjectImport::end_file() {
  GErr err;
  const GText actual(ostree_content_writer_finish(content_.get(), nullptr, err));
  content_ = GRef<OstreeContentWriter>();
  if (!actual) return write_failed(err, file_);
  return actual.get() == file_ ? Status(ok) : Status(forged(file_));
}

Status ObjectImport::keep() {
  content_ = GRef<OstreeContentWriter>();
  HC_TRY(write_->write.commit(nullptr));
  return open();
}

Result<bool> ObjectImport::end() {
  content_ = GRef<OstreeContentWriter>();
  HC_TRY(write_->write.commit(nullptr));
  // The mark goes only when all is there.
  HC_TRY(mark_partial(repository_.raw(), payload_.commit(), false));
  const bool complete = HC_TRY(repository_.is_complete(payload_.commit()));
  if (!complete) HC_TRY(mark_partial(repository_.raw(), payload_.commit(), true));
  return complete;
}

}  // namespace hc
