#include "engine/delta/packed_part.h"

#include <lz4.h>
#include <lz4hc.h>

#include <algorithm>
#include <cstring>

namespace hc {
namespace {

constexpr std::uint64_t kBlock = kUnpackedBlock;
constexpr std::string_view kMagic("\x02\x21\x4c\x18", 4);
constexpr std::size_t kSizeBytes = 4;

std::uint32_t little_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  return value;
}

std::string little_endian(std::uint32_t value) {
  std::string bytes(kSizeBytes, '\0');
  for (char& byte : bytes) {
    byte = static_cast<char>(value & 0xff);
    value >>= 8;
  }
  return bytes;
}

Error no_such_part() { return {Code::invalid, "an old file has no such packed part"}; }

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
    std::string head(kMagic.size(), '\0');
    HC_TRY(file_->read(part_.at, head.data(), head.size()));
    if (head != kMagic) return no_such_part();
    std::uint64_t at = part_.at + kMagic.size();
    const std::uint64_t end = part_.at + part_.packed;
    for (std::uint64_t done = 0; done < part_.unpacked; done += kBlock) {
      if (end - at < kSizeBytes) return no_such_part();
      HC_TRY(file_->read(at, head.data(), kSizeBytes));
      const std::uint32_t size = little_endian(head);
      at += kSizeBytes;
      if (size > end - at || size > static_cast<std::uint64_t>(LZ4_compressBound(kBlock))) return no_such_part();
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
    HC_TRY(hold(inside / kBlock));
    const std::size_t from = inside % kBlock;
    size = std::min(size, held_.size() - from);
    std::memcpy(to, held_.data() + from, size);
    return size;
  }

  Status hold(std::size_t index) {
    if (holds_ == index && !held_.empty()) return ok;
    std::string packed(blocks_[index].size, '\0');
    HC_TRY(file_->read(blocks_[index].at, packed.data(), packed.size()));
    held_.resize(std::min(kBlock, part_.unpacked - index * kBlock));
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

class Bytes final : public BaseFile {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  Status read(std::uint64_t offset, char* to, std::size_t size) override {
    if (offset > bytes_.size() || size > bytes_.size() - offset) return no_such_part();
    std::memcpy(to, bytes_.data() + offset, size);
    return ok;
  }

 private:
  const std::string_view bytes_;
};

// What lies at `at` and has `packed` bytes, if it is LZ4 in its legacy form.
std::optional<PackedPart> measured(std::string_view file, std::uint64_t at, std::uint64_t packed) {
  if (at > file.size() || packed > file.size() - at || packed < kMagic.size() + kSizeBytes) return std::nullopt;
  std::string_view rest = file.substr(at, packed);
  if (!rest.starts_with(kMagic)) return std::nullopt;
  rest.remove_prefix(kMagic.size());
  PackedPart part{0, at, packed, 0};
  std::string block(kBlock, '\0');
  while (!rest.empty()) {
    // Only the last block may be a short one.
    if (part.unpacked % kBlock != 0 || rest.size() < kSizeBytes) return std::nullopt;
    const std::uint32_t size = little_endian(rest.substr(0, kSizeBytes));
    rest.remove_prefix(kSizeBytes);
    if (size == 0 || size > rest.size()) return std::nullopt;
    const int got = LZ4_decompress_safe(rest.data(), block.data(), static_cast<int>(size), static_cast<int>(kBlock));
    if (got <= 0) return std::nullopt;
    rest.remove_prefix(size);
    part.unpacked += static_cast<std::uint64_t>(got);
    if (part.unpacked > kMostUnpackedPart) return std::nullopt;
  }
  return part;
}

bool packs_to_the_same(std::string_view file, const PackedPart& part) {
  const auto whole = unpacked(std::string(file), part);
  if (!whole) return false;
  std::uint64_t at = 0;
  bool same = true;
  Repacker repacker(part, [&](std::string_view piece) -> Status {
    same = same && file.substr(std::min<std::uint64_t>(at, file.size())).starts_with(piece);
    at += piece.size();
    return same ? Status(ok) : Status(no_such_part());
  });
  return repacker.write(*whole) && same && at == file.size();
}

// Where a Linux kernel for x86 has what it unpacks itself: the fields setup_sects, version, payload_offset and
// payload_length of Documentation/arch/x86/boot.rst. The last 4 bytes are the unpacked size.
std::optional<PackedPart> kernel_part(std::string_view file) {
  constexpr std::size_t kHeader = 0x250;
  if (file.size() < kHeader || file.substr(0x202, 4) != "HdrS") return std::nullopt;
  if (static_cast<unsigned char>(file[0x207]) < 2 || static_cast<unsigned char>(file[0x206]) < 8) return std::nullopt;
  const auto sectors = static_cast<unsigned char>(file[0x1f1]);
  const std::uint64_t setup = (std::uint64_t{sectors == 0 ? 4U : sectors} + 1) * 512;
  const std::uint64_t at = setup + little_endian(file.substr(0x248, 4));
  const std::uint64_t length = little_endian(file.substr(0x24c, 4));
  return length < kSizeBytes ? std::nullopt : measured(file, at, length - kSizeBytes);
}

}  // namespace

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
    if (inside) size = std::min({size, part_.at + part_.unpacked - at_, kBlock - block_.size()});
    const std::string_view taken = piece.substr(0, size);
    piece.remove_prefix(size);
    at_ += size;
    if (!inside) {
      HC_TRY(sink_(taken));
      continue;
    }
    if (block_.empty()) block_.reserve(kBlock);
    block_ += taken;
    if (block_.size() == kBlock || at_ == part_.at + part_.unpacked) HC_TRY(pack_block());
  }
  return ok;
}

Status Repacker::pack_block() {
  const std::uint64_t begins = at_ - block_.size();
  const std::string packed = HC_TRY(packed_block(block_, part_.level));
  if (begins == part_.at) HC_TRY(sink_(kMagic));
  HC_TRY(sink_(little_endian(static_cast<std::uint32_t>(packed.size()))));
  if (at_ == part_.at + part_.unpacked) {
    std::string().swap(block_);
  } else {
    block_.clear();
  }
  return sink_(packed);
}

std::optional<PackedPart> find_packed_part(std::string_view file) {
  std::optional<PackedPart> part = kernel_part(file);
  if (!part) part = measured(file, 0, file.size());
  if (!part) return std::nullopt;
  for (const std::uint8_t level : {9, 12}) {
    part->level = level;
    if (packs_to_the_same(file, *part)) return part;
  }
  return std::nullopt;
}

Result<std::string> unpacked(const std::string& file, const PackedPart& part) {
  const std::unique_ptr<BaseFile> view = HC_TRY(unpacked_view(std::make_unique<Bytes>(file), part));
  std::string whole(view->size(), '\0');
  HC_TRY(view->read(0, whole.data(), whole.size()));
  return whole;
}

}  // namespace hc
