#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/file.h"
#include "engine/base/stop.h"
#include "engine/upgrade/health.h"

// Checks that every node has. Each looks only where its parameters say, and is bounded in time.
namespace hc {

// The names that a HealthPlan may hold: units, clock, disk, route, dns, hub.
const std::vector<std::string_view>& builtin_checks();

// Runs one of them as the plan says. A name that is not known is a check that could not run.
CheckResult run_builtin(std::string_view name, const HealthPlan& plan, const StopToken& stop);

// Nothing that systemd started has failed. Skipped where no systemd has been started in `root` (it makes its /run).
// `systemctl` is the program to ask.
CheckResult check_units(const fs::path& root, const std::string& systemctl, const StopToken& stop);

// It is not earlier than any time that is known to be over: `not_before_s`, the last time systemd-timesyncd saw, the
// epoch of the system in `root`.
CheckResult check_clock(const fs::path& root, std::int64_t now_s, std::int64_t not_before_s);

// At least so much may still be written on the file system of `path`.
CheckResult check_disk(const fs::path& path, std::uint64_t least_bytes, std::uint64_t least_inodes);

// There is a default route, of IPv4 or IPv6. `proc` is /proc.
CheckResult check_route(const fs::path& proc);

// The name in HOST:PORT has an address. Skipped for numeric addresses.
CheckResult check_dns(const std::string& hub, const StopToken& stop);

// A TCP connection to HOST:PORT can be made: the check that saves a node from a version without network.
CheckResult check_hub(const std::string& hub, const StopToken& stop);

}  // namespace hc
