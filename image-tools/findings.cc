#include "image-tools/findings.h"

#include <glib.h>

#include <algorithm>

#include "engine/base/text.h"

namespace hc {
namespace {

const char* word(Finding::Level level) { return level == Finding::Level::error ? "error" : "warning"; }

// A name may hold line ends; what is said about it is one line all the same.
std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : printable(text)) line += c == '\n' ? std::string("\\x0a") : std::string(1, c);
  return line;
}

// One entry of the tree, `path` relative to its root.
void check_entry(const fs::directory_entry& entry, const std::string& path, Findings& findings) {
  using Level = Finding::Level;
  std::error_code error;
  const fs::file_status status = entry.symlink_status(error);
  if (error) {
    findings.push_back({Level::error, path, "cannot be looked at: " + error.message()});
    return;
  }
  const std::string name = entry.path().filename().string();
  if (g_utf8_validate(name.data(), static_cast<gssize>(name.size()), nullptr) == 0)
    findings.push_back({Level::error, path, "its name is no valid UTF-8, so not every machine could store it"});
  if (!fs::is_regular_file(status) && !fs::is_directory(status) && !fs::is_symlink(status))
    findings.push_back({Level::error, path, "is neither file, directory nor symlink; only these can be in a payload"});
  constexpr fs::perms kSpecial = fs::perms::set_uid | fs::perms::set_gid;
  if (fs::is_regular_file(status) && (status.permissions() & kSpecial) != fs::perms::none)
    findings.push_back({Level::warning, path, "runs with the rights of its owner (setuid or setgid)"});
}

}  // namespace

std::size_t count_errors(const Findings& findings) {
  return static_cast<std::size_t>(std::count_if(
      findings.begin(), findings.end(), [](const Finding& finding) { return finding.level == Finding::Level::error; }));
}

std::string to_text(const Findings& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    const std::string where = finding.where.empty() ? "" : one_line(finding.where) + ": ";
    text += std::string(word(finding.level)) + ": " + where + one_line(finding.text) + "\n";
  }
  return text;
}

Json to_json(const Findings& findings) {
  Json list = Json::array();
  for (const Finding& finding : findings)
    list.push_back(
        {{"level", word(finding.level)}, {"where", one_line(finding.where)}, {"text", one_line(finding.text)}});
  return list;
}

Status as_status(const Findings& findings, const fs::path& tree) {
  const std::size_t errors = count_errors(findings);
  if (errors == 0) return ok;
  const auto first = std::find_if(findings.begin(), findings.end(),
                                  [](const Finding& finding) { return finding.level == Finding::Level::error; });
  std::string text =
      first->where.empty() ? one_line(first->text) : one_line(first->where) + ": " + one_line(first->text);
  if (errors > 1) text += "; and " + std::to_string(errors - 1) + " more";
  return Error(Code::invalid, tree.string() + " cannot become a payload: " + text)
      .with_hint("`hc-payload check " + tree.string() + "` lists everything that is wrong");
}

Findings check_entries(const fs::path& tree, const std::vector<std::string>& skipped) {
  Findings findings;
  std::error_code error;
  fs::recursive_directory_iterator it(tree, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    const std::string path = it->path().lexically_relative(tree).string();
    check_entry(*it, path, findings);
    if (std::find(skipped.begin(), skipped.end(), path) != skipped.end()) it.disable_recursion_pending();
  }
  if (error) findings.push_back({Finding::Level::error, "", "reading the tree: " + error.message()});
  return findings;
}

}  // namespace hc
