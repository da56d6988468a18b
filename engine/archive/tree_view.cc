#include "engine/archive/tree_view.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "engine/base/text.h"

namespace hc {
namespace {

Error failed(const char* what, const fs::path& path) {
  return Error::from_errno(errno, std::string(what) + " " + printable(path.string()));
}

// Owner first: chown() clears setuid bits and capabilities.
Status copy_attributes(const fs::path& from, const struct stat& info, const fs::path& to) {
  if (::geteuid() == 0 && ::lchown(to.c_str(), info.st_uid, info.st_gid) != 0)
    return failed("setting the owner of", to);
  if (::chmod(to.c_str(), info.st_mode & 07777) != 0) return failed("setting the mode of", to);
  const ssize_t size = ::llistxattr(from.c_str(), nullptr, 0);
  if (size <= 0) return ok;  // none, or a file system without them
  std::string names(static_cast<std::size_t>(size), '\0');
  if (::llistxattr(from.c_str(), names.data(), names.size()) != size) return failed("reading the attributes of", from);
  for (const std::string& name : split(names.substr(0, names.size() - 1), '\0')) {
    std::string value(64 << 10, '\0');
    const ssize_t length = ::lgetxattr(from.c_str(), name.c_str(), value.data(), value.size());
    if (length < 0) return failed("reading the attributes of", from);
    if (::lsetxattr(to.c_str(), name.c_str(), value.data(), static_cast<std::size_t>(length), 0) != 0)
      return failed("setting the attributes of", to);
  }
  return ok;
}

Status copy_link(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::copy_symlink(from, to, error);
  if (error) return Error::from_errno(error.value(), "copying the symlink " + printable(from.string()));
  return ok;
}

Status copy_content(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::copy_file(from, to, error);
  if (error) return Error::from_errno(error.value(), "copying " + printable(from.string()));
  return ok;
}

// How a tree is mirrored: what becomes of each file and each directory.
struct Mirror {
  using Step = Status (*)(const fs::path& from, const struct stat& info, const fs::path& to);
  Step file;
  Step directory;
  std::vector<fs::path> emptied;  // absolute
  const ProgressFn& progress;
  const StopToken& stop;
  bool backwards = false;
  std::uint64_t entries = 0;

  Status run(const fs::path& from, const fs::path& to) {
    struct stat info {};
    if (::lstat(from.c_str(), &info) != 0) return failed("reading", from);
    if (!S_ISDIR(info.st_mode)) return file(from, info, to);
    if (::mkdir(to.c_str(), 0700) != 0) return failed("making", to);
    if (std::find(emptied.begin(), emptied.end(), from) == emptied.end()) {
      std::vector<std::string> names = HC_TRY(list_dir(from));
      if (backwards) std::reverse(names.begin(), names.end());
      for (const std::string& name : names) {
        if (stop.requested()) return Error(Code::cancelled, "stopped before anything was committed");
        if (++entries % 256 == 0 && progress) progress({"reading", entries, 0, false});
        HC_TRY(run(from / name, to / name));
      }
    }
    return directory(from, info, to);
  }
};

Status copy_as_it_is(const fs::path& from, const struct stat& info, const fs::path& to) {
  if (S_ISLNK(info.st_mode)) {
    HC_TRY(copy_link(from, to));
    if (::geteuid() == 0 && ::lchown(to.c_str(), info.st_uid, info.st_gid) != 0)
      return failed("setting the owner of", to);
    return ok;
  }
  HC_TRY(copy_content(from, to));
  return copy_attributes(from, info, to);
}

Status link_file(const fs::path& from, const struct stat& info, const fs::path& to) {
  if (::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0) == 0) return ok;
  return copy_as_it_is(from, info, to);
}

Status copy_with_other_times(const fs::path& from, const struct stat& info, const fs::path& to) {
  HC_TRY(copy_as_it_is(from, info, to));
  if (S_ISLNK(info.st_mode)) return ok;
  constexpr time_t kOther = 1'000'000'007;
  const std::array<timespec, 2> times{timespec{kOther, 0}, timespec{kOther, 0}};
  if (::utimensat(AT_FDCWD, to.c_str(), times.data(), 0) != 0) return failed("setting the time of", to);
  return ok;
}

Status copy_normalised(const fs::path& from, const struct stat& info, const fs::path& to) {
  if (S_ISLNK(info.st_mode)) return copy_link(from, to);
  HC_TRY(copy_content(from, to));
  if (::chmod(to.c_str(), (info.st_mode & S_IXUSR) != 0 ? 0755 : 0644) != 0) return failed("setting the mode of", to);
  return ok;
}

Status copy_with_rights(const fs::path& from, const struct stat& info, const fs::path& to) {
  HC_TRY(copy_normalised(from, info, to));
  constexpr mode_t kSpecial = S_ISUID | S_ISGID;
  if (!S_ISREG(info.st_mode) || (info.st_mode & kSpecial) == 0) return ok;
  const mode_t mode = (info.st_mode & S_IXUSR) != 0 ? 0755 : 0644;
  if (::chmod(to.c_str(), mode | (info.st_mode & kSpecial)) != 0) return failed("setting the mode of", to);
  return ok;
}

Status open_directory(const fs::path& /*from*/, const struct stat& /*info*/, const fs::path& to) {
  if (::chmod(to.c_str(), 0755) != 0) return failed("setting the mode of", to);
  return ok;
}

}  // namespace

Result<TreeView> TreeView::linked(const fs::path& tree, const std::vector<std::string>& emptied,
                                  const ProgressFn& progress, const StopToken& stop) {
  TreeView view(HC_TRY(WorkPlace::beside(tree)));
  Mirror mirror{link_file, copy_attributes, {}, progress, stop};
  for (const std::string& name : emptied) mirror.emptied.push_back(tree / name);
  HC_TRY(mirror.run(tree, view.path()));
  return view;
}

Result<TreeView> TreeView::reversed(const fs::path& tree, const ProgressFn& progress, const StopToken& stop) {
  TreeView view(HC_TRY(WorkPlace::beside(tree)));
  Mirror mirror{copy_with_other_times, copy_attributes, {}, progress, stop, true};
  HC_TRY(mirror.run(tree, view.path()));
  return view;
}

Result<TreeView> TreeView::normalised(const fs::path& tree, Rights rights, const StopToken& stop) {
  TreeView view(HC_TRY(WorkPlace::beside(tree)));
  const ProgressFn silent;
  Mirror mirror{rights == Rights::kept ? copy_with_rights : copy_normalised, open_directory, {}, silent, stop};
  HC_TRY(mirror.run(tree, view.path()));
  return view;
}

}  // namespace hc
