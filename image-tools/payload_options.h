#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/file.h"

// The values of hc-payload's options, as text and as what they mean.
namespace hc {

// "2027-03-31", "2027-03-31T12:00:00Z", or "+90d": that many days after `built_at`, so that the same build gives the
// same payload. Seconds since 1970.
Result<std::int64_t> parse_expiry(const std::string& text, std::int64_t built_at);

// "TARGET=VERSION" of each, no target twice.
Result<std::map<std::string, std::string>> parse_requirements(const std::vector<std::string>& texts);

// When a payload was built: `chosen`, else SOURCE_DATE_EPOCH, else the newest modification time of a file in `tree`.
Result<std::int64_t> build_time(const std::optional<std::int64_t>& chosen, const fs::path& tree);

// The content of a changelog: valid UTF-8 of at most 64 KiB.
Result<std::string> read_changelog(const fs::path& path);

}  // namespace hc
