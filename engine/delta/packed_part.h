#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/object_store.h"
#include "engine/delta/wire.h"

// Files with a part that is packed so that the same bytes come out when it is packed again. Two such parts have little
// in common, what is in them has much: so a delta speaks of files as if that part were unpacked. LZ4 in its legacy
// form, as in Linux kernels: the magic number 0x184C2102, then blocks, each a size (4 bytes, the least first) and what
// 8 MiB (the last one: the rest) were packed to. Source: doc/lz4_Frame_format.md of LZ4, and `lz4 -l`.
namespace hc {

inline constexpr std::uint64_t kMostUnpackedPart = 1 << 30;
inline constexpr std::uint64_t kUnpackedBlock = 8 << 20;  // what is unpacked together

struct PackedPart {
  std::uint8_t level = 0;      // of LZ4's strong compressor, 3 to 12
  std::uint64_t at = 0;        // where it begins, in the file
  std::uint64_t packed = 0;    // its size there
  std::uint64_t unpacked = 0;  // its size in the file as if it were unpacked

  static Result<PackedPart> read(WireReader& in);
  void write(WireWriter& out) const;
  // Code::invalid for what no file of `size` bytes can have.
  Status check(std::uint64_t size) const;
  std::uint64_t unpacked_size(std::uint64_t size) const { return size - packed + unpacked; }
};

// `file` as if `part` were unpacked. Holds 8 MiB in memory, and as much again while it reads. Total on any bytes.
Result<std::unique_ptr<BaseFile>> unpacked_view(std::unique_ptr<BaseFile> file, const PackedPart& part);

// Takes a file as if `part` were unpacked, in pieces of any size, and gives it as it is. Holds 17 MiB in memory.
class Repacker {
 public:
  using Sink = std::function<Status(std::string_view)>;

  Repacker(const PackedPart& part, Sink sink) : part_(part), sink_(std::move(sink)) {}
  Status write(std::string_view piece);

 private:
  Status pack_block();

  const PackedPart part_;
  const Sink sink_;
  std::uint64_t at_ = 0;  // in the file as if it were unpacked
  std::string block_;
};

// A file as if its packed part were unpacked.
struct UnpackedFile {
  PackedPart part;
  std::string content;
};
// Of a Linux kernel (x86 boot protocol 2.08), or of a file that is all one such part; nothing where packing it again
// does not give the very same bytes.
std::optional<UnpackedFile> look_into(std::string_view file);

}  // namespace hc
