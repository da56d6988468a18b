#include <algorithm>
#include <set>

#include "engine/base/text.h"
#include "engine/store/kernel_arguments.h"
#include "image-tools/packages.h"
#include "image-tools/payload_shipping.h"
#include "image-tools/release.h"

namespace hc {
namespace {

constexpr std::uint64_t kMostStatus = 64 << 20;
constexpr const char* kArguments = "usr/lib/honeycomb/kargs.d/";

struct End {
  Commit commit;
  Manifest manifest;
};

Result<End> end_of(const Repository& repository, const std::string& what) {
  Commit commit = HC_TRY(resolve(repository, what));
  const CommitObject object = HC_TRY(repository.commit_object(commit));
  Manifest manifest = HC_TRY(read_manifest(object.bytes).in("commit " + commit.brief()));
  return End{std::move(commit), std::move(manifest)};
}

// What came, went, and is there in another version.
struct Changes {
  std::vector<std::string> added;
  std::vector<std::string> removed;
  std::vector<std::string> changed;

  bool empty() const { return added.empty() && removed.empty() && changed.empty(); }
};

Json to_json(const Changes& changes) {
  return {{"added", changes.added}, {"removed", changes.removed}, {"changed", changes.changed}};
}

std::string to_text(const std::string& title, const Changes& changes) {
  if (changes.empty()) return "";
  std::string text = title + ": " + std::to_string(changes.added.size()) + " added, " +
                     std::to_string(changes.removed.size()) + " removed, " + std::to_string(changes.changed.size()) +
                     " changed\n";
  for (const std::string& line : changes.added) text += "  + " + printable(line) + "\n";
  for (const std::string& line : changes.removed) text += "  - " + printable(line) + "\n";
  for (const std::string& line : changes.changed) text += "  ~ " + printable(line) + "\n";
  return text;
}

Result<Packages> packages_of(const Repository& repository, const Commit& commit) {
  for (const char* path : kPackageDatabases) {
    const auto status = HC_TRY(repository.read_file(commit, path, kMostStatus));
    if (status) return parse_packages(*status);
  }
  return Packages();
}

Changes package_changes(const Packages& from, const Packages& to) {
  Changes changes;
  for (const auto& [key, package] : to) {
    const auto old = from.find(key);
    if (old == from.end()) {
      changes.added.push_back(key + " " + package.version);
    } else if (old->second.version != package.version) {
      changes.changed.push_back(key + " " + old->second.version + " -> " + package.version);
    }
  }
  for (const auto& [key, package] : from)
    if (!to.contains(key)) changes.removed.push_back(key + " " + package.version);
  return changes;
}

// The arguments in the files of kargs.d that differ.
Result<std::set<std::string>> arguments_of(const Repository& repository, const Commit& commit,
                                           const std::vector<std::string>& files) {
  std::set<std::string> arguments;
  for (const std::string& path : files) {
    if (!path.starts_with(kArguments) || !path.ends_with(".conf")) continue;
    const auto text = HC_TRY(repository.read_file(commit, path));
    if (!text) continue;
    for (const std::string& argument : HC_TRY(parse_default_arguments(*text).in(path))) arguments.insert(argument);
  }
  return arguments;
}

Result<Changes> argument_changes(const Repository& repository, const End& from, const End& to, const TreeDiff& files) {
  std::vector<std::string> old_files = files.removed;
  old_files.insert(old_files.end(), files.changed.begin(), files.changed.end());
  std::vector<std::string> new_files = files.added;
  new_files.insert(new_files.end(), files.changed.begin(), files.changed.end());
  const std::set<std::string> before = HC_TRY(arguments_of(repository, from.commit, old_files));
  const std::set<std::string> after = HC_TRY(arguments_of(repository, to.commit, new_files));
  Changes changes;
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(changes.added));
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(), std::back_inserter(changes.removed));
  return changes;
}

std::vector<std::string> hooks_in(const std::vector<std::string>& files) {
  std::vector<std::string> hooks;
  std::copy_if(files.begin(), files.end(), std::back_inserter(hooks), [](const std::string& path) {
    const std::string name = fs::path(path).filename();
    return (name.starts_with("hc_") && name.ends_with(".sh")) || name == "metadata.json";
  });
  return hooks;
}

Json said(const Manifest& manifest) {
  Json json = to_json(manifest);
  for (const char* key : {"format", "kind", "target", "changelog"}) json.erase(key);
  return json;
}

// Line by line: "sequence: 1 -> 2".
Changes manifest_changes(const Manifest& from, const Manifest& to) {
  Changes changes;
  const Json before = said(from);
  const Json after = said(to);
  for (const auto& [key, value] : after.items()) {
    if (!before.contains(key)) {
      changes.added.push_back(key + ": " + value.dump());
    } else if (before[key] != value) {
      changes.changed.push_back(key + ": " + before[key].dump() + " -> " + value.dump());
    }
  }
  for (const auto& [key, value] : before.items())
    if (!after.contains(key)) changes.removed.push_back(key + ": " + value.dump());
  return changes;
}

}  // namespace

Result<Report> diff(const DiffArgs& args, const Work& work) {
  const Repository repository = HC_TRY(Repository::open(args.repo));
  const End from = HC_TRY(end_of(repository, args.from));
  const End to = HC_TRY(end_of(repository, args.to));
  const TreeDiff tree = HC_TRY(repository.diff(from.commit, to.commit, work.stop));
  const Changes files{tree.added, tree.removed, tree.changed};
  const Changes hooks{hooks_in(tree.added), hooks_in(tree.removed), hooks_in(tree.changed)};
  const Changes arguments = HC_TRY(argument_changes(repository, from, to, tree));
  const Packages old_packages = HC_TRY(packages_of(repository, from.commit));
  const Packages new_packages = HC_TRY(packages_of(repository, to.commit));
  const Changes packages = package_changes(old_packages, new_packages);
  const Changes manifest = manifest_changes(from.manifest, to.manifest);

  Report report;
  report.json["from"] = from.commit.hex();
  report.json["to"] = to.commit.hex();
  report.json["says"] = to_json(manifest);
  report.json["changelog"] = to.manifest.changelog;
  report.json["packages"] = to_json(packages);
  report.json["kernel_arguments"] = to_json(arguments);
  report.json["hooks"] = to_json(hooks);
  report.json["files"] = to_json(files);
  report.text = version_ref(from.manifest) + " (" + from.commit.brief() + ") -> " + version_ref(to.manifest) + " (" +
                to.commit.brief() + ")\n";
  if (!to.manifest.changelog.empty()) report.text += "\n" + printable(to.manifest.changelog) + "\n";
  report.text += to_text("what they say", manifest) + to_text("packages", packages) +
                 to_text("kernel arguments", arguments) + to_text("hooks", hooks) + to_text("files", files);
  if (files.empty()) report.text += "the same files\n";
  return report;
}

}  // namespace hc
