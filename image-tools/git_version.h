#pragma once

#include <cstdint>
#include <string>

#include "engine/base/file.h"
#include "engine/base/ids.h"

namespace hc {

// What a git checkout says about the release that is built from it.
struct GitVersion {
  Version version;             // v1.2.3 is 1.2.3; the fifth commit after it is 1.2.4-dev.5.gCOMMIT
  std::uint64_t sequence = 0;  // how many commits there are behind it: a number that only grows along a branch
  std::int64_t committed_at = 0;
  std::string commit;
  std::string url;  // of the remote `origin`, without credentials; else a file URL
};

// Asks git about the checkout that `directory` lies in. Refuses what would not say the same everywhere: changes that
// are not committed, a shallow clone, no tag vMAJOR.MINOR.PATCH in the history.
Result<GitVersion> git_version(const fs::path& directory);

}  // namespace hc
