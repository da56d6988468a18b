#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"

namespace hc {

// What metadata.json in the root of a peripheral payload says: what it is, and how its hooks are to be run.
struct PeripheralMetadata {
  // Which addresses a hook may reach.
  enum class Network { open, none, loopback, hosts };

  std::string peripheral_name;   // as its author wrote it, for people
  Target target = Target::os();  // the same as a target, see target_named()
  Version config_version;
  std::string upgrade_name;  // "peripheral_name-config_version" where the file gives none
  std::string description;
  int retry_state_check = 0;  // further attempts; -1: until the time limit
  int retry_install = 0;
  int retry_verify = 0;
  std::int64_t timeout_state_check_s = 600;  // for all attempts of that hook together
  std::int64_t timeout_install_s = 600;
  std::int64_t timeout_verify_s = 600;
  std::vector<std::string> compatible;                   // models it may run on, globs; empty: all
  std::map<std::string, std::string> requires_versions;  // target -> least version
  bool reboot = false;
  // Device nodes below /dev that the hooks may use besides the standard ones; nothing: all that there are.
  std::optional<std::vector<std::string>> devices;
  Network network = Network::open;
  std::vector<std::string> hosts;     // Network::hosts: names and addresses
  std::string user;                   // whom the hooks run as; empty: root
  std::vector<std::string> snapshot;  // paths below /var that are copied before install
};

// Reads metadata.json, strictly: required are peripheral_name, config_version, retry_state_check, retry_install and
// retry_verify; a key that is not known, of another type or out of range is refused with its name and its place
// ("line 3, column 5 (byte 40)"). Files of the original Honeycomb stay readable: its keys force_install (bool) and
// config_file (string) are accepted and without effect, as in its own last version.
Result<PeripheralMetadata> parse_metadata(std::string_view text);

// The target that a peripheral's name stands for: lower case, each space a `-` ("Ubiquiti Edgeswitch" is
// `ubiquiti-edgeswitch`). Fails for names that are no Target then, and for `os`: a name never becomes a part of a path
// as it was written.
Result<Target> target_named(std::string_view peripheral_name);

}  // namespace hc
