#include "engine/store/slot_links.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace hc {
namespace {

std::string old_name(Slot slot) { return std::string(name(slot)) + ".old"; }

constexpr const char* kEmpty = "none";  // what a memory of an empty slot points to

// A path as /proc/self/mountinfo writes it: blanks and backslashes are octal there.
std::string unescaped(const std::string& text) {
  std::string path;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool octal = text[i] == '\\' && i + 3 < text.size();
    path += octal ? static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8)) : text[i];
    if (octal) i += 3;
  }
  return path;
}

}  // namespace

std::optional<Commit> commit_of_installation(const std::string& id) {
  const std::size_t dot = id.find('.');
  if (dot == std::string::npos || dot + 1 == id.size()) return std::nullopt;
  if (id.find_first_not_of("0123456789", dot + 1) != std::string::npos) return std::nullopt;
  Result<Commit> commit = Commit::parse(id.substr(0, dot));
  if (!commit) return std::nullopt;
  return std::move(commit).value();
}

Status hold_commits(Repository& repository, const std::string& group, const std::set<std::string>& ids) {
  const std::string prefix = "held/" + group + "/";
  std::set<std::string> missing = ids;
  const auto refs = HC_TRY(repository.refs(prefix));
  for (const auto& [ref, commit] : refs) {
    const bool wanted = missing.erase(ref.substr(prefix.size())) > 0;
    if (!wanted) HC_TRY(repository.set_ref(ref, std::nullopt));
  }
  for (const std::string& id : missing)
    if (const auto commit = commit_of_installation(id)) HC_TRY(repository.set_ref(prefix + id, commit));
  return ok;
}

Status remove_unmounted(const fs::path& tree) {
  std::error_code error;
  const fs::path real = fs::canonical(tree, error);
  if (error == std::errc::no_such_file_or_directory) return ok;
  if (error) return Error::from_errno(error.value(), "looking at " + tree.string());
  const std::string mounts = HC_TRY(read_file("/proc/self/mountinfo"));
  for (std::size_t start = 0; start < mounts.size();) {
    const std::size_t end = std::min(mounts.find('\n', start), mounts.size());
    // The fifth word of each line is where it is mounted.
    std::size_t word = start;
    for (int i = 0; i < 4; ++i) word = mounts.find(' ', word) + 1;
    const std::string point = unescaped(mounts.substr(word, mounts.find(' ', word) - word));
    if (point == real.string() || point.starts_with(real.string() + "/"))
      return Error(Code::busy, "cannot remove " + tree.string() + ": something is mounted at " + point)
          .with_hint("unmount it; the next run removes the rest");
    start = end + 1;
  }
  return remove_tree(tree);
}

Result<std::optional<std::string>> SlotLinks::read(const std::string& link) const {
  std::error_code error;
  const fs::path target = fs::read_symlink(directory_ / link, error);
  if (error == std::errc::no_such_file_or_directory) return std::optional<std::string>();
  if (error) return Error::from_errno(error.value(), "reading the link " + (directory_ / link).string());
  return std::optional(target.filename().string());
}

Status SlotLinks::unlink(const std::string& link) const {
  const fs::path path = directory_ / link;
  if (::unlink(path.c_str()) == 0) return sync_dir(directory_);
  if (errno == ENOENT) return ok;
  return Error::from_errno(errno, "removing " + path.string());
}

Result<std::optional<std::string>> SlotLinks::id(Slot slot) const {
  const std::optional<std::string> id = HC_TRY(read(std::string(name(slot))));
  std::error_code error;
  if (!id || !commit_of_installation(*id) || !fs::is_directory(root(*id), error)) return std::optional<std::string>();
  return id;
}

Status SlotLinks::point(Slot slot, const std::optional<std::string>& id) const {
  if (!id) return unlink(std::string(name(slot)));
  std::error_code error;
  if (!commit_of_installation(*id) || !fs::is_directory(root(*id), error))
    return Error(Code::io, "slot " + std::string(name(slot)) + " cannot hold " + *id + ": it is not on the disk");
  HC_TRY(make_dirs(directory_));
  return replace_symlink(directory_ / name(slot), (prefix_ / *id).string());
}

Status SlotLinks::remember(Slot slot, const Commit& commit) const {
  const std::optional<std::string> now = HC_TRY(id(slot));
  const std::optional<std::string> before = HC_TRY(read(old_name(slot)));
  if (before && now && commit_of_installation(*now) == commit) return ok;
  HC_TRY(make_dirs(directory_));
  return replace_symlink(directory_ / old_name(slot), now ? (prefix_ / *now).string() : kEmpty);
}

Status SlotLinks::forget(Slot slot) const { return unlink(old_name(slot)); }

Result<std::set<std::string>> SlotLinks::kept(Slot slot) const {
  std::set<std::string> ids;
  for (const std::string& link : {std::string(name(slot)), old_name(slot)}) {
    const std::optional<std::string> id = HC_TRY(read(link));
    if (id) ids.insert(*id);
  }
  return ids;
}

Result<std::set<std::string>> SlotLinks::kept() const {
  std::set<std::string> ids = HC_TRY(kept(Slot::a));
  ids.merge(HC_TRY(kept(Slot::b)));
  return ids;
}

Result<std::vector<std::string>> SlotLinks::sweep(const std::set<std::string>& spared) const {
  std::vector<std::string> stuck;
  const std::set<std::string> wanted = HC_TRY(kept());
  for (const std::string& entry : HC_TRY(list_dir(installations()))) {
    const bool half_made = entry.starts_with(".") && entry.ends_with(".part");  // by Repository::checkout()
    const bool old = commit_of_installation(entry) && !wanted.contains(entry) && !spared.contains(entry);
    if (!half_made && !old) continue;
    if (const Status removed = remove_unmounted(root(entry)); !removed) stuck.push_back(removed.error().text());
  }
  return stuck;
}

}  // namespace hc
