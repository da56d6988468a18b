#include "engine/delta/packed_part.h"

#include <lz4.h>
#include <lz4hc.h>

#include <algorithm>
#include <cstring>

namespace hc {
namespace {

constexpr std::uint32_t kMagic = 0x184C2102;
constexpr std::size_t kNumber = 4;  // bytes of it, and of a size
constexpr int kBlock = static_cast<int>(kUnpackedBlock);

Error no_such_part() { return {Code::invalid, "an old file has no such packed part"}; }

std::uint32_t most_packed() { return static_cast<std::uint32_t>(LZ4_compressBound(kBlock)); }

Result<std::string> packed_block(const std::string& block, int level) {
  std::string packed(static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(block.size()))), '\0');
  const int size = LZ4_compress_HC(block.data(), packed.data(), static_cast<int>(block.size()),
                                   static_cast<int>(packed.size()), level);
  if (size <= 0) return Error(Code::no_space, "packing: no memory");
  packed.resize(static_cast<std::size_t>(size));
  return packed;
}

class UnpackedView final : public BaseFile {
 public:
  UnpackedView(std::unique_ptr<BaseFile> file, const PackedPart& part) : file_(std::move(file)), part_(part) {}

  // Finds the blocks.
  Status begin() {
    HC_TRY(part_.check(file_->size()));
    std::uint64_t at = part_.at;
    const std::uint64_t end = part_.at + part_.packed;
    if (HC_TRY(number(at, end)) != kMagic) return no_such_part();
    for (std::uint64_t done = 0; done < part_.unpacked; done += kUnpackedBlock) {
      const std::uint32_t size = HC_TRY(number(at, end));
      if (size > end - at || size > most_packed()) return no_such_part();
      blocks_.push_back({at, size});
      at += size;
    }
    return at == end ? Status(ok) : Status(no_such_part());
  }

  std::uint64_t size() const override { return part_.unpacked_size(file_->size()); }

  Status read(std::uint64_t offset, char* to, std::size_t size) override {
    if (offset > this->size() || size > this->size() - offset) return no_such_part();
    while (size > 0) {
      const std::size_t done = HC_TRY(read_some(offset, to, size));
      offset += done;
      to += done;
      size -= done;
    }
    return ok;
  }

 private:
  // The one at `at`, which goes behind it.
  Result<std::uint32_t> number(std::uint64_t& at, std::uint64_t end) {
    std::string bytes(kNumber, '\0');
    if (end - at < bytes.size()) return no_such_part();
    HC_TRY(file_->read(at, bytes.data(), bytes.size()));
    at += bytes.size();
    return WireReader(bytes).fixed32();
  }

  Result<std::size_t> read_some(std::uint64_t offset, char* to, std::size_t size) {
    if (offset < part_.at) {
      size = std::min<std::uint64_t>(size, part_.at - offset);
      HC_TRY(file_->read(offset, to, size));
      return size;
    }
    if (offset >= part_.at + part_.unpacked) {
      HC_TRY(file_->read(offset - part_.unpacked + part_.packed, to, size));
      return size;
    }
    const std::uint64_t inside = offset - part_.at;
    HC_TRY(hold(inside / kUnpackedBlock));
    const std::size_t from = inside % kUnpackedBlock;
    size = std::min(size, held_.size() - from);
    std::memcpy(to, held_.data() + from, size);
    return size;
  }

  Status hold(std::size_t index) {
    if (holds_ == index && !held_.empty()) return ok;
    std::string packed(blocks_[index].size, '\0');
    HC_TRY(file_->read(blocks_[index].at, packed.data(), packed.size()));
    held_.resize(std::min(kUnpackedBlock, part_.unpacked - index * kUnpackedBlock));
    holds_ = index;
    const int size = LZ4_decompress_safe(packed.data(), held_.data(), static_cast<int>(packed.size()),
                                         static_cast<int>(held_.size()));
    if (size >= 0 && static_cast<std::size_t>(size) == held_.size()) return ok;
    held_.clear();
    return no_such_part();
  }

  struct Block {
    std::uint64_t at;
    std::uint32_t size;
  };
  const std::unique_ptr<BaseFile> file_;
  const PackedPart part_;
  std::vector<Block> blocks_;
  std::string held_;
  std::size_t holds_ = 0;
};

// Unpacks what lies at `at` and has `packed` bytes.
Result<UnpackedFile> unpack_at(std::string_view file, std::uint64_t at, std::uint64_t packed) {
  if (at > file.size() || packed > file.size() - at) return no_such_part();
  WireReader rest(file.substr(at, packed));
  if (HC_TRY(rest.fixed32()) != kMagic) return no_such_part();
  UnpackedFile result{{0, at, packed, 0}, std::string(file.substr(0, at))};
  std::string block(kUnpackedBlock, '\0');
  while (!rest.at_end()) {
    // Only the last block may be a short one.
    if (result.part.unpacked % kUnpackedBlock != 0) return no_such_part();
    const std::uint32_t size = HC_TRY(rest.fixed32());
    if (size > most_packed()) return no_such_part();
    const std::string_view bytes = HC_TRY(rest.raw(size));
    const int got = LZ4_decompress_safe(bytes.data(), block.data(), static_cast<int>(size), kBlock);
    if (got <= 0) return no_such_part();
    result.content.append(block, 0, static_cast<std::size_t>(got));
    result.part.unpacked += static_cast<std::uint64_t>(got);
    if (result.part.unpacked > kMostUnpackedPart) return no_such_part();
  }
  result.content += file.substr(at + packed);
  return result;
}

