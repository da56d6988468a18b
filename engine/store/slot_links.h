#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/file.h"
#include "engine/base/ids.h"
#include "engine/store/repository.h"

namespace hc {

// The slots of one target on the disk: symlinks `a` and `b` in a directory, each to one installation, a directory
// "COMMIT.SERIAL" beside the others. The links are relative and replaced by rename: a reader sees the old or the new
// one. `a.old` and `b.old` remember what a slot held before a change that may still be taken back.
class SlotLinks {
 public:
  // `prefix`: from `directory` to where the installations are, e.g. "../deploy/debian/deploy".
  SlotLinks(fs::path directory, fs::path prefix) : directory_(std::move(directory)), prefix_(std::move(prefix)) {}

  fs::path installations() const { return (directory_ / prefix_).lexically_normal(); }
  fs::path root(const std::string& id) const { return installations() / id; }

  // The installation that `slot` points to; nothing where it is empty or what it points to is gone.
  Result<std::optional<std::string>> id(Slot slot) const;
  // Durable. REQUIRES: the installation is complete on the disk.
  Status point(Slot slot, const std::optional<std::string>& id) const;

  // Remembers what `slot` holds, before `commit` is put there. A repetition after a crash, when the slot holds `commit`
  // already, keeps the earlier memory.
  Status remember(Slot slot, const Commit& commit) const;
  Status forget(Slot slot) const;

  // What the link and the memory of a slot name; what those of both slots do not name is garbage.
  Result<std::set<std::string>> kept(Slot slot) const;
  Result<std::set<std::string>> kept() const;
  // Removes every installation that is neither kept nor in `spared`. What cannot be removed comes back as text.
  Result<std::vector<std::string>> sweep(const std::set<std::string>& spared) const;

 private:
  Result<std::optional<std::string>> read(const std::string& link) const;
  Status unlink(const std::string& link) const;

  fs::path directory_;
  fs::path prefix_;
};

// The commit of an installation "COMMIT.SERIAL"; nothing for any other name.
std::optional<Commit> commit_of_installation(const std::string& id);

// Makes refs "held/<group>/<id>" for exactly these installations, so that prune() keeps the commits they came from.
Status hold_commits(Repository& repository, const std::string& group, const std::set<std::string>& ids);

// Removes a tree, but never what is mounted inside: fails then and names the mount point.
Status remove_unmounted(const fs::path& tree);

}  // namespace hc
