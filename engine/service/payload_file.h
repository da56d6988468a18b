#pragma once

#include <string>

#include "engine/base/file.h"

namespace hc {

// The path of a payload that lies in the node's upgrades directory, as in the first Honeycomb: `name` is one name, no
// path, of a bundle (.hcb) or of an archive (.tar.gz) with its signature beside it. Fails with Code::invalid where it
// is no such name or there is no such file, with Code::untrusted where the signature is missing, and says how to sign.
// Looks into no file.
Result<fs::path> find_payload_file(const fs::path& upgrades, const std::string& name);

}  // namespace hc
