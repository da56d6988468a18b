#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/base/process.h"
#include "hooks/hook.h"
#include "hooks/room.h"

namespace hc {

using Credentials = std::map<std::string, std::string>;  // file name and content

// The files of HookCall::credentials; none where that is empty.
Result<Credentials> read_credentials(const fs::path& directory);

// Everything of a call that must not be seen.
std::vector<std::string> all_secrets(const HookCall& call, const Credentials& credentials);

// From what a call allows to what the child may do.
struct Narrowing {
  const HookCall& call;
  const Credentials& credentials;
  const HookRoom* room;     // may be null: then what needs it fails
  std::int64_t timeout_ms;  // for name servers
  const StopToken& stop;
  std::vector<std::string> warnings;  // what the hook will have to do without
};

// Adds to `spec` all that the call narrows. Fails where something of it means nothing on this machine.
Status narrow(Narrowing& narrowing, ProcessSpec& spec);

}  // namespace hc
