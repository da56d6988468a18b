#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"

// Base64 as RFC 4648 section 4 has it, padded and on one line.
namespace hc {

std::string encode_base64(std::string_view bytes);

// The bytes that `text` is the base64 of; Code::invalid for everything that encode_base64() would not write, and for
// nothing at all.
Result<std::string> decode_base64(std::string_view text);

}  // namespace hc
