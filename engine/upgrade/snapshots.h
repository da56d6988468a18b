#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/file.h"
#include "engine/base/ids.h"
#include "engine/upgrade/machine.h"

namespace hc {

// Copies of the data below /var that a peripheral's metadata.json names under `snapshot`, so that a database migrated
// by a new version meets its old form again when the old version comes back. One snapshot for each installed version:
// its data as they were when it was last in use.
class Snapshots {
 public:
  // `directory` holds the snapshots, `var` is what /var means on this node.
  Snapshots(fs::path directory, fs::path var) : directory_(std::move(directory)), var_(std::move(var)) {}

  // Copies `paths` (absolute, below /var; one that does not exist is remembered as missing) as the data of `version`.
  // Durable. Repeated in the same transaction it keeps the first copy: by then the data may have been changed.
  Status keep(const Target& target, const std::string& version, const std::vector<std::string>& paths,
              std::uint64_t transaction);
  // Puts the data of `version` back, each path by one rename. Given `transaction`, only what that one has kept: an
  // older snapshot says nothing about data that the version has changed since. No error where there is no such
  // snapshot.
  Status bring_back(const Target& target, const std::string& version, std::optional<std::uint64_t> transaction);
  // Removes the snapshots of all versions but these.
  Status drop_others(const Target& target, const std::set<std::string>& versions);

 private:
  fs::path place(const Target& target, const std::string& version) const {
    return directory_ / target.name() / version;
  }
  Result<fs::path> on_this_node(const std::string& path) const;
  Status put_back(const fs::path& copy, const fs::path& path, bool present);

  fs::path directory_;
  fs::path var_;
};

// What a transaction needs of them. A version is named by its installation, "none" where there is none.
struct SnapshotPlan {
  std::string from;
  std::string to;
  std::vector<std::string> paths;  // of both versions, each once
};
Result<SnapshotPlan> snapshot_plan(const Transaction& t, Machine& m);

// Those of versions that no slot holds any more.
Status drop_old_snapshots(const Target& target, Machine& m);

}  // namespace hc
