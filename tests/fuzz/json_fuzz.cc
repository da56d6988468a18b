// LIBS hc_base
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/base/json.h"

// What was accepted is written and read again as the same value; what was refused says where.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto json = hc::parse_json(text, 1 << 20);
  if (!json) {
    if (!json.error().text().starts_with("line ")) std::abort();
    return 0;
  }
  const auto again = hc::parse_json(hc::dump_json(*json));
  if (!again || *again != *json) std::abort();
  return 0;
}
