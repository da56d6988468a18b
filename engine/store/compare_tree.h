#pragma once

#include <functional>
#include <string>

#include "engine/base/file.h"
#include "engine/base/progress.h"
#include "engine/base/stop.h"
#include "engine/store/repository.h"

namespace hc {

// Compares what is on the disk below `root` with the tree of `commit`: each file's bytes, owner, mode, extended
// attributes and link target, each directory's owner and mode. What the commit does not name is no difference, nor are
// paths for which `ignored` answers true. Fails with Code::io and the first five paths that differ.
Status compare_tree(const Repository& repository, const Commit& commit, const fs::path& root,
                    const std::function<bool(const std::string& path)>& ignored, const ProgressFn& progress,
                    const StopToken& stop);

}  // namespace hc
