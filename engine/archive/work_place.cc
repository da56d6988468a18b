#include "engine/archive/work_place.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "engine/base/text.h"

namespace hc {
namespace {

Error failed(const char* what, const fs::path& path) {
  return Error::from_errno(errno, std::string(what) + " " + printable(path.string()));
}

Result<fs::path> make_directory(const fs::path& path) {
  const fs::path parent = path.parent_path();
  if (::access(parent.c_str(), W_OK) != 0) {
    std::string pattern = fs::temp_directory_path() / "hc-payload-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) return failed("making", pattern);
    return fs::path(pattern);
  }
  const fs::path directory = parent / ("." + path.filename().string() + ".hc-payload");
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return failed("making", directory);
  return directory;
}

}  // namespace

Result<WorkPlace> WorkPlace::beside(const fs::path& path) {
  fs::path place = fs::absolute(path).lexically_normal();
  if (!place.has_filename()) place = place.parent_path();
  const fs::path directory = HC_TRY(make_directory(place));
  UniqueFd lock(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!lock) return failed("opening", directory);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
    return Error(Code::busy, "another hc-payload is at work on " + path.string())
        .with_hint("try again when it has ended");
  for (const std::string& name : HC_TRY(list_dir(directory))) HC_TRY(remove_tree(directory / name));
  return WorkPlace(directory, std::move(lock));
}

WorkPlace::~WorkPlace() {
  if (lock_) static_cast<void>(remove_tree(path_));
}

}  // namespace hc
