#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/json.h"

namespace hc {

// One end of a transaction: what a slot holds.
struct Side {
  std::optional<Slot> slot;  // nothing: this target has no version yet
  std::string commit;        // hex; empty where there is none
  std::string version;
  std::uint64_t sequence = 0;

  bool operator==(const Side&) const = default;
};

// What one step did, in the order things happened.
struct StepRecord {
  std::string name;
  std::string direction;  // "run" or "undo"
  std::string outcome;    // "ok", "failed", "reboot", "ended"
  std::int64_t at = 0;    // wall clock when it began
  std::int64_t duration_ms = 0;
  std::string text;  // failed: why
};

struct Failure {
  std::string step;
  Code code = Code::internal;
  std::string text;
  std::string hint;
};

// `repair`: a degraded peripheral's version in use is installed and verified once more.
enum class TransactionKind { deploy, rollback, confirm, repair };
enum class Direction { forward, undo, done };
enum class Outcome { confirmed, failed, rolled_back, not_needed, not_fitted, cancelled };

std::string_view name(TransactionKind kind);
std::string_view name(Direction direction);
std::string_view name(Outcome outcome);

// The journal's content, and after its end the history's. A JSON file with a format number; keys that this engine does
// not know are kept as they are, so that an older engine can carry on what a newer one began.
struct Transaction {
  static constexpr int kFormat = 1;

  std::uint64_t id = 0;
  TransactionKind kind = TransactionKind::deploy;
  Target target = Target::os();

  std::string requested;     // what was asked for, as it was typed
  std::string requested_by;  // user name or uid
  std::int64_t requested_at = 0;
  std::string url;                // where the content comes from; empty: it is here already
  bool again = false;             // deploy it though it failed here before
  std::vector<std::string> jobs;  // keys of the queue's jobs that had a part in it

  Side from;
  Side to;
  std::optional<std::string> replaced;  // installation that to.slot held when this began; see SlotStore::restore
  Json manifest = Json::object();       // of the payload
  bool restart = false;                 // a peripheral that is good only after a restart of the node
  std::uint64_t part_of = 0;            // of which OS transaction this peripheral's is a part; 0: of none
  std::vector<Transaction> carried;     // of an OS: those of the peripherals that its payload brings

  Direction direction = Direction::forward;
  std::string step;     // the step to run or to undo next
  int entries = 0;      // how often that step was begun
  std::string boot_id;  // the boot in which the switch was (to be) made
  std::optional<Failure> failure;
  std::optional<Outcome> outcome;  // set when the end is decided
  std::string degraded;            // a peripheral that could not be taken back: why
  std::int64_t ended_at = 0;

  std::vector<StepRecord> steps;
  Json hooks = Json::array();              // {hook, target, phase, ...HookResult}
  Json health = Json::object();            // last health report
  std::vector<std::string> passed_before;  // health checks that passed before the switch
  std::vector<std::string> notes;          // for people: "kernel arguments: + quiet"
  Json other = Json::object();             // the whole document as it was read

  // "transaction 12"; used as context of errors.
  std::string label() const;
  // The node has to start anew before the new version can be judged.
  bool restarts() const { return target.is_os() || restart; }
  // It is in the history: nothing is left to do.
  bool ended() const { return direction == Direction::done && ended_at != 0; }
};

Json to_json(const Transaction& transaction);

// Fails on a document that lacks what an engine needs to go on, naming the key; never on one from a newer engine that
// has more.
Result<Transaction> transaction_from(const Json& json);

}  // namespace hc