bool packs_to(const UnpackedFile& unpacked, std::string_view file) {
  std::string_view rest = file;
  Repacker repacker(unpacked.part, [&](std::string_view piece) -> Status {
    if (!rest.starts_with(piece)) return no_such_part();
    rest.remove_prefix(piece.size());
    return ok;
  });
  return repacker.write(unpacked.content) && rest.empty();
}

// What a Linux kernel for x86 unpacks itself: the fields setup_sects, version, payload_offset and payload_length of
// Documentation/arch/x86/boot.rst. The last 4 bytes are the unpacked size.
Result<UnpackedFile> unpack_kernel(std::string_view file) {
  constexpr std::size_t kHeader = 0x250;
  if (file.size() < kHeader || file.substr(0x202, 4) != "HdrS") return no_such_part();
  if (static_cast<unsigned char>(file[0x207]) < 2 || static_cast<unsigned char>(file[0x206]) < 8) return no_such_part();
  const auto sectors = static_cast<unsigned char>(file[0x1f1]);
  const std::uint64_t setup = (std::uint64_t{sectors == 0 ? 4U : sectors} + 1) * 512;
  WireReader payload(file.substr(0x248, 2 * kNumber));
  const std::uint64_t at = setup + HC_TRY(payload.fixed32());
  const std::uint32_t length = HC_TRY(payload.fixed32());
  if (length < kNumber) return no_such_part();
  return unpack_at(file, at, length - kNumber);
}

}  // namespace

Result<PackedPart> PackedPart::read(WireReader& in) {
  PackedPart part;
  part.level = HC_TRY(in.byte());
  part.at = HC_TRY(in.number());
  part.packed = HC_TRY(in.number());
  part.unpacked = HC_TRY(in.number());
  return part;
}

void PackedPart::write(WireWriter& out) const {
  out.byte(level);
  out.number(at);
  out.number(packed);
  out.number(unpacked);
}

Status PackedPart::check(std::uint64_t size) const {
  if (level < 3 || level > 12 || at > size || packed > size - at || unpacked == 0 || unpacked > kMostUnpackedPart)
    return Error(Code::invalid, "it speaks of a packed part that cannot be");
  return ok;
}

Result<std::unique_ptr<BaseFile>> unpacked_view(std::unique_ptr<BaseFile> file, const PackedPart& part) {
  auto view = std::make_unique<UnpackedView>(std::move(file), part);
  HC_TRY(view->begin());
  return std::unique_ptr<BaseFile>(std::move(view));
}

Status Repacker::write(std::string_view piece) {
  while (!piece.empty()) {
    const bool inside = at_ >= part_.at && at_ < part_.at + part_.unpacked;
    std::uint64_t size = piece.size();
    if (at_ < part_.at) size = std::min(size, part_.at - at_);
    if (inside) size = std::min({size, part_.at + part_.unpacked - at_, kUnpackedBlock - block_.size()});
    const std::string_view taken = piece.substr(0, size);
    piece.remove_prefix(size);
    at_ += size;
    if (!inside) {
      HC_TRY(sink_(taken));
      continue;
    }
    if (block_.empty()) block_.reserve(kUnpackedBlock);
    block_ += taken;
    if (block_.size() == kUnpackedBlock || at_ == part_.at + part_.unpacked) HC_TRY(pack_block());
  }
  return ok;
}

Status Repacker::pack_block() {
  const std::uint64_t begins = at_ - block_.size();
  const std::string packed = HC_TRY(packed_block(block_, part_.level));
  WireWriter head;
  if (begins == part_.at) head.fixed32(kMagic);
  head.fixed32(static_cast<std::uint32_t>(packed.size()));
  HC_TRY(sink_(head.bytes()));
  if (at_ == part_.at + part_.unpacked) {
    std::string().swap(block_);
  } else {
    block_.clear();
  }
  return sink_(packed);
}

std::optional<UnpackedFile> look_into(std::string_view file) {
  Result<UnpackedFile> unpacked = unpack_kernel(file);
  if (!unpacked) unpacked = unpack_at(file, 0, file.size());
  if (!unpacked) return std::nullopt;
  for (const std::uint8_t level : {9, 12}) {
    unpacked->part.level = level;
    if (packs_to(*unpacked, file)) return std::move(unpacked).value();
  }
  return std::nullopt;
}

}  // namespace hc
