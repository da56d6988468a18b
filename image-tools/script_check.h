#pragma once

#include "image-tools/findings.h"

namespace hc {

// Whether the script or program `name` in `tree` could be run on a node: executable, a `#!` line with an absolute
// interpreter, no byte-order mark, no Windows line ends. A warning where its interpreter is not on this machine.
Findings check_script(const fs::path& tree, const std::string& name);

// True for what a shell reads: by its `#!` line, else by its name (*.sh).
bool is_shell_script(const fs::path& file);

}  // namespace hc
