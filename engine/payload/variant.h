#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/base/handle.h"

// GVariants that came from outside. Total on any bytes.
namespace hc {

// What libostree itself allows for one metadata object.
inline constexpr std::size_t kVariantLimit = 10 << 20;

// `bytes` as a GVariant of `type`. Fails with Code::invalid above kVariantLimit and on anything that is not in normal
// form, so that one value has one meaning. `what` names it in the refusal: "the commit object".
Result<Variant> parse_variant(std::string_view bytes, const char* type, std::string_view what);

// The value of `key` in `dictionary`, an a{sv}; empty where there is none. Fails with Code::invalid where it stands
// twice or is not of `type`: another reader might take the other one.
Result<Variant> find_value(GVariant* dictionary, std::string_view key, const char* type);

// The serialized form of `value`.
std::string bytes_of(GVariant* value);

}  // namespace hc
