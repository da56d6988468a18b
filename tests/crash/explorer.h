#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/base/json.h"
#include "tests/crash/disk_states.h"
#include "tests/crash/node_checks.h"

namespace hc {

// One operation on one node, and how to look at what a power cut leaves of it. Read from a JSON file.
struct Exploration {
  fs::path image;    // the disk before
  std::string kind;  // "honeycomb" or "ostree"
  std::string file_system = "ext4";
  std::string options;        // how the running node mounts it
  std::string sight_options;  // how it is mounted without replaying the journal
  std::vector<std::pair<std::vector<std::string>, std::string>> steps;  // a command ($NODE), and the mark after it
  std::vector<std::string> resume;                                      // what a boot does; empty: not done
  std::map<std::string, std::string> environment;                       // of the steps
  std::size_t states = 1000;
  std::size_t resumes = 100;    // at most so many different trees
  std::size_t second_cuts = 0;  // of how many resumes the power is cut again
  unsigned seed = 1;
  unsigned workers = 2;
  fs::path scratch;
  fs::path after;  // where the disk goes when the operation is through; empty: nowhere
  fs::path keep;   // a directory for the first disks with a fault; empty: none is kept

  static Result<Exploration> parse(const Json& json);
};

// What was found, for people and programs.
struct Findings {
  std::size_t looked_at = 0;
  std::size_t resumed = 0;
  std::size_t cut_twice = 0;
  std::size_t second_states = 0;
  std::size_t asked_grub = 0;                // states that the kernel would not read unreplayed, and GRUB was asked
  std::size_t violating = 0;                 // states with at least one fault
  std::map<std::string, std::size_t> kinds;  // of state -> how many
  std::vector<std::string> faults;           // the first ones

  void add(const Findings& other);
  Json json() const;
  static Findings parse(const Json& json);
};

// Looks at states, one after the other, on a loop device of its own.
class StateLooker {
 public:
  // Hashes of trees that were resumed already, shared by all lookers.
  class Done;

  StateLooker(const Exploration& exploration, const Recording& recording, const NodeChecks& checks, Done& done,
              fs::path scratch);
  ~StateLooker();
  StateLooker(const StateLooker&) = delete;
  StateLooker& operator=(const StateLooker&) = delete;

  Status look(const DiskState& state, Findings& findings);

 private:
  struct Disk;
  BootSight sight_by_grub() const;
  void note(const DiskState& state, const std::vector<std::string>& faults, const std::string& when,
            Findings& findings) const;
  Status resume(const DiskState& state, const fs::path& root, std::vector<std::string>& faults);
  Status cut_again(const DiskState& state, Findings& findings);

  const Exploration& exploration_;
  const NodeChecks& checks_;
  Done& done_;
  fs::path scratch_;
  DiskBase base_;
  std::unique_ptr<Disk> disk_;
};

class StateLooker::Done {
 public:
  explicit Done(std::size_t most);
  ~Done();
  Done(const Done&) = delete;
  Done& operator=(const Done&) = delete;
  // True for the first that asks about `hash`, as long as there are fewer than `most`.
  bool take(std::uint64_t hash);
  // True as long as fewer than `most` were taken.
  bool take_second(std::size_t most);

 private:
  struct Table;
  std::size_t most_;
  Table* table_;
};

// All states of a plan, by several processes.
Result<Findings> look_at_all(const Exploration& exploration, const Recording& recording, const NodeChecks& checks,
                             const StatePlan& plan);

}  // namespace hc
