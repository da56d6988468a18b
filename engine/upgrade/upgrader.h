#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/upgrade/advance.h"
#include "engine/upgrade/history.h"
#include "engine/upgrade/node.h"
#include "engine/upgrade/remotes.h"
#include "engine/upgrade/settings.h"
#include "engine/upgrade/source.h"

namespace hc {

struct Request {
  Target target = Target::os();
  std::string what;    // commit, ref or version
  std::string by;      // who asks, for the history
  bool again = false;  // also a commit that failed here before
};

// What a deploy would do.
struct Plan {
  Request request;
  Verdict verdict;
  Found found;
  Side from;
  Slot to = Slot::a;
  std::string replaced_version;  // of the version that the target slot holds now; empty: none
  TreeSize download;
  bool reboot = true;
};

struct SlotStatus {
  Slot slot = Slot::a;
  std::optional<SlotContent> content;
  bool booted = false;  // OS: runs now; peripheral: in use
  bool confirmed = false;
  bool trial = false;
};

struct TargetStatus {
  Target target = Target::os();
  std::vector<SlotStatus> slots;
  unsigned tries_left = 0;
  std::string problem;  // why the target is degraded; empty: it is not
  bool fitted = true;   // the node's inventory knows it
};

// Whether a peripheral is in the state of its version in use.
struct DriftReport {
  Target target = Target::os();
  std::string version;
  bool fitted = true;
  std::optional<HookResult> result;  // of the verify hook; nothing: not asked

  bool drifted() const { return result && !result->passed(); }
};

struct VersionDiff {
  struct End {
    std::string version;
    Commit commit;
  };
  End from;
  End to;
  TreeDiff files;
  std::string changelog;  // of `to`; empty where it has none
};

struct NodeStatus {
  Node node;
  std::string model;
  std::vector<TargetStatus> targets;
  std::optional<Transaction> transaction;  // under way
  bool waits_for_reboot = false;
  std::optional<Transaction> last;  // the newest that ended
};

// How a transaction stands after a call.
struct Report {
  Transaction transaction;
  Ended ended = Ended::finished;
};
struct NodeParts;

// The engine's face: what hc-os and honeycombd call. Calls that change something take the node's lock (Code::busy at
// once where another process has it) and first carry an unfinished transaction to its end.
class Upgrader {
 public:
  static Result<std::unique_ptr<Upgrader>> open(const fs::path& sysroot);
  ~Upgrader();

  const Node& node() const;
  const Settings& settings() const;
  // From now on every transaction that a call begins, or takes back, bears this job's key: after a kill the queue finds
  // there what became of its job.
  void work_for(std::string job);

  // Changes nothing on the node.
  Result<Plan> plan(const Request& request, const StopToken& stop);
  Result<NodeStatus> status();
  Result<std::vector<Transaction>> history();
  // Every commit that can be deployed with no network, with the refs that keep it.
  Result<std::vector<std::pair<std::string, Commit>>> kept();

  // Code::busy while somebody holds upgrades off (Inhibitors).
  Result<Report> deploy(const Request& request, const Listener& listener, const StopToken& stop);
  Result<Held> held(const Request& request, const StopToken& stop);
  // Verifies a payload and gets its content, so that a later deploy needs no network. Changes no slot; nothing keeps
  // the content but that nobody collects garbage before.
  Status fetch_ahead(const Request& request, const ProgressFn& progress, const StopToken& stop);
  // Takes back a transaction that waits for its reboot; else goes to the other slot.
  Result<Report> rollback(const Target& target, const std::string& by, const Listener& listener, const StopToken& stop);
  // Makes the running slot the confirmed one, without further checks.
  Result<Report> confirm(const std::string& by, const Listener& listener, const StopToken& stop);
  // What honeycomb-boot.service calls after each boot: carries the unfinished transaction on, brings bootloader, slots
  // and peripherals into agreement, repairs what is degraded and due. Nothing: no transaction was unfinished.
  Result<std::optional<Report>> resume(const Listener& listener, const StopToken& stop);

  // Tries to bring every degraded peripheral back to its recorded version now, or (`due`) those whose next try has
  // come. One report for each.
  Result<std::vector<Report>> repair(bool due, const Listener& listener, const StopToken& stop);
  // Asks the verify hook of each peripheral's version in use (HC_PHASE=check) whether the device is in that state.
  Result<std::vector<DriftReport>> check_peripherals(const Listener& listener, const StopToken& stop);

  // The slot's tree against its commit, and the commit against the trust of this node.
  Result<Verdict> verify(const Target& target, Slot slot, const ProgressFn& progress, const StopToken& stop);
  // What two versions on this node differ in; each is named by a slot (`a`, `b`), a version of the history or a commit.
  Result<VersionDiff> diff(const Target& target, const std::string& from, const std::string& to, const StopToken& stop);
  // Whether the bootloader is fit for a switch; what a deploy would put right before it begins is put right.
  Status check_boot();
  Result<HealthReport> health(const Listener& listener, const StopToken& stop);
  Status pin(const Target& target, const std::string& what, bool pinned, const StopToken& stop);
  // Bytes freed.
  Result<std::uint64_t> collect_garbage();
  Remotes remotes() const;
  Result<Found> find(const Target& target, const std::string& what, const StopToken& stop);

 private:
  explicit Upgrader(std::unique_ptr<NodeParts> parts);
  std::unique_ptr<NodeParts> parts_;
};

Json to_json(const Plan& plan);
Json to_json(const NodeStatus& status);

}  // namespace hc
