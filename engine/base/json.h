#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace hc {

using Json = nlohmann::ordered_json;

// Strict JSON (RFC 8259): refuses duplicate keys, a byte-order mark, comments, trailing text, numbers out of range,
// lone surrogates, NUL in strings, nesting above 32 and text above `limit` bytes. Every refusal names line, column and
// byte offset ("line 3, column 5 (byte 40): ..."; lines and columns count from 1, in bytes, offsets from 0) and, for a
// duplicate, the key. CI and node use this one parser, so what was reviewed is what runs.
Result<Json> parse_json(std::string_view text, std::size_t limit = 16 << 20);

// Where the member `key` of the outermost object stands in `text`: "line 3, column 5 (byte 40)". For the words of a
// schema's refusal. REQUIRES: parse_json(text) gave an object with that member.
std::string place_of_key(std::string_view text, std::string_view key);

// `json` as text that is always valid UTF-8 and ends with a newline.
std::string dump_json(const Json& json, int indent = 2);

}  // namespace hc
