#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "tests/crash/tree_picture.h"

namespace hc {

// What a bootloader would start: read from the disk without replaying the journal.
struct BootSight {
  struct Start {
    std::string name;  // how the system behind it is found after the journal was replayed: slot or ostree= path
    std::uint64_t kernel = 0;
    std::uint64_t initramfs = 0;
    std::string fault;  // empty: the bootloader finds its files
  };
  Start first;                    // what starts now
  std::optional<Start> fallback;  // what starts where that does not come up
  std::string fault;              // there is nothing to start at all

  bool good() const { return fault.empty() && first.fault.empty() && (!fallback || fallback->fault.empty()); }
};

// What has to be true of a node. `Picture`s of trees are those of a plain checkout of the signed commit.
struct Expected {
  std::map<std::string, Picture> trees;      // by commit
  std::map<std::string, Seen> objects;       // of the repository, by path
  Picture etc;                               // of the deployment before
  std::map<std::string, std::string> goals;  // mark -> the commit that has to start once it was told
};

// A kind of node: how its bootloader reads the disk, and what its kernel must find.
class NodeChecks {
 public:
  explicit NodeChecks(const Expected& expected) : expected_(expected) {}
  virtual ~NodeChecks() = default;
  NodeChecks(const NodeChecks&) = delete;
  NodeChecks& operator=(const NodeChecks&) = delete;

  virtual BootSight bootloader(const fs::path& root) const = 0;
  // What the bootloader reads first, and what those files of `root` lead it to. Paths on the disk.
  virtual std::vector<std::string> boot_files() const { return {}; }
  virtual std::vector<std::string> boot_files_of(const fs::path& /*root*/) const { return {}; }
  // Every fault of a disk whose journal was replayed. `told`: the newest mark.
  std::vector<std::string> kernel(const BootSight& sight, const Picture& disk, const std::string& told) const;

 protected:
  // The deployment that `start` leads to, as a path of `disk`; empty: none.
  virtual std::string deployment_of(const BootSight::Start& start, const Picture& disk) const = 0;

  const Expected& expected_;

 private:
  void check_start(const BootSight::Start& start, const Picture& disk, const std::string& goal,
                   std::vector<std::string>& faults) const;
  void check_tree(const Picture& deployment, const Picture& tree, std::vector<std::string>& faults) const;
  void check_peripherals(const Picture& disk, const std::string& goal, std::vector<std::string>& faults) const;
  void check_objects(const Picture& disk, std::vector<std::string>& faults) const;
};

// A Honeycomb node: grubenv decides, slots are stable links.
class HoneycombChecks final : public NodeChecks {
 public:
  using NodeChecks::NodeChecks;
  BootSight bootloader(const fs::path& root) const override;
  std::vector<std::string> boot_files() const override;
  std::vector<std::string> boot_files_of(const fs::path& root) const override;

 private:
  std::string deployment_of(const BootSight::Start& start, const Picture& disk) const override;
};

// A node of plain libostree: the first entry of /boot/loader, with ostree=/ostree/boot.N/...
class OstreeChecks final : public NodeChecks {
 public:
  using NodeChecks::NodeChecks;
  BootSight bootloader(const fs::path& root) const override;

 private:
  std::string deployment_of(const BootSight::Start& start, const Picture& disk) const override;
};

// Where Honeycomb keeps journal and history: every JSON file of `root` that does not parse.
std::vector<std::string> damaged_records(const fs::path& root, const Picture& disk);

// What is left over on a node with nothing under way: installations without a slot, half-made files, a journal.
std::vector<std::string> leftovers(const Picture& disk);

}  // namespace hc
