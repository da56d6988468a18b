#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/base/json.h"
#include "engine/base/result.h"

namespace hc {

enum class JobKind { deploy, rollback, confirm, pin, unpin, collect, health, file };

//            +-----------------> cancelled
//            |  +--------------> failed
//   queued -> running -> done
//    ^  deferred <-+  |
//    +---------+      +-> restart -> done | failed | cancelled
//
// deferred: not before a time. restart: its transaction goes on when the node has restarted. The last three are ends; a
// job reaches exactly one of them, once.
enum class JobState { queued, running, deferred, restart, done, failed, cancelled };

std::string_view name(JobKind kind);
std::string_view name(JobState state);
std::optional<JobKind> job_kind_from(std::string_view text);
constexpr bool ended(JobState state) { return state >= JobState::done; }

// One thing that somebody asked this node to do: a JSON file with a format number. Keys that this engine does not know
// are kept.
struct Job {
  static constexpr int kFormat = 1;

  std::uint64_t id = 0;  // grows; the order of the queue
  std::string uid;       // random: numbers begin anew where somebody emptied the queue's directory
  JobKind kind = JobKind::deploy;
  std::string target = "os";
  std::string what;  // version, commit or ref; file: its name in the upgrades directory
  std::string by;
  std::int64_t asked_at = 0;
  bool again = false;     // deploy it though it failed here before
  bool reboot = false;    // restart the node when that is the next step
  bool any_time = false;  // maintenance windows do not hold it
  unsigned attempts = 1;  // how often at the most, where a failure may pass

  JobState state = JobState::queued;
  std::string reason;           // people's words for why it waits
  std::int64_t not_before = 0;  // deferred, restart: wall clock
  std::int64_t changed_at = 0;  // when the state last changed
  std::int64_t ended_at = 0;
  unsigned attempt = 1;           // the one under way, or the next
  unsigned starts = 0;            // how often this attempt was begun: more than once after a kill
  unsigned cut_off = 0;           // how often a kill or power cut in the middle of a hook made it begin anew
  bool cancel = false;            // somebody wants it to end
  std::string boot_id;            // restart: the boot that must end first
  std::uint64_t transaction = 0;  // the last that it led to; 0: none
  std::optional<Error> error;     // of the last attempt
  Json result = Json::object();   // what to tell who asked: {"report": ...} or {"text": ...}
  Json other = Json::object();    // the whole document as it was read

  // What transactions of the attempt under way bear; see Upgrader::work_for.
  std::string key() const { return uid + "." + std::to_string(attempt); }
  std::string label() const { return "job " + std::to_string(id); }
};

Json to_json(const Job& job);
// Fails on a document that lacks what is needed to run the job.
Result<Job> job_from(const Json& json);

}  // namespace hc
