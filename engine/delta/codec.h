#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"

// The compressors of a delta. What is unpacked is bounded before it is allocated.
namespace hc {

enum class Codec : std::uint8_t { plain = 0, zstd = 1, xz = 2 };

// At most this much is looked back at: what an xz decoder has to hold beside its output.
inline constexpr std::uint32_t kXzWindow = 8 << 20;

// `dictionary` (zstd only) is what both sides have already.
Result<std::string> pack(Codec codec, std::string_view raw, std::string_view dictionary = {});
// Exactly `raw_size` bytes, or Code::invalid. REQUIRES: the caller has checked that so much may be allocated.
Result<std::string> unpack(Codec codec, std::string_view packed, std::size_t raw_size,
                           std::string_view dictionary = {});

// Quickly, to compare sizes.
Result<std::string> pack_fast(std::string_view raw);

struct Packed {
  Codec codec = Codec::plain;
  std::string bytes;
};
// By whichever makes it smallest.
Result<Packed> pack_best(std::string_view raw);

}  // namespace hc
