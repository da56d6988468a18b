#include "engine/delta/apply.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/delta/wire.h"

namespace hc {
namespace {

constexpr std::size_t kPiece = 64 << 10;

Error contradicts() { return {Code::invalid, "its orders contradict one another"}; }

Result<FileAttributes> attributes_in(WireReader& in) {
  FileAttributes attributes;
  attributes.uid = HC_TRY(in.number32());
  attributes.gid = HC_TRY(in.number32());
  attributes.mode = HC_TRY(in.number32());
  attributes.xattrs = HC_TRY(in.text());
  return attributes;
}

}  // namespace

struct DeltaApply::Cursor {
  WireReader orders;
  WireReader diff;
  WireReader extra;
};

Status DeltaApply::begin() {
  open_ = false;
  base_.reset();
  repacker_.reset();
  pending_.clear();
  // Of a delta from nothing every file may have been here before.
  std::size_t wanted = head_.from ? head_.blocks.size() : 0;
  // Files are put in the order of the blocks: the newest that is here tells how far an earlier attempt came.
  for (; wanted > 0; --wanted) {
    const DeltaBlock& block = head_.blocks[wanted - 1];
    if (block.last_file.empty()) continue;
    const bool here = HC_TRY(store_.has_file(block.last_file));
    if (here) break;
  }
  block_ = wanted < head_.blocks.size() ? head_.blocks[wanted].resume : wanted;
  midway_ = block_ > 0;
  block_start_ = 0;
  for (std::size_t i = 0; i < block_; ++i) block_start_ += head_.blocks[i].size();
  return ok;
}

Status DeltaApply::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (done()) return Error(Code::invalid, "there is more of it than its head says");
    const std::size_t size = head_.blocks[block_].size();
    const std::size_t taken = std::min(bytes.size(), size - pending_.size());
    if (pending_.empty()) pending_.reserve(size);
    pending_.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    if (pending_.size() < size) return ok;
    HC_TRY(apply_block());
    block_start_ += size;
    ++block_;
  }
  return ok;
}

Status DeltaApply::finish() const {
  if (!done())
    return Error(Code::unavailable, "it ends too early: " + std::to_string(position()) + " of " +
                                        std::to_string(head_.data_size()) + " bytes are there");
  if (open_) return contradicts();
  return ok;
}

Status DeltaApply::apply_block() {
  const DeltaBlock& block = head_.blocks[block_];
  if (crc64(pending_) != block.check) return Error(Code::invalid, "block " + std::to_string(block_) + " is damaged");
  const std::string_view packed = pending_;
  const std::string orders =
      HC_TRY(unpack(Codec::zstd, packed.substr(0, block.orders_packed), block.orders_size, dictionary_));
  const std::string content =
      HC_TRY(unpack(block.content_codec, packed.substr(block.orders_packed), block.content_size));
  // The memory is wanted for packed parts.
  std::string().swap(pending_);
  WireReader reader(orders);
  const std::uint64_t diff_size = HC_TRY(reader.number());
  if (diff_size > content.size()) return contradicts();
  const std::string_view all = content;
  Cursor at{reader, WireReader(all.substr(0, diff_size)), WireReader(all.substr(diff_size))};
  while (!at.orders.at_end()) HC_TRY(carry_out(at));
  if (!at.diff.at_end() || !at.extra.at_end()) return contradicts();
  return ok;
}

Status DeltaApply::carry_out(Cursor& at) {
  const auto order = static_cast<Order>(HC_TRY(at.orders.byte()));
  const bool for_open_file = order >= Order::base;
  if (for_open_file && midway_) return pass_over(at, order);
  midway_ = false;
  if (for_open_file != open_) return contradicts();
  const Order before = std::exchange(last_, order);
  switch (order) {
    case Order::metadata:
      return put_metadata(at);
    case Order::link:
      return put_link(at);
    case Order::file:
      return begin_file(at);
    case Order::packed:
      return before == Order::file ? begin_packed(at) : contradicts();
    case Order::base:
    case Order::unpacked_base:
      return take_base(at, order);
    case Order::diff:
      return take_diff(at);
    case Order::data:
      return take_data(at);
    case Order::copy:
      return take_copy(at);
  }
  return Error(Code::invalid, "it has an order that this engine does not know");
}

Status DeltaApply::pass_over(Cursor& at, Order order) {
  switch (order) {
    case Order::unpacked_base:
      HC_TRY(at.orders.checksum());
      HC_TRY(PackedPart::read(at.orders));
      return ok;
    case Order::base:
      HC_TRY(at.orders.checksum());
      return ok;
    case Order::packed:
      HC_TRY(PackedPart::read(at.orders));
      return ok;
    case Order::diff:
    case Order::copy:
      HC_TRY(at.orders.signed_number());
      break;
    case Order::data:
      break;
    default:
      return contradicts();
  }
  const std::uint64_t length = HC_TRY(at.orders.number());
  if (order == Order::diff) HC_TRY(at.diff.raw(length));
  if (order == Order::data) HC_TRY(at.extra.raw(length));
  return ok;
}

