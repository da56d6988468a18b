#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "engine/base/result.h"

namespace hc {

using Json = nlohmann::ordered_json;

// Strict JSON (RFC 8259): refuses duplicate keys, a byte-order mark, comments, trailing text, numbers out of range,
// lone surrogates, NUL in strings, nesting above 32 and text above `limit` bytes. The error names line, column and, for
// a duplicate, the key. CI and node use this one parser, so what was reviewed is what runs.
Result<Json> parse_json(std::string_view text, std::size_t limit = 16 << 20);

// `json` as text that is always valid UTF-8 and ends with a newline.
std::string dump_json(const Json& json, int indent = 2);

}  // namespace hc
