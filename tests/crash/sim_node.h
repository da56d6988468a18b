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

// What the new version is like.
struct World {
  Target target = Target::os();
  TransactionKind kind = TransactionKind::deploy;
  bool boots = true;    // its kernel reaches user space
  bool healthy = true;  // its health checks pass
  bool install_passes = true;
  bool verify_passes = true;
  unsigned tries = 3;  // that the bootloader gives it
  bool needed = true;  // the state check does not say "already there"
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
  bool end_is_new() const;

  World world_;
  std::vector<Fault> faults_;
  std::size_t writes_ = 0;

  // What survives a power cut.
  std::map<std::string, Json> records_;
  std::map<std::string, std::string> installations_;  // id -> version
  std::array<std::optional<std::string>, 2> slots_;   // -> id
  std::optional<std::string> held_;                   // what the staged slot held, kept for restore()
  int next_serial_ = 1;
  FakeBootControl flash_;
  std::optional<Slot> active_;  // of the peripheral
  std::string device_;          // version that the camera on the wire is set to
  std::map<std::string, bool> refs_;

  // What does not.
  std::optional<Slot> booted_;
  std::string running_;  // the installation that was booted
  std::string broken_;   // what no engine may do, done
  int boots_ = 0;
};

}  // namespace hc::sim
