#pragma once

#include <optional>

#include "engine/base/stop.h"
#include "engine/payload/metadata.h"
#include "image-tools/findings.h"

namespace hc {

struct PeripheralTree {
  std::optional<PeripheralMetadata> metadata;  // where metadata.json is right
  Findings findings;
};

// The rules for the tree of a peripheral payload: metadata.json, the three hooks (and the optional fourth) as programs
// that can be run, no symlink that leaves the tree.
PeripheralTree check_peripheral_tree(const fs::path& tree);

// The same for the hooks of an OS in `directory`, where all four are optional.
Findings check_optional_hooks(const fs::path& directory);

// What shellcheck says about the hooks and other shell scripts in `tree`; its own errors are errors, all else are
// warnings. One warning where it is not installed.
Findings lint_scripts(const fs::path& tree, const StopToken& stop);

}  // namespace hc
