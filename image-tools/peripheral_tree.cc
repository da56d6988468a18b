#include "image-tools/peripheral_tree.h"

#include <algorithm>
#include <array>

#include "engine/base/process.h"
#include "engine/base/text.h"
#include "image-tools/script_check.h"

namespace hc {
namespace {

using Level = Finding::Level;

constexpr const char* kMetadata = "metadata.json";
constexpr std::array kRequiredHooks = {"hc_state_check.sh", "hc_install_upgrade.sh", "hc_verify_upgrade.sh"};
constexpr const char* kRollbackHook = "hc_rollback_upgrade.sh";
constexpr std::uint64_t kMetadataLimit = 1 << 20;

void add(Findings&& more, Findings& findings) {
  for (Finding& finding : more) findings.push_back(std::move(finding));
}

void check_hook(const fs::path& tree, const std::string& name, bool required, Findings& findings) {
  std::error_code error;
  if (fs::exists(fs::symlink_status(tree / name, error))) {
    add(check_script(tree, name), findings);
  } else if (required) {
    findings.push_back({Level::error, name, "is missing: every peripheral payload has this hook"});
  }
}

// `hc_install_update.sh` and the like would never run, and nobody would see it.
void check_misnamed(const fs::path& tree, Findings& findings) {
  const auto names = list_dir(tree);
  if (!names) return;
  for (const std::string& name : *names) {
    const bool known =
        name == kRollbackHook || std::find(kRequiredHooks.begin(), kRequiredHooks.end(), name) != kRequiredHooks.end();
    if (!known && name.starts_with("hc_") && name.ends_with(".sh"))
      findings.push_back({Level::warning, name, "is called like a hook, but is none that the engine runs"});
  }
}

void check_metadata(const fs::path& tree, PeripheralTree& result) {
  std::error_code error;
  if (!fs::is_regular_file(fs::symlink_status(tree / kMetadata, error))) {
    result.findings.push_back({Level::error, kMetadata, "is missing: it says what the payload is for"});
    return;
  }
  const auto text = read_file(tree / kMetadata, kMetadataLimit);
  if (!text) {
    result.findings.push_back({Level::error, kMetadata, text.error().text()});
    return;
  }
  auto metadata = parse_metadata(*text);
  if (metadata) {
    result.metadata = std::move(metadata).value();
  } else {
    result.findings.push_back({Level::error, kMetadata, metadata.error().text()});
  }
}

// A payload is checked out somewhere else on each node: a link must stay inside to mean the same there.
void check_symlinks(const fs::path& tree, Findings& findings) {
  std::error_code error;
  fs::recursive_directory_iterator it(tree, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    if (!it->is_symlink()) continue;
    const fs::path place = it->path().lexically_relative(tree);
    const fs::path target = fs::read_symlink(it->path(), error);
    const fs::path meant = (place.parent_path() / target).lexically_normal();
    if (target.is_absolute() || *meant.begin() == "..")
      findings.push_back({Level::error, place.string(), "is a symlink that leaves the payload: " + target.string()});
  }
}

std::vector<std::string> shell_scripts(const fs::path& tree) {
  std::vector<std::string> scripts;
  std::error_code error;
  fs::recursive_directory_iterator it(tree, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error))
    if (!it->is_symlink() && it->is_regular_file() && is_shell_script(it->path()))
      scripts.push_back(it->path().lexically_relative(tree).string());
  std::sort(scripts.begin(), scripts.end());
  return scripts;
}

Finding finding_of(const Json& comment) {
  const std::string place = comment.value("file", "") + ":" + std::to_string(comment.value("line", 0)) + ":" +
                            std::to_string(comment.value("column", 0));
  return {comment.value("level", "") == "error" ? Level::error : Level::warning, place,
          comment.value("message", "") + " (SC" + std::to_string(comment.value("code", 0)) + ")"};
}

}  // namespace

PeripheralTree check_peripheral_tree(const fs::path& tree) {
  PeripheralTree result;
  check_metadata(tree, result);
  for (const char* hook : kRequiredHooks) check_hook(tree, hook, true, result.findings);
  check_hook(tree, kRollbackHook, false, result.findings);
  check_misnamed(tree, result.findings);
  check_symlinks(tree, result.findings);
  for (Finding& finding : check_entries(tree, {})) {
    if (finding.level == Level::warning)
      finding.text = "is setuid or setgid; a payload keeps that only where it is imported with --allow-setuid";
    result.findings.push_back(std::move(finding));
  }
  return result;
}

Findings check_optional_hooks(const fs::path& directory) {
  Findings findings;
  for (const char* hook : kRequiredHooks) check_hook(directory, hook, false, findings);
  check_hook(directory, kRollbackHook, false, findings);
  return findings;
}

Findings lint_scripts(const fs::path& tree, const StopToken& stop) {
  std::vector<std::string> command = {"shellcheck", "--external-sources", "--format=json", "--severity=warning", "--"};
  const std::vector<std::string> scripts = shell_scripts(tree);
  if (scripts.empty()) return {};
  command.insert(command.end(), scripts.begin(), scripts.end());
  CommandOptions options;
  options.directory = tree;
  options.output_limit = 16 << 20;
  const auto run = run_command(command, options, stop);
  if (!run)
    return {{Level::warning, "",
             "the scripts were not linted, " + run.error().text() + ": install the package shellcheck"}};
  const auto comments = parse_json(run->output);
  if (!comments || !comments->is_array())
    return {{Level::warning, "", "the scripts were not linted: shellcheck said " + quote(run->errors)}};
  Findings findings;
  for (const Json& comment : *comments) findings.push_back(finding_of(comment));
  return findings;
}

}  // namespace hc
