#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bootloader/fake.h"
#include "engine/upgrade/advance.h"
#include "engine/upgrade/machine.h"

// A whole node in memory: its disk, its bootloader with the firmware's side, a camera on its wire. Each change of any
// of them is one "write" that can be replaced by a fault.
namespace hc::sim {

// Thrown in place of a write: the plug was pulled.
struct PowerCut {};

enum class FaultKind {
  cut_before,    // power goes before the write
  cut_after,     // power goes when the write is on the disk, before anybody knows
  error_before,  // the write fails and nothing happened
  error_after,   // the write fails, and yet it happened
};
struct Fault {
  std::size_t at = 0;  // number of the write, from 1
  FaultKind kind = FaultKind::cut_before;
};

// What a device on the wire does with the new version.
struct Device {
  std::string name;
  bool install_passes = true;
  bool verify_passes = true;
  bool needed = true;    // the state check does not say "already there"
  bool forgets = false;  // a restart of the node sets it to "factory"
};

// What the new version is like.
struct World {
  Target target = Target::os();
  TransactionKind kind = TransactionKind::deploy;
  bool boots = true;    // its kernel reaches user space
  bool healthy = true;  // its health checks pass
  bool install_passes = true;
  bool verify_passes = true;
  unsigned tries = 3;                // that the bootloader gives it
  bool needed = true;                // the state check does not say "already there"
  std::vector<Device> carried = {};  // peripherals that the new OS brings
};

// What one target has on the node: all of it survives a power cut.
struct SimTarget {
  Target target = Target::os();
  std::map<std::string, std::string> installations = {{"first", "old"}, {"second", "older"}};  // id -> version
  std::array<std::optional<std::string>, 2> slots = {"first", "second"};                       // -> id
  std::optional<std::string> held;  // what the staged slot held, kept for restore()
  int next_serial = 1;
  std::optional<Slot> active = Slot::a;  // of a peripheral
  std::string device = "old";            // version that the device on the wire is set to
  std::map<std::string, bool> refs;
  Device behaviour;
};

class SimNode {
 public:
  explicit SimNode(World world);
  ~SimNode();

  // Runs the world's transaction with the faults, restarting and resuming as a node does, until nothing is left to do.
  // False where that takes more than 40 starts: a loop without end.
  bool live(std::vector<Fault> faults);

  std::size_t writes() const { return writes_; }

  // Empty where the node ended old-and-clean or new-and-good; else what is wrong.
  std::string violation() const;
  std::optional<Outcome> outcome() const;
  // Whether the history says that an install hook was cut off.
  bool cut_off_a_hook() const;

  // Every slot, link, record and device in one line, to compare two ends.
  std::string picture() const;

 private:
  friend class SimRecords;
  friend class SimSlots;
  friend class SimBoot;
  friend class SimLink;
  friend class SimSource;
  friend class SimHooks;

  // One write: applies `change`, unless a fault takes its place.
  Status write(const std::function<void()>& change);
  void power_on();
  Transaction new_transaction(const SimTarget& on, TransactionKind kind) const;
  bool end_is_new(const SimTarget& on) const;
  std::string violation_of(const SimTarget& on, std::optional<Outcome> ended) const;
  std::optional<Outcome> outcome_of(std::uint64_t id) const;

  World world_;
  std::vector<Fault> faults_;
  std::size_t writes_ = 0;

  // What survives a power cut.
  std::map<std::string, Json> records_;
  FakeBootControl flash_;
  SimTarget own_;                   // of the world's target
  std::vector<SimTarget> carried_;  // of the peripherals that the OS brings

  // What does not.
  std::optional<Slot> booted_;
  std::string running_;  // the installation that was booted
  std::string broken_;   // what no engine may do, done
  int boots_ = 0;
};

}  // namespace hc::sim
