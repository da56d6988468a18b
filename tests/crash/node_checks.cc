#include "tests/crash/node_checks.h"

#include <algorithm>
#include <set>

#include "bootloader/entry_file.h"
#include "bootloader/grub.h"
#include "engine/base/json.h"
#include "engine/base/text.h"

namespace hc {
namespace {

constexpr const char* kState = "ostree/deploy/honeycomb/var/lib/honeycomb";
constexpr const char* kDeployments = "ostree/deploy/honeycomb/deploy";

std::uint64_t content_of(const fs::path& file, std::string& fault) {
  const auto bytes = read_file(file);
  if (!bytes) fault = bytes.error().text();
  return bytes ? hash_of_bytes(*bytes) : 0;
}

BootSight::Start start_of(const fs::path& boot, std::string name, const std::string& kernel,
                          const std::string& initramfs) {
  BootSight::Start start;
  start.name = std::move(name);
  start.kernel = content_of(boot / fs::path(kernel).relative_path(), start.fault);
  if (!initramfs.empty()) start.initramfs = content_of(boot / fs::path(initramfs).relative_path(), start.fault);
  return start;
}

BootSight::Start start_of_slot(const fs::path& boot, Slot slot) {
  const auto entry = EntryFiles(boot, "slot.cfg", EntryStyle::grub).read(slot);
  const std::string title = "/ostree/slots/" + std::string(name(slot));
  if (!entry) return {title, 0, 0, entry.error().text()};
  if (!*entry) return {title, 0, 0, "slot " + std::string(name(slot)) + " has no boot entry"};
  if ((*entry)->arguments.find("ostree=" + title) == std::string::npos)
    return {title, 0, 0, "the boot entry names another slot: " + (*entry)->arguments};
  return start_of(boot, title, (*entry)->kernel, (*entry)->initramfs);
}

// The value of `key` in an entry of the Boot Loader Specification.
std::string value_of(const std::string& text, const std::string& key) {
  for (const std::string& line : split(text, '\n'))
    if (line.starts_with(key + " ")) return std::string(trimmed(line.substr(key.size())));
  return "";
}

std::string parent_of(const std::string& path) { return fs::path(path).parent_path().string(); }

// Follows the symlinks of `path` in `disk`, as realpath does; empty where it leads nowhere.
std::string resolve(const Picture& disk, std::string path) {
  constexpr int kMostLinks = 16;
  for (int links = 0; links < kMostLinks; ++links) {
    const auto at = disk.find(path);
    if (at != disk.end() && at->second.type == 'd') return path;
    // The link may be any part of the path.
    std::string link = path;
    while (!link.empty() && (!disk.contains(link) || disk.at(link).type != 'l')) link = parent_of(link);
    if (link.empty()) return "";
    const std::string rest = path.substr(link.size());
    path = (fs::path(parent_of(link)) / (disk.at(link).target + rest)).lexically_normal().string();
  }
  return "";
}

}  // namespace

BootSight HoneycombChecks::bootloader(const fs::path& root) const {
  const fs::path boot = root / "boot";
  const auto now = read_grub_boot(boot);
  if (!now) return {{}, std::nullopt, now.error().text()};
  if (now->good_is_bad || now->trial_is_bad || !now->env.faults().empty())
    return {{}, std::nullopt, "the environment block is damaged"};
  const BootSight::Start confirmed = start_of_slot(boot, now->state.confirmed);
  if (!now->state.trial || now->state.tries_left == 0) return {confirmed, std::nullopt, ""};
  return {start_of_slot(boot, *now->state.trial), confirmed, ""};
}

std::vector<std::string> HoneycombChecks::boot_files() const {
  return {"/boot/grub/grubenv", "/boot/honeycomb/confirmed.cfg", "/boot/honeycomb/a/slot.cfg",
          "/boot/honeycomb/b/slot.cfg"};
}

std::vector<std::string> HoneycombChecks::boot_files_of(const fs::path& root) const {
  std::vector<std::string> files;
  for (const Slot slot : {Slot::a, Slot::b}) {
    const auto entry = EntryFiles(root / "boot", "slot.cfg", EntryStyle::grub).read(slot);
    if (!entry || !*entry) continue;
    files.push_back("/boot" + (*entry)->kernel);
    files.push_back("/boot" + (*entry)->initramfs);
  }
  return files;
}

std::string HoneycombChecks::deployment_of(const BootSight::Start& start, const Picture& disk) const {
  return resolve(disk, start.name.substr(1));
}

BootSight OstreeChecks::bootloader(const fs::path& root) const {
  const fs::path entries = root / "boot/loader/entries";
  const auto names = list_dir(entries);
  if (!names || names->empty()) return {{}, std::nullopt, "there is no /boot/loader/entries"};
  std::string text;
  int highest = -1;
  for (const std::string& one : *names) {
    const auto entry = read_file(entries / one);
    if (!entry) return {{}, std::nullopt, entry.error().text()};
    const std::string version = value_of(*entry, "version");
    const int number = version.empty() ? 0 : std::stoi(version);
    if (number > highest) text = *entry;
    highest = std::max(highest, number);
  }
  const std::string options = value_of(text, "options");
  const std::size_t at = options.find("ostree=");
  if (at == std::string::npos) return {{}, std::nullopt, "the first entry has no ostree= argument"};
  const std::string path = options.substr(at + 7, options.find(' ', at) - at - 7);
  return {start_of(root / "boot", path, value_of(text, "linux"), value_of(text, "initrd")), std::nullopt, ""};
}

std::string OstreeChecks::deployment_of(const BootSight::Start& start, const Picture& disk) const {
  // ostree-prepare-root demands that the path itself is a link.
  const fs::path path = start.name.substr(1);
  const auto link = disk.find(resolve(disk, path.parent_path().string()) + "/" + path.filename().string());
  return link != disk.end() && link->second.type == 'l' ? resolve(disk, link->first) : "";
}

void NodeChecks::check_tree(const Picture& deployment, const Picture& tree, std::vector<std::string>& faults) const {
  for (const auto& [path, want] : tree) {
    const auto have = deployment.find(path);
    if (have == deployment.end()) {
      faults.push_back("the deployment lacks " + path);
    } else if (have->second != want) {
      faults.push_back("the deployment's " + path + " is not what the commit says");
    }
    if (!path.starts_with("usr/etc/")) continue;
    const auto merged = deployment.find(path.substr(4));
    const auto local = expected_.etc.find(path.substr(8));
    const bool good = merged != deployment.end() &&
                      (merged->second == want || (local != expected_.etc.end() && merged->second == local->second));
    if (!good) faults.push_back("the deployment's " + path.substr(4) + " is neither the node's nor the version's");
  }
  for (const auto& [path, have] : deployment)
    if (path.starts_with("usr/") && !tree.contains(path))
      faults.push_back("the deployment has a " + path + " too many");
}

void NodeChecks::check_start(const BootSight::Start& start, const Picture& disk, const std::string& goal,
                             std::vector<std::string>& faults) const {
  if (!start.fault.empty()) {
    faults.push_back("the bootloader cannot load " + start.name + ": " + start.fault);
    return;
  }
  const std::string path = deployment_of(start, disk);
  const std::string id = fs::path(path).filename().string();
  const std::string commit = id.substr(0, id.find('.'));
  const auto tree = expected_.trees.find(commit);
  if (path.empty() || tree == expected_.trees.end()) {
    faults.push_back("the kernel finds no deployment at " + start.name);
    return;
  }
  check_tree(below(disk, path), tree->second, faults);
  for (const auto& [file, seen] : tree->second) {
    if (file.ends_with("/vmlinuz") && seen.content != start.kernel)
      faults.push_back("the kernel of " + start.name + " is not that of its deployment");
    if (file.ends_with("/initramfs.img") && seen.content != start.initramfs)
      faults.push_back("the initramfs of " + start.name + " is not that of its deployment");
  }
  if (!goal.empty() && commit != goal) faults.push_back("what was reported as done is lost: " + start.name + " starts");
}

// What a peripheral is set to is a whole checkout of a signed commit.
void NodeChecks::check_peripherals(const Picture& disk, const std::string& goal,
                                   std::vector<std::string>& faults) const {
  const std::string peripherals = std::string(kState) + "/peripherals";
  bool reached = goal.empty();
  for (const auto& [path, seen] : below(disk, peripherals)) {
    if (!path.ends_with("/active") || path.find('/') != path.rfind('/')) continue;
    const std::string place = resolve(disk, peripherals + "/" + path);
    const std::string id = fs::path(place).filename().string();
    const std::string commit = id.substr(0, id.find('.'));
    const auto tree = expected_.trees.find(commit);
    if (tree == expected_.trees.end()) {
      faults.push_back(path + " leads to no version");
    } else {
      check_tree(below(disk, place), tree->second, faults);
    }
    reached = reached || commit == goal;
  }
  if (!reached) faults.emplace_back("what was reported as done is lost: the peripheral has another version");
}

void NodeChecks::check_objects(const Picture& disk, std::vector<std::string>& faults) const {
  for (const auto& [path, want] : expected_.objects) {
    const auto have = disk.find(path);
    if (have != disk.end() && (have->second.type != want.type || have->second.size != want.size ||
                               have->second.content != want.content || have->second.target != want.target))
      faults.push_back("the object " + path + " is damaged: " + have->second.type + " of " +
                       std::to_string(have->second.size) + " bytes " + have->second.target);
  }
}

std::vector<std::string> NodeChecks::kernel(const BootSight& sight, const Picture& disk,
                                            const std::string& told) const {
  if (!sight.fault.empty()) return {sight.fault};
  std::vector<std::string> faults;
  const auto goal = expected_.goals.find(told);
  const std::string wanted = goal == expected_.goals.end() ? "" : goal->second;
  const bool of_peripheral = !wanted.empty() && expected_.trees.at(wanted).contains("metadata.json");
  check_start(sight.first, disk, of_peripheral ? "" : wanted, faults);
  if (sight.fallback) check_start(*sight.fallback, disk, "", faults);
  check_peripherals(disk, of_peripheral ? wanted : "", faults);
  check_objects(disk, faults);
  return faults;
}

std::vector<std::string> damaged_records(const fs::path& root, const Picture& disk) {
  std::vector<std::string> faults;
  for (const auto& [path, seen] : below(disk, kState)) {
    if (seen.type != 'f' || !path.ends_with(".json") || fs::path(path).filename().string().starts_with(".")) continue;
    const auto text = read_file(root / kState / path);
    if (!text || !parse_json(*text)) faults.push_back("the record " + path + " does not parse");
  }
  return faults;
}

std::vector<std::string> leftovers(const Picture& disk) {
  std::vector<std::string> faults;
  std::set<std::string> linked;
  for (const auto& [path, seen] : below(disk, "ostree/slots")) {
    if (seen.type == 'l') linked.insert(fs::path(seen.target).filename().string());
    if (path != "a" && path != "b") faults.push_back("ostree/slots/" + path + " is left over");
  }
  for (const auto& [path, seen] : below(disk, kDeployments)) {
    if (path.find('/') != std::string::npos) continue;
    const std::string id = path.ends_with(".origin") ? path.substr(0, path.size() - 7) : path;
    if (!linked.contains(id)) faults.push_back("the deployment " + path.substr(0, 12) + "... is left over");
  }
  for (const auto& [path, seen] : disk)
    if (path.starts_with("boot/honeycomb/") && path.ends_with(".part")) faults.push_back(path + " is left over");
  if (disk.contains(std::string(kState) + "/unpack")) faults.emplace_back("an unpacked archive is left over");
  if (disk.contains(std::string(kState) + "/transaction.json")) faults.emplace_back("the journal is left over");
  return faults;
}

}  // namespace hc
