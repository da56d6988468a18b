#pragma once

#include <string>
#include <vector>

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
  // Copies with the modes 0755 (directories, and files that their owner may run) and 0644, so that the umask of whoever
  // unpacked the tree does not show.
  static Result<TreeView> normalised(const fs::path& tree, const StopToken& stop);

  TreeView(TreeView&& other) noexcept = default;
  TreeView& operator=(TreeView&& other) = delete;
  TreeView(const TreeView&) = delete;
  TreeView& operator=(const TreeView&) = delete;
  ~TreeView();

  const fs::path& path() const { return path_; }

 private:
  TreeView(fs::path directory, UniqueFd lock)
      : directory_(std::move(directory)), path_(directory_ / "tree"), lock_(std::move(lock)) {}
  static Result<TreeView> make(const fs::path& tree);

  fs::path directory_;
  fs::path path_;
  UniqueFd lock_;  // on directory_
};

}  // namespace hc
