// LIBS hc_payload
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/payload/archive_signature.h"

// A .sig from a stick: total, and what was understood is written and read back the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto signature = hc::parse_archive_signature({reinterpret_cast<const char*>(data), size});
  if (!signature) return 0;
  const auto text = hc::archive_signature_text(*signature);
  if (!text) std::abort();
  const auto again = hc::parse_archive_signature(*text);
  if (!again || again->commit != signature->commit || again->detached != signature->detached) std::abort();
  return 0;
}
