#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace hc {

// Adds the hidden options `--man` (a manual page of that section) and `--completion bash|zsh|fish` to a program: what
// its packages ship is made from the same description that parses the command line, so it cannot fall behind. REQUIRES:
// called when all verbs and options are there.
void add_descriptions(CLI::App& app, const std::string& section);

}  // namespace hc
