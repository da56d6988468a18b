#pragma once

#include <string>
#include <vector>

#include "engine/base/stop.h"
#include "engine/upgrade/upgrader.h"

// The verbs of hc-os. Each prints its result to standard output (text, or one JSON document), what it is doing to
// standard error, and returns the exit status.
namespace hc {

struct Session {
  fs::path sysroot = "/";
  bool json = false;
  bool quiet = false;   // no progress, no steps; errors only
  bool detach = false;  // only queue it
  StopToken stop;
};

// Prints the error as this session wants it; its exit status.
int fail(const Session& session, const Error& error);
void print_json(const Json& json);

// Change something.
struct DeployOptions {
  std::string what;
  std::string target = "os";
  bool plan = false;
  bool again = false;
  bool reboot = false;
};
int deploy(const Session& session, const DeployOptions& options);
int rollback(const Session& session, const std::string& target, bool reboot);
int confirm(const Session& session);
int resume(const Session& session, bool reboot);
int repair(const Session& session, bool due);

// Look.
int status(const Session& session);
int check_peripherals(const Session& session);
struct HistoryOptions {
  std::string target;     // empty: all
  std::size_t most = 20;  // 0: all
};
int history(const Session& session, const HistoryOptions& options);
int show(const Session& session, const std::string& what, const std::string& target);
int diff(const Session& session, const std::string& from, const std::string& to, const std::string& target);
int log_of(const Session& session, const std::string& what);
int verify(const Session& session, const std::string& slot, const std::string& target);
int health(const Session& session);
// What is wrong with the set-up of this node, and how to mend it. Not `quick`: with every file of the slots.
int doctor(const Session& session, bool quick);

// Keep house.
int pin(const Session& session, const std::string& what, const std::string& target, bool pinned);
int collect_garbage(const Session& session);
int trust_list(const Session& session);
int remote_add(const Session& session, const std::string& name, const std::string& place);
int remote_remove(const Session& session, const std::string& name);
int remote_list(const Session& session);

// The queue of honeycombd. `what` is a job's number; empty: all.
int jobs(const Session& session, const std::string& what, bool follow);
int cancel(const Session& session, const std::string& what);
// Holds upgrades off while `command` runs; without one, until a stop.
int inhibit(const Session& session, const std::string& why, const std::vector<std::string>& command);

}  // namespace hc
