#pragma once

#include <functional>
#include <optional>
#include <string>

#include "engine/base/clock.h"
#include "engine/base/progress.h"
#include "engine/base/stop.h"
#include "engine/payload/metadata.h"
#include "engine/payload/trust.h"
#include "engine/store/slot_store.h"
#include "engine/upgrade/health.h"
#include "engine/upgrade/records.h"
#include "engine/upgrade/switch.h"
#include "engine/upgrade/transaction.h"
#include "hooks/hook.h"

namespace hc {

// Where payloads come from and where they are kept: the node's repository and the remotes.
class PayloadSource {
 public:
  virtual ~PayloadSource() = default;
  // Gets the commit object (from the repository, else from the transaction's URL), passes it through TrustPolicy and
  // stores it. No content is fetched. Repeatable.
  virtual Result<Verdict> verify(const Transaction& t, const StopToken& stop) = 0;
  // Completes the content. Held by a ref until keep() or drop().
  virtual Status fetch(const Transaction& t, const VerifiedPayload& payload, const ProgressFn& progress,
                       const StopToken& stop) = 0;
  // The version is confirmed: keep its commit for the history, let go of those beyond keep_versions.
  virtual Status keep(const Transaction& t) = 0;
  // Undo of verify() and fetch().
  virtual Status drop(const Transaction& t) = 0;
};

enum class HookKind { state_check, install, verify, rollback };
std::string_view file_name(HookKind kind);

// What to run for one hook.
struct HookQuestion {
  HookKind kind = HookKind::state_check;
  std::string phase;  // HC_PHASE
  Side side;          // the version whose hook is meant: t.to, or t.from when that one is brought back
};

// Told of each step as it begins and ends; all on the thread that works.
struct Listener {
  ProgressFn progress;
  HookListener hook;
  std::function<void(const Transaction&, const std::string& step, Direction)> begins;
  std::function<void(const Transaction&, const StepRecord&)> ended;
};

class Snapshots;

// Which boot this is.
struct BootNow {
  std::string boot_id;
  std::optional<Slot> booted;  // nothing: no slot of ours (a foreign boot)
};

// Everything a transaction of one target touches. All parts outlive it.
struct Machine {
  PayloadSource& source;
  SlotStore& slots;
  Switch& choice;
  HookRunner& hooks;
  Records& records;
  Clock& clock;
  BootNow now;
  Listener listener;
  // Nothing where the payload has no such hook.
  std::function<Result<std::optional<HookCall>>(const Transaction&, const HookQuestion&)> hook_call;
  std::function<HealthReport(const Transaction&, const StopToken&)> health;
  std::optional<Verdict> verdict;  // of this run; see verified()

  // What only peripherals have.
  std::function<Result<bool>()> fitted = nullptr;  // whether the node's inventory knows it
  bool held = false;                               // came with an OS and is confirmed together with that, not by itself
  std::function<Result<PeripheralMetadata>(const Side&)> metadata = nullptr;  // of a version whose content is here
  Snapshots* snapshots = nullptr;

  // What only an OS has: the peripherals that its payload brings, each as a transaction not yet begun, and the machine
  // of each.
  std::function<Result<std::vector<Transaction>>(Transaction& os, const VerifiedPayload&)> carried = nullptr;
  std::function<Result<Machine>(const Target&, Records&)> machine_of = nullptr;
};

}  // namespace hc
