// LIBS hc_payload
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/payload/manifest.h"

// A commit object from anywhere: total, and what was read can be written.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto manifest = hc::read_manifest(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!manifest) return 0;
  if (manifest->target.is_os() != (manifest->kind == hc::PayloadKind::os) || manifest->built_at < 0) std::abort();
  static_cast<void>(hc::to_json(*manifest));
  static_cast<void>(manifest->to_metadata());
  return 0;
}