Status DeltaApply::put_metadata(Cursor& at) {
  const std::uint8_t kind = HC_TRY(at.orders.byte());
  if (kind > 1) return contradicts();
  const std::string checksum = HC_TRY(at.orders.checksum());
  const std::string_view bytes = HC_TRY(at.orders.text());
  return store_.put_metadata(static_cast<ObjectKind>(kind), checksum, bytes);
}

Status DeltaApply::put_link(Cursor& at) {
  const std::string checksum = HC_TRY(at.orders.checksum());
  const FileAttributes attributes = HC_TRY(attributes_in(at.orders));
  const std::string_view target = HC_TRY(at.orders.text());
  return store_.put_link(checksum, attributes, std::string(target));
}

Status DeltaApply::begin_file(Cursor& at) {
  const std::string checksum = HC_TRY(at.orders.checksum());
  const FileAttributes attributes = HC_TRY(attributes_in(at.orders));
  left_ = HC_TRY(at.orders.number());
  file_left_ = left_;
  unwanted_ = HC_TRY(store_.has_file(checksum));
  base_.reset();
  repacker_.reset();
  if (!unwanted_) HC_TRY(store_.begin_file(checksum, attributes, left_));
  open_ = true;
  return write("");
}

Status DeltaApply::begin_packed(Cursor& at) {
  const PackedPart part = HC_TRY(PackedPart::read(at.orders));
  HC_TRY(part.check(left_));
  left_ = part.unpacked_size(left_);
  repacker_ = std::make_unique<Repacker>(part, [this](std::string_view piece) { return put(piece); });
  return ok;
}

Status DeltaApply::take_base(Cursor& at, Order order) {
  const std::string checksum = HC_TRY(at.orders.checksum());
  std::unique_ptr<BaseFile> base = HC_TRY(store_.base(checksum));
  if (order == Order::unpacked_base) {
    const PackedPart part = HC_TRY(PackedPart::read(at.orders));
    base = HC_TRY(unpacked_view(std::move(base), part));
  }
  base_ = std::move(base);
  base_at_ = 0;
  return ok;
}

// Reads how far to move in the base and how much to take there.
Status DeltaApply::seek(Cursor& at, std::uint64_t& length) {
  const std::int64_t by = HC_TRY(at.orders.signed_number());
  length = HC_TRY(at.orders.number());
  if (!base_) return contradicts();
  // Wraps round in the sum, and is caught there.
  base_at_ += static_cast<std::uint64_t>(by);
  if (length > left_ || base_at_ > base_->size() || length > base_->size() - base_at_) return contradicts();
  return ok;
}

Status DeltaApply::take_diff(Cursor& at) {
  std::uint64_t length = 0;
  HC_TRY(seek(at, length));
  std::array<char, kPiece> piece{};
  while (length > 0) {
    const std::size_t size = std::min<std::uint64_t>(length, piece.size());
    const std::string_view diff = HC_TRY(at.diff.raw(size));
    HC_TRY(base_->read(base_at_, piece.data(), size));
    for (std::size_t i = 0; i < size; ++i)
      piece[i] = static_cast<char>(static_cast<unsigned char>(piece[i]) + static_cast<unsigned char>(diff[i]));
    base_at_ += size;
    length -= size;
    HC_TRY(write({piece.data(), size}));
  }
  return ok;
}

Status DeltaApply::take_data(Cursor& at) {
  const std::uint64_t length = HC_TRY(at.orders.number());
  if (length > left_) return contradicts();
  const std::string_view piece = HC_TRY(at.extra.raw(length));
  return write(piece);
}

Status DeltaApply::take_copy(Cursor& at) {
  std::uint64_t length = 0;
  HC_TRY(seek(at, length));
  std::array<char, kPiece> piece{};
  while (length > 0) {
    const std::size_t size = std::min<std::uint64_t>(length, piece.size());
    HC_TRY(base_->read(base_at_, piece.data(), size));
    base_at_ += size;
    length -= size;
    HC_TRY(write({piece.data(), size}));
  }
  return ok;
}

Status DeltaApply::write(std::string_view piece) {
  if (!unwanted_ && !piece.empty()) HC_TRY(repacker_ ? repacker_->write(piece) : put(piece));
  left_ -= piece.size();
  if (left_ > 0) return ok;
  open_ = false;
  base_.reset();
  repacker_.reset();
  return unwanted_ ? Status(ok) : store_.end_file();
}

Status DeltaApply::put(std::string_view piece) {
  if (piece.size() > file_left_) return contradicts();
  file_left_ -= piece.size();
  return store_.write(piece);
}

}  // namespace hc
