#include "engine/archive/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <glib.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <map>

#include "engine/archive/archive_gunzip.h"
#include "engine/archive/archive_io.h"
#include "engine/base/file.h"
#include "engine/base/handle.h"
#include "engine/base/text.h"

namespace hc {
namespace {

using Reader = Handle<archive, archive_read_free>;

constexpr std::uint64_t kBlock = 512;             // of a tar
constexpr std::uint64_t kEndMark = 2 * kBlock;    // zeros
constexpr std::size_t kLongestTarget = 1023;      // of a symlink
constexpr std::size_t kMostNameBytes = 16 << 20;  // of all members together

// Names are bytes that have to be UTF-8, whatever the locale of whoever imports.
class Utf8Locale {
 public:
  Utf8Locale() : own_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)), before_(uselocale(own_)) {}
  ~Utf8Locale() {
    uselocale(before_);
    if (own_ != nullptr) freelocale(own_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t own_;
  locale_t before_;
};

class Unpacker {
 public:
  Unpacker(int tar, std::uint64_t size, int tree, const ArchiveLimits& limits)
      : tar_(tar), size_(size), tree_(tree), limits_(limits) {}

  Result<ArchiveContents> run();

 private:
  enum class Kind { implied, directory, file, link };

  Status open();
  Status unpack(archive_entry* entry);
  Status check_extras(archive_entry* entry, const std::string& path) const;
  Status claim(const std::string& path, Kind kind);
  Result<UniqueFd> parent_of(const std::string& path);
  Status make_directory(const std::string& path);
  Status make_file(archive_entry* entry, const std::string& path);
  Status copy_data(const std::string& path, std::uint64_t size, int out);
  Status make_symlink(const char* target, const std::string& path);
  Status make_hard_link(archive_entry* entry, const std::string& path);
  Status count(std::uint64_t bytes, const std::string& path);
  Status check_rest() const;
  Error broken(const std::string& path) const;
  static Error refuse(const std::string& path, const std::string& why) {
    return {Code::invalid, "member " + quote(path) + " " + why};
  }
  Error failed(const char* what, const std::string& path) const {
    return Error::from_errno(errno, std::string(what) + " " + quote(path));
  }
  std::uint64_t position() const { return static_cast<std::uint64_t>(archive_filter_bytes(reader_.get(), -1)); }

  const int tar_;
  const std::uint64_t size_;
  const int tree_;
  const ArchiveLimits& limits_;
  Reader reader_;
  std::map<std::string, Kind> seen_;
  std::size_t name_bytes_ = 0;
  std::uint64_t end_ = 0;  // of the last member
  ArchiveContents contents_;
};

Result<ArchiveContents> Unpacker::run() {
  if (size_ < kBlock || size_ % kBlock != 0) return archive_cut(size_, "ends too early: it was cut off, or is no tar");
  HC_TRY(open());
  const Utf8Locale utf8;
  for (;;) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(reader_.get(), &entry);
    if (status == ARCHIVE_EOF) break;
    if (status != ARCHIVE_OK) {
      const char* name = status == ARCHIVE_WARN ? archive_entry_pathname(entry) : nullptr;
      return broken(name == nullptr ? "" : name);
    }
    HC_TRY(unpack(entry));
  }
  HC_TRY(check_rest());
  return contents_;
}

Status Unpacker::open() {
  reader_.reset(archive_read_new());
  if (!reader_ || archive_read_support_format_tar(reader_.get()) != ARCHIVE_OK || ::lseek(tar_, 0, SEEK_SET) != 0)
    return Error(Code::internal, "libarchive cannot read tar here");
  if (archive_read_open_fd(reader_.get(), tar_, 64 << 10) != ARCHIVE_OK) return broken("");
  return ok;
}

Error Unpacker::broken(const std::string& path) const {
  const char* reason = archive_error_string(reader_.get());
  const std::string text = reason == nullptr ? "libarchive gives no reason" : printable(reason);
  const bool cut = text.find("runcated") != std::string::npos;
  Error error = cut ? archive_cut(position()) : archive_error(position(), "is damaged or no tar: " + text);
  return path.empty() ? std::move(error) : std::move(error).in("member " + quote(path));
}

Status Unpacker::unpack(archive_entry* entry) {
  const char* name = archive_entry_pathname(entry);
  const std::string path = HC_TRY(member_path(name == nullptr ? "" : name));
  HC_TRY(check_extras(entry, path));
  const char* hard_link = archive_entry_hardlink(entry);
  const auto type = archive_entry_filetype(entry);
  if (path.empty() && (type != AE_IFDIR || hard_link != nullptr)) return refuse(".", "is no directory");
  if (hard_link != nullptr) {
    HC_TRY(make_hard_link(entry, path));
  } else if (type == AE_IFREG) {
    HC_TRY(make_file(entry, path));
  } else if (type == AE_IFLNK) {
    HC_TRY(make_symlink(archive_entry_symlink(entry), path));
  } else if (type == AE_IFDIR) {
    HC_TRY(make_directory(path));
  } else {
    const char* kind = type == AE_IFCHR || type == AE_IFBLK ? "a device" : type == AE_IFIFO ? "a pipe" : "a socket";
    return refuse(path, std::string("is ") + kind + ": only files, directories and links can be in a payload");
  }
  // Also reads over what a member has behind its header and nobody wants.
  const void* block = nullptr;
  std::size_t length = 0;
  la_int64_t offset = 0;
  if (type != AE_IFREG || hard_link != nullptr) {
    if (archive_read_data_block(reader_.get(), &block, &length, &offset) != ARCHIVE_EOF)
      return refuse(path, "carries data, which only a file can");
  }
  end_ = (position() + kBlock - 1) / kBlock * kBlock;
  return ok;
}

// What a payload cannot keep would be lost without a word.
Status Unpacker::check_extras(archive_entry* entry, const std::string& path) const {
  if (archive_entry_xattr_count(entry) > 0)
    return refuse(path, "carries extended attributes (capabilities?), which a peripheral's payload does not keep")
        .with_hint("make the archive with tar --no-xattrs --no-selinux");
  if (archive_entry_acl_types(entry) != 0)
    return refuse(path, "carries an access list, which a payload does not keep")
        .with_hint("make the archive with tar --no-acls");
  if (archive_entry_sparse_reset(entry) > 0) return refuse(path, "is a sparse file; only whole ones can be checked");
  if (!limits_.allow_setuid && (archive_entry_perm(entry) & 06000) != 0 && archive_entry_filetype(entry) == AE_IFREG)
    return refuse(path, "runs with the rights of its owner (setuid or setgid)")
        .with_hint("if that is meant, say so with --allow-setuid");
  return ok;
}

// Makes `path` known. Fails where it is known already, or lies below something that is no directory.
Status Unpacker::claim(const std::string& path, Kind kind) {
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string above = path.substr(0, slash);
    const auto [it, is_new] = seen_.emplace(above, Kind::implied);
    if (it->second == Kind::file || it->second == Kind::link)
      return refuse(path, "lies below " + quote(above) + ", which is no directory");
    if (!is_new) continue;
    name_bytes_ += above.size();
    const UniqueFd parent = HC_TRY(parent_of(above));
    if (::mkdirat(parent.get(), above.substr(above.rfind('/') + 1).c_str(), 0755) != 0) return failed("making", above);
  }
  const auto [it, is_new] = seen_.emplace(path, kind);
  if (!is_new && (kind != Kind::directory || it->second != Kind::implied))
    return refuse(path, "comes twice: which one is meant cannot be told");
  it->second = kind;
  name_bytes_ += path.size();
  ++contents_.members;
  if (seen_.size() > limits_.members || name_bytes_ > kMostNameBytes)
    return Error(Code::invalid,
                 "the archive has more members than the " + std::to_string(limits_.members) + " allowed");
  return ok;
}

