// LIBS hc_archive
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "engine/archive/archive.h"
#include "engine/base/file.h"

namespace {

struct Folder {
  Folder() {
    std::string pattern = hc::fs::temp_directory_path() / "hc-archive-fuzz-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    path = pattern;
  }
  ~Folder() { static_cast<void>(hc::remove_tree(path)); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  hc::fs::path path;
};

// What may lie in an unpacked tree: nothing else, and never more than was allowed.
void check_tree(const hc::fs::path& tree, const hc::ArchiveLimits& limits) {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  for (const auto& entry : hc::fs::recursive_directory_iterator(tree)) {
    ++entries;
    const hc::fs::path place = entry.path().lexically_relative(tree);
    if (entry.is_symlink()) {
      const hc::fs::path target = hc::fs::read_symlink(entry.path());
      const hc::fs::path meant = (place.parent_path() / target).lexically_normal();
      if (target.is_absolute() || *meant.begin() == "..") std::abort();
    } else if (entry.is_regular_file()) {
      bytes += entry.file_size();
    } else if (!entry.is_directory()) {
      std::abort();
    }
  }
  if (entries > limits.members || bytes > limits.bytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Folder folder_of_this_process;
  const hc::fs::path& folder = folder_of_this_process.path;
  hc::ArchiveLimits limits;
  limits.bytes = 1 << 20;
  limits.members = 200;
  const hc::UniqueFd file(::memfd_create("archive", MFD_CLOEXEC));
  if (!file || ::write(file.get(), data, size) != static_cast<ssize_t>(size) || ::lseek(file.get(), 0, SEEK_SET) != 0)
    std::abort();
  const hc::fs::path tree = folder / "tree";
  if (!hc::make_dirs(tree)) std::abort();
  const hc::UniqueFd directory(::open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto contents = hc::unpack_archive(file.get(), directory.get(), limits);
  if (contents) check_tree(tree, limits);
  // Nothing beside the tree, whatever became of the archive.
  if (hc::list_dir(folder).value().size() != 1 || !hc::remove_tree(tree)) std::abort();
  return 0;
}
