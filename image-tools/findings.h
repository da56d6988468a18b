#pragma once

#include <string>
#include <vector>

#include "engine/base/file.h"
#include "engine/base/json.h"

namespace hc {

// Something that a check has to say about a tree. An error keeps it from becoming a payload, a warning does not.
struct Finding {
  enum class Level { error, warning };
  Level level = Level::error;
  std::string where;  // a path in the tree, with ":line:column" where there is one
  std::string text;
};
using Findings = std::vector<Finding>;

std::size_t count_errors(const Findings& findings);
// "error: PATH: TEXT", one on a line; safe on a terminal.
std::string to_text(const Findings& findings);
Json to_json(const Findings& findings);
// Ok where there is no error, else Code::invalid with the first error and how many more there are.
Status as_status(const Findings& findings, const fs::path& tree);

// Names and kinds of everything in `tree` but for what stands below the directories `skipped` (relative paths): a name
// that is no valid UTF-8, and anything but files, directories and symlinks, is an error; so is a directory that cannot
// be read. A setuid or setgid file is a warning: who reviews a payload wants to know.
Findings check_entries(const fs::path& tree, const std::vector<std::string>& skipped);

}  // namespace hc
