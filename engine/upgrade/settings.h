#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/base/file.h"
#include "engine/upgrade/windows.h"

namespace hc {

// What /etc/honeycomb/honeycomb.conf says (GKeyFile). docs/operations.md lists the keys.
struct Settings {
  std::string model;                           // [node] model
  std::string bootloader = "auto";             // [boot] loader
  unsigned tries = 3;                          // [boot] tries, 1..9
  unsigned keep_versions = 5;                  // [slots] keep_versions, 1..1000
  std::int64_t soak_s = 30;                    // [health] soak_s: how long the checks must stay good in a row
  std::int64_t deadline_s = 300;               // [health] deadline_s: good by then, or rolled back
  std::int64_t check_timeout_s = 150;          // [health] timeout_s of one check
  std::string hub;                             // [health] hub, host:port that must be reachable
  std::vector<std::string> required_checks;    // [health] required: built-in checks by name
  std::vector<std::string> wanted_checks;      // [health] wanted
  std::map<std::string, unsigned> thresholds;  // [threshold] TARGET=N
  std::int64_t connect_s = 30;                 // [network] connect_s
  std::int64_t stall_s = 60;                   // [network] stall_s: nothing arrives for this long
  unsigned attempts = 3;                       // [network] attempts
  std::uint64_t limit_kbit = 0;                // [network] limit_kbit: downloads take no more of the link; 0: all
  Windows install_windows;                     // [maintenance] install: when queued upgrades may begin
  Windows download_windows;                    // [maintenance] download: when their content may be fetched

  std::uint64_t bytes_per_s() const { return limit_kbit * 1000 / 8; }

  // The defaults where the file does not exist. Unknown groups and keys, wrong types and numbers out of range are
  // errors that name file, group and key.
  static Result<Settings> load(const fs::path& file);
};

}  // namespace hc
