#pragma once

#include <map>
#include <memory>

#include "engine/store/peripheral_store.h"
#include "engine/upgrade/hook_calls.h"
#include "engine/upgrade/inventory.h"
#include "engine/upgrade/os_slots.h"
#include "engine/upgrade/snapshots.h"
#include "engine/upgrade/upgrader.h"
#include "hooks/runner.h"

namespace hc {

// The real parts of one node, opened once, and the machine that a transaction of one target runs on.
struct NodeParts {
  Node node;
  Settings settings;
  std::string job;  // see Upgrader::work_for
  SystemClock clock;
  RecordDir records;
  ProcessHookRunner hooks;
  std::unique_ptr<OsStore> os_store;
  std::unique_ptr<BootControl> boot;
  std::unique_ptr<OsSlots> os_slots;
  std::unique_ptr<OsSwitch> os_switch;
  std::unique_ptr<NodeSource> source;
  Snapshots snapshots;

  // Slots and switch of one target.
  struct TargetParts {
    std::unique_ptr<PeripheralStore> store;
    std::unique_ptr<PeripheralSwitch> link;
    std::unique_ptr<HookBook> book;
    SlotStore* slots = nullptr;
    Switch* choice = nullptr;
  };

  explicit NodeParts(Node opened)
      : node(std::move(opened)),
        records(node.state),
        snapshots(node.state / "snapshots", node.state.parent_path().parent_path()) {}

  Status open_all();
  Result<TargetParts*> target(const Target& target);
  Result<std::vector<Target>> targets() const;
  Result<Machine> machine(const Target& target, const Listener& listener) { return machine(target, listener, records); }
  // Whether two commits hold the same files.
  Result<bool> same_content(const std::string& commit, const Commit& other) const;

  // Which slot of a target is in use now.
  Result<std::optional<Slot>> in_use(const Target& target);
  Result<Side> side(const Target& target, Slot slot);
  // The transactions, not yet begun, of the peripherals that an OS payload brings and this node does not have yet. What
  // is left out and why becomes a note of `os`.
  Result<std::vector<Transaction>> carried(Transaction& os, const VerifiedPayload& payload);
  HealthReport run_health(const Transaction& t, const Listener& listener, const StopToken& stop);
  Status learn_what_is_in_use();
  // Held by whoever changes something on this node; Code::busy at once where another process has it.
  Result<FileLock> lock() const;
  // What node.json says, read anew each time: a mistake in it must not keep the OS from being confirmed.
  Result<bool> fitted(const Target& target) const;
  // Of a peripheral's version whose content is here.
  Result<PeripheralMetadata> metadata(const Side& side) const;

 private:
  Status learn_about(const Target& target);
  Result<Machine> machine(const Target& target, const Listener& listener, Records& journal);
  std::map<Target, TargetParts> targets_;
};

}  // namespace hc
