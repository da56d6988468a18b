#include "image-tools/script_check.h"

#include <unistd.h>

#include <algorithm>

#include "engine/base/process.h"
#include "engine/base/text.h"

namespace hc {
namespace {

using Level = Finding::Level;

constexpr std::uint64_t kScriptLimit = 16 << 20;
constexpr std::string_view kElf = "\177ELF";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

bool on_this_machine(const std::string& program) {
  if (program.starts_with('/')) return ::access(program.c_str(), X_OK) == 0;
  const std::vector<std::string> places = split(kSystemPath, ':');
  return std::any_of(places.begin(), places.end(),
                     [&](const std::string& place) { return ::access((place + "/" + program).c_str(), X_OK) == 0; });
}

// `line` is the first one, with its `#!`.
void check_interpreter(const std::string& name, std::string_view line, Findings& findings) {
  std::vector<std::string> words = split(trimmed(line.substr(2)), ' ');
  std::erase(words, "");
  if (words.empty() || !words.front().starts_with('/')) {
    findings.push_back({Level::error, name + ":1", "names no interpreter by an absolute path after `#!`"});
    return;
  }
  std::string program = words.front();
  if (program.ends_with("/env") && words.size() > 1) program = words.back();
  if (!on_this_machine(program))
    findings.push_back({Level::warning, name + ":1",
                        "its interpreter " + quote(program) + " is not on this machine: is it on every node?"});
}

void check_line_ends(const std::string& name, std::string_view text, Findings& findings) {
  const std::size_t found = text.find("\r\n");
  if (found == std::string_view::npos) return;
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(found), '\n');
  const char* effect =
      line == 1 ? "so the node would not find its interpreter" : "which the shell takes for part of a word";
  findings.push_back(
      {Level::error, name + ":" + std::to_string(line), std::string("has Windows line ends, ") + effect});
}

}  // namespace

Findings check_script(const fs::path& tree, const std::string& name) {
  Findings findings;
  std::error_code error;
  const fs::file_status status = fs::symlink_status(tree / name, error);
  if (!fs::is_regular_file(status)) return {{Level::error, name, "is no regular file"}};
  if ((status.permissions() & fs::perms::owner_exec) == fs::perms::none)
    findings.push_back({Level::error, name, "is not executable: chmod 755 " + name});
  const auto content = read_file(tree / name, kScriptLimit);
  if (!content) {
    findings.push_back({Level::error, name, content.error().text()});
    return findings;
  }
  std::string_view text = *content;
  if (text.starts_with(kElf)) return findings;
  if (text.starts_with(kByteOrderMark)) {
    findings.push_back({Level::error, name + ":1", "begins with a byte-order mark, so the node could not run it"});
    text.remove_prefix(kByteOrderMark.size());
  }
  const std::string_view first = text.substr(0, text.find('\n'));
  if (!first.starts_with("#!")) {
    findings.push_back({Level::error, name + ":1", "begins with no `#!` line, so the node could not run it"});
    return findings;
  }
  check_interpreter(name, first, findings);
  if (is_shell_script(tree / name)) check_line_ends(name, text, findings);
  return findings;
}

bool is_shell_script(const fs::path& file) {
  const auto content = read_file(file, kScriptLimit);
  if (!content) return false;
  std::string_view text = *content;
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const std::string_view first = trimmed(text.substr(0, text.find('\n')));
  if (!first.starts_with("#!")) return file.extension() == ".sh" && !text.starts_with(kElf);
  return first.ends_with("sh") || first.find("sh ") != std::string_view::npos;
}

}  // namespace hc