Result<UniqueFd> Unpacker::parent_of(const std::string& path) {
  UniqueFd directory(::fcntl(tree_, F_DUPFD_CLOEXEC, 0));
  std::size_t begin = 0;
  for (std::size_t slash = path.find('/'); directory && slash != std::string::npos; slash = path.find('/', begin)) {
    const std::string part = path.substr(begin, slash - begin);
    directory = UniqueFd(::openat(directory.get(), part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    begin = slash + 1;
  }
  if (!directory) return failed("opening the directory of", path);
  return directory;
}

Status Unpacker::make_directory(const std::string& path) {
  if (path.empty()) return ok;
  const bool implied = seen_.contains(path);
  HC_TRY(claim(path, Kind::directory));
  const UniqueFd parent = HC_TRY(parent_of(path));
  if (!implied && ::mkdirat(parent.get(), path.substr(path.rfind('/') + 1).c_str(), 0755) != 0)
    return failed("making", path);
  return ok;
}

Status Unpacker::count(std::uint64_t bytes, const std::string& path) {
  if (bytes > limits_.bytes - contents_.bytes)
    return refuse(path, "makes the archive unpack to more than the " + human_bytes(limits_.bytes) + " allowed");
  contents_.bytes += bytes;
  return ok;
}

mode_t mode_of(archive_entry* entry) {
  const mode_t mode = archive_entry_perm(entry);
  return ((mode & 0100) != 0 ? 0755 : 0644) | (mode & 06000);
}

Status Unpacker::make_file(archive_entry* entry, const std::string& path) {
  if (archive_entry_size(entry) < 0) return refuse(path, "has a size below nothing");
  const auto size = static_cast<std::uint64_t>(archive_entry_size(entry));
  HC_TRY(count(size, path));
  HC_TRY(claim(path, Kind::file));
  const UniqueFd parent = HC_TRY(parent_of(path));
  const UniqueFd out(::openat(parent.get(), path.substr(path.rfind('/') + 1).c_str(),
                              O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!out) return failed("making", path);
  HC_TRY(copy_data(path, size, out.get()));
  const time_t time = std::max<time_t>(archive_entry_mtime(entry), 0);
  const std::array<timespec, 2> times = {timespec{time, 0}, timespec{time, 0}};
  if (::fchmod(out.get(), mode_of(entry)) != 0 || ::futimens(out.get(), times.data()) != 0)
    return failed("setting mode and time of", path);
  return ok;
}

Status Unpacker::copy_data(const std::string& path, std::uint64_t size, int out) {
  std::uint64_t done = 0;
  for (;;) {
    const void* block = nullptr;
    std::size_t length = 0;
    la_int64_t offset = 0;
    const int status = archive_read_data_block(reader_.get(), &block, &length, &offset);
    if (status == ARCHIVE_EOF) break;
    if (status != ARCHIVE_OK) return broken(path);
    if (offset < 0 || static_cast<std::uint64_t>(offset) != done || length > size - done)
      return refuse(path, "holds other data than its header says");
    HC_TRY(write_content(out, {static_cast<const char*>(block), length}));
    done += length;
  }
  if (done != size) return refuse(path, "holds less data than its header says: the archive was cut off");
  return ok;
}

Status Unpacker::make_symlink(const char* target, const std::string& path) {
  const std::string_view text = target == nullptr ? "" : target;
  const bool valid = g_utf8_validate(text.data(), static_cast<gssize>(text.size()), nullptr) != 0;
  if (text.empty() || text.size() > kLongestTarget || !valid)
    return refuse(path, "is a link to " + quote(text) + ", which can be no file's name");
  const fs::path meant = (fs::path(path).parent_path() / text).lexically_normal();
  if (text.starts_with('/') || *meant.begin() == "..")
    return refuse(path, "is a link that leaves the payload: it points to " + quote(text));
  HC_TRY(claim(path, Kind::link));
  const UniqueFd parent = HC_TRY(parent_of(path));
  if (::symlinkat(std::string(text).c_str(), parent.get(), path.substr(path.rfind('/') + 1).c_str()) != 0)
    return failed("making", path);
  return ok;
}

// A payload knows no hard links: a second name becomes a file of its own, with the same content.
Status Unpacker::make_hard_link(archive_entry* entry, const std::string& path) {
  const char* raw = archive_entry_hardlink(entry);
  const auto source = member_path(raw == nullptr ? "" : raw);
  if (!source) return refuse(path, "is a hard link that leaves the payload: " + source.error().text());
  const auto found = seen_.find(*source);
  if (found == seen_.end() || found->second != Kind::file)
    return refuse(path, "is a hard link to " + quote(*source) + ", which is no file that came before it");
  HC_TRY(claim(path, Kind::file));
  const UniqueFd from_parent = HC_TRY(parent_of(*source));
  const UniqueFd in(
      ::openat(from_parent.get(), source->substr(source->rfind('/') + 1).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info {};
  if (!in || ::fstat(in.get(), &info) != 0) return failed("opening", *source);
  HC_TRY(count(static_cast<std::uint64_t>(info.st_size), path));
  const UniqueFd parent = HC_TRY(parent_of(path));
  const UniqueFd out(::openat(parent.get(), path.substr(path.rfind('/') + 1).c_str(),
                              O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!out) return failed("making", path);
  std::array<char, 64 << 10> buffer{};
  for (ssize_t got = 1; got > 0;) {
    got = ::read(in.get(), buffer.data(), buffer.size());
    if (got < 0) return failed("reading", *source);
    HC_TRY(write_content(out.get(), {buffer.data(), static_cast<std::size_t>(got)}));
  }
  const std::array<timespec, 2> times = {info.st_mtim, info.st_mtim};
  if (::fchmod(out.get(), info.st_mode & 07777) != 0 || ::futimens(out.get(), times.data()) != 0)
    return failed("setting mode and time of", path);
  return ok;
}

// Behind the last member a tar ends with two blocks of zeros, and maybe more of them. Where they are missing, members
// may be missing before them.
Status Unpacker::check_rest() const {
  if (end_ + kEndMark > size_) return archive_cut(size_, "ends too early: it was cut off behind a member");
  std::array<char, 64 << 10> buffer{};
  for (std::uint64_t offset = end_; offset < size_;) {
    const ssize_t got = ::pread(tar_, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (got <= 0) return Error::from_errno(errno, "reading the unpacked archive");
    const auto* end = buffer.data() + got;
    const auto* rubbish = std::find_if(static_cast<const char*>(buffer.data()), end, [](char c) { return c != '\0'; });
    if (rubbish != end)
      return archive_error(offset + static_cast<std::uint64_t>(rubbish - buffer.data()), "goes on after its end");
    offset += static_cast<std::uint64_t>(got);
  }
  return ok;
}

// The tar itself: `file`, or what it unpacks to in a file without a name.
Result<UniqueFd> plain_tar(int file, int tree, const ArchiveLimits& limits) {
  if (!HC_TRY(is_gzip(file))) return UniqueFd(::fcntl(file, F_DUPFD_CLOEXEC, 0));
  constexpr const char* kName = ".honeycomb-archive";
  UniqueFd tar(::openat(tree, kName, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!tar || ::unlinkat(tree, kName, 0) != 0)
    return Error::from_errno(errno, "making a file for the unpacked archive");
  // Headers and padding come to what the members hold.
  const std::uint64_t limit = limits.bytes + limits.members * 4 * kBlock + (1 << 20);
  HC_TRY(gunzip(file, tar.get(), limit));
  return tar;
}

}  // namespace

Result<ArchiveContents> unpack_archive(int file, int tree, const ArchiveLimits& limits) {
  const UniqueFd tar = HC_TRY(plain_tar(file, tree, limits));
  struct stat info {};
  if (::fstat(tar.get(), &info) != 0) return Error::from_errno(errno, "looking at the archive");
  return Unpacker(tar.get(), static_cast<std::uint64_t>(info.st_size), tree, limits).run();
}

}  // namespace hc
