#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/delta/codec.h"

// The head of a delta: what must be known before any content is asked for. See docs/deltas.md.
namespace hc {

inline constexpr std::uint32_t kDeltaFormat = 1;
inline constexpr std::size_t kDeltaPreamble = 96;            // bytes that say how large the head is
inline constexpr std::uint64_t kMostHeadBytes = 32 << 20;    // packed or unpacked
inline constexpr std::uint64_t kMostOrders = 11 << 20;       // of one block, unpacked
inline constexpr std::uint64_t kMostContent = 12 << 20;      // of one block, unpacked
inline constexpr std::uint64_t kMostBlockMemory = 40 << 20;  // all that one block needs, packed and unpacked
inline constexpr std::uint32_t kMostBlocks = 100'000;

// One block of the data that follow the head.
struct DeltaBlock {
  std::uint32_t orders_packed = 0;
  std::uint32_t orders_size = 0;
  Codec content_codec = Codec::plain;
  std::uint32_t content_packed = 0;
  std::uint32_t content_size = 0;
  std::uint64_t check = 0;   // crc64 of the block as it is sent
  std::uint32_t resume = 0;  // the block to begin with where this one is wanted: a file may begin in an earlier one
  std::string last_file;     // checksum of the last file that ends in it; empty: none

  std::uint64_t size() const { return std::uint64_t{orders_packed} + content_packed; }
};

struct DeltaHead {
  std::optional<Commit> from;  // nothing: it is complete in itself
  std::string commit;          // the commit object's bytes, and what stands detached beside it
  std::string detached;
  std::vector<DeltaBlock> blocks;

  std::uint64_t data_size() const;
};

// What the first kDeltaPreamble bytes of a delta say.
struct DeltaPreamble {
  Commit to;
  std::optional<Commit> from;
  std::uint32_t packed = 0;  // size of the head behind the preamble
  std::uint32_t size = 0;    // unpacked
  std::uint64_t check = 0;
};

// Fails with Code::invalid on what is no delta, one of a later format (saying so), or one that asks for more memory
// than a node may give.
Result<DeltaPreamble> read_preamble(std::string_view bytes);

// `base` gives the bytes of a commit object that is here. Checks that the commit object is the one that the preamble
// names; says nothing about trust. `bytes`: preamble and head, nothing behind.
using CommitBytes = std::function<Result<std::string>(const Commit&)>;
Result<DeltaHead> read_head(std::string_view bytes, const CommitBytes& base);

Result<std::string> write_head(const DeltaHead& head, const Commit& to, const CommitBytes& base);

// What the orders of all blocks are packed against.
Result<std::string> dictionary_of(const DeltaHead& head, const CommitBytes& base);

}  // namespace hc
