#pragma once

#include <cstdint>

namespace hc {

// What a block tells to do. From `base` on: with the file that was begun last.
enum class Order : std::uint8_t {
  metadata = 1,
  link = 2,
  file = 3,
  base = 4,
  diff = 5,
  data = 6,
  copy = 7,
  packed = 8,         // has a packed part, and is written as if that were unpacked
  unpacked_base = 9,  // an old file as if its packed part were unpacked
};

}  // namespace hc
