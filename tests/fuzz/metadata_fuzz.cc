// LIBS hc_payload
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/payload/metadata.h"

// Whatever is accepted keeps the promises that hooks rest on.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto metadata = hc::parse_metadata(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!metadata) return 0;
  if (metadata->target.is_os() || metadata->retry_install < -1 || metadata->retry_install > 1000) std::abort();
  if (metadata->timeout_install_s < 1 || metadata->timeout_install_s > 86'400) std::abort();
  for (const std::string& path : metadata->snapshot)
    if (!path.starts_with("/var/") || path.find("/..") != std::string::npos) std::abort();
  return 0;
}
