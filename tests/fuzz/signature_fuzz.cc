// LIBS hc_payload
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/payload/signature.h"

// Detached metadata from anywhere: total, and a signature that was appended is read back.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view detached(reinterpret_cast<const char*>(data), size);
  const auto signatures = hc::read_signatures(detached);
  const std::string more(hc::kSignatureSize, 'x');
  const auto extended = hc::append_signature(detached, more);
  if (!signatures) {
    if (extended) std::abort();
    return 0;
  }
  if (!extended) std::abort();
  if (signatures->size() == hc::kMostSignatures) return 0;
  const auto again = hc::read_signatures(*extended);
  if (!again || again->back() != more) std::abort();
  return 0;
}
