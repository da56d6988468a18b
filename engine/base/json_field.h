#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "engine/base/json.h"
#include "engine/base/result.h"
#include "engine/base/text.h"

// Reading records that this or a newer engine wrote: fields that are not known are ignored, missing ones leave the
// default.
namespace hc {

inline bool fits(const Json& json, const std::string& /*like*/) { return json.is_string(); }
inline bool fits(const Json& json, bool /*like*/) { return json.is_boolean(); }
inline bool fits(const Json& json, double /*like*/) { return json.is_number(); }
inline bool fits(const Json& json, std::int64_t /*like*/) {
  return json.is_number_integer() &&
         (!json.is_number_unsigned() || json.get<std::uint64_t>() <= std::numeric_limits<std::int64_t>::max());
}
inline bool fits(const Json& json, std::uint64_t /*like*/) { return json.is_number_unsigned(); }
inline bool fits(const Json& json, int /*like*/) {
  return fits(json, std::int64_t{}) && json.get<std::int64_t>() >= std::numeric_limits<int>::min() &&
         json.get<std::int64_t>() <= std::numeric_limits<int>::max();
}

// Puts the field `key` of the object `json` into `value`, which stays as it is where there is none. Fails where the
// field is of another type or out of its range. REQUIRES: `json` is an object.
template <typename T>
Status read_field(const Json& json, const char* key, T& value) {
  const auto found = json.find(key);
  if (found == json.end()) return ok;
  if (!fits(*found, value)) return Error(Code::invalid, "the field " + quote(key) + " has another type than it should");
  value = found->get<T>();
  return ok;
}

}  // namespace hc
