// LIBS hc_payload
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/payload/keys.h"

// A *.pub file from anywhere: total, and what was accepted is a whole key.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto key = hc::PublicKey::parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!key) return 0;
  if (key->raw.size() != hc::kPublicKeySize || key->targets.empty()) std::abort();
  static_cast<void>(hc::signature_is_good(key->raw, "x", std::string(64, 's')));
  return 0;
}
