#pragma once

#include <string>
#include <vector>

#include "engine/archive/work_place.h"
#include "engine/base/file.h"
#include "engine/base/progress.h"
#include "engine/base/stop.h"

namespace hc {

// A second look of a tree that may be changed without changing the tree: directories of its own, files that are hard
// links where that is possible. Gone at the end; what a killed run left behind goes with the next one.
class TreeView {
 public:
  // With owners, modes and extended attributes as they are. The directories `emptied` (relative paths) get no content.
  // Fails with Code::busy while another program has a view of the same tree.
  static Result<TreeView> linked(const fs::path& tree, const std::vector<std::string>& emptied,
                                 const ProgressFn& progress, const StopToken& stop);
  // A copy with the same owners, modes and extended attributes, made in the opposite order and with other times:
  // whoever looks at what must not matter gets another answer.
  static Result<TreeView> reversed(const fs::path& tree, const ProgressFn& progress, const StopToken& stop);
  enum class Rights { dropped, kept };
  // Copies with the modes 0755 (directories, and files that their owner may run) and 0644, so that the umask of whoever
  // unpacked the tree does not show; the bits setuid and setgid of files as `rights` says.
  static Result<TreeView> normalised(const fs::path& tree, Rights rights, const StopToken& stop);

  const fs::path& path() const { return path_; }

 private:
  explicit TreeView(WorkPlace place) : place_(std::move(place)), path_(place_.path() / "tree") {}

  WorkPlace place_;
  fs::path path_;
};

}  // namespace hc
