#pragma once

#include <map>
#include <memory>

#include "engine/store/peripheral_store.h"
#include "engine/upgrade/hook_calls.h"
#include "engine/upgrade/os_slots.h"
#include "engine/upgrade/upgrader.h"
#include "hooks/runner.h"

namespace hc {

// The real parts of one node, opened once, and the machine that a transaction of one target runs on.
struct NodeParts {
  Node node;
  Settings settings;
  SystemClock clock;
  RecordDir records;
  ProcessHookRunner hooks;
  std::unique_ptr<OsStore> os_store;
  std::unique_ptr<BootControl> boot;
  std::unique_ptr<OsSlots> os_slots;
  std::unique_ptr<OsSwitch> os_switch;
  std::unique_ptr<NodeSource> source;

  // Slots and switch of one target.
  struct TargetParts {
    std::unique_ptr<PeripheralStore> store;
    std::unique_ptr<PeripheralSwitch> link;
    SlotStore* slots = nullptr;
    Switch* choice = nullptr;
  };

  explicit NodeParts(Node opened) : node(std::move(opened)), records(node.state) {}

  Status open_all();
  Result<TargetParts*> target(const Target& target);
  Result<std::vector<Target>> targets() const;
  Result<Machine> machine(const Target& target, const HookBook& book, const Listener& listener);

  // Which slot of a target is in use now.
  Result<std::optional<Slot>> in_use(const Target& target);
  Result<Side> side(const Target& target, Slot slot);
  HealthReport run_health(const Transaction& t, const Listener& listener, const StopToken& stop);
  Status learn_what_is_in_use();

 private:
  std::map<Target, TargetParts> targets_;
};

}  // namespace hc
