#include "engine/delta/make.h"

#include <algorithm>

#include "engine/delta/wire.h"

namespace hc {
namespace {

constexpr std::size_t kFullOrders = 1 << 20;
constexpr std::size_t kFullContent = 8 << 20;  // a node has 64 MB for all it does
// A run of equal bytes is worth an order of its own from here on; shorter ones are cheaper as zeros among differences.
constexpr std::size_t kWorthCopying = 4096;

std::string differences(std::string_view old, std::string_view fresh) {
  std::string result(fresh.size(), '\0');
  for (std::size_t i = 0; i < fresh.size(); ++i)
    result[i] = static_cast<char>(static_cast<unsigned char>(fresh[i]) - static_cast<unsigned char>(old[i]));
  return result;
}

void put_attributes(WireWriter& out, const FileAttributes& attributes) {
  out.number(attributes.uid);
  out.number(attributes.gid);
  out.number(attributes.mode);
  out.text(attributes.xattrs);
}

// What a plan will cost, roughly.
Result<std::size_t> cost(const FilePlan& plan) {
  std::string bytes;
  std::size_t at = 0;
  for (const Stretch& one : plan.stretches) {
    bytes += differences(std::string_view(plan.old).substr(one.from, one.length),
                         std::string_view(plan.content).substr(at, one.length));
    at += one.length;
    bytes += std::string_view(plan.content).substr(at, one.extra);
    at += one.extra;
  }
  const std::string packed = HC_TRY(pack_fast(bytes));
  return packed.size() + 6 * plan.stretches.size();
}

// A node holds one unpacked block of the old file: going to another one costs it as much as unpacking 8 MiB, which a
// short match there is not worth.
void stay_in_block(std::vector<Stretch>& stretches, const PackedPart& old) {
  constexpr std::uint64_t kWorthUnpacking = 1024;
  const auto block = [&](std::uint64_t at) { return at < old.at ? 0 : (at - old.at) / kUnpackedBlock; };
  std::uint64_t held = 0;
  std::vector<Stretch> kept;
  for (const Stretch& one : stretches) {
    const std::uint64_t last = block(one.from + (one.length == 0 ? 0 : one.length - 1));
    const bool elsewhere = block(one.from) != held || last != held;
    if (elsewhere && one.length < kWorthUnpacking && !kept.empty()) {
      kept.back().extra += one.length + one.extra;
      continue;
    }
    if (one.length > 0) held = last;
    kept.push_back(one);
  }
  stretches = std::move(kept);
}

// Says how to make the content, and what that costs.
Result<std::size_t> find_stretches(FilePlan& plan) {
  const std::string without = HC_TRY(pack_fast(plan.content));
  constexpr std::size_t kMostSorted = std::size_t{1} << 30;
  if (!plan.old.empty() && !plan.content.empty() && plan.old.size() < kMostSorted) {
    plan.stretches = HC_TRY(difference(plan.old, plan.content));
    if (plan.old_packed) stay_in_block(plan.stretches, *plan.old_packed);
    const std::size_t with = HC_TRY(cost(plan));
    if (with < without.size()) return with;
  }
  plan.base.clear();
  plan.old_packed.reset();
  plan.stretches.clear();
  if (!plan.content.empty()) plan.stretches.push_back({0, 0, plan.content.size()});
  return without.size();
}

}  // namespace

Result<FilePlan> plan_file(std::string content, std::string base, std::string old) {
  FilePlan plan;
  plan.size = content.size();
  plan.base = std::move(base);
  if (std::optional<UnpackedFile> fresh = look_into(content)) {
    FilePlan within = plan;
    within.packed = fresh->part;
    within.content = std::move(fresh->content);
    std::optional<UnpackedFile> before = look_into(old);
    if (before) within.old_packed = before->part;
    within.old = before ? std::move(before->content) : old;
    const std::size_t cost_within = HC_TRY(find_stretches(within));
    const std::string as_it_is = HC_TRY(pack_fast(content));
    if (cost_within < as_it_is.size()) return within;
  }
  plan.content = std::move(content);
  plan.old = std::move(old);
  HC_TRY(find_stretches(plan));
  return plan;
}

Status DeltaMaker::metadata(ObjectKind kind, const std::string& checksum, std::string_view bytes) {
  HC_TRY(room_for_orders(bytes.size()));
  WireWriter out;
  out.byte(static_cast<std::uint8_t>(Order::metadata));
  out.byte(static_cast<std::uint8_t>(kind));
  out.checksum(checksum);
  out.text(bytes);
  orders_ += out.bytes();
  return ok;
}

Status DeltaMaker::link(const std::string& checksum, const FileAttributes& attributes, const std::string& target) {
  HC_TRY(room_for_orders(target.size() + attributes.xattrs.size()));
  WireWriter out;
  out.byte(static_cast<std::uint8_t>(Order::link));
  out.checksum(checksum);
  put_attributes(out, attributes);
  out.text(target);
  orders_ += out.bytes();
  return ok;
}

Status DeltaMaker::file(const std::string& checksum, const FileAttributes& attributes, const FilePlan& plan) {
  // Small files never span blocks, so that an attempt that broke off repeats little.
  HC_TRY(room_for_orders(attributes.xattrs.size()));
  constexpr std::size_t kSmall = 1 << 20;
  if (plan.content.size() < kSmall && plan.content.size() > room()) HC_TRY(flush());
  WireWriter out;
  out.byte(static_cast<std::uint8_t>(Order::file));
  out.checksum(checksum);
  put_attributes(out, attributes);
  out.number(plan.size);
  if (plan.packed) {
    out.byte(static_cast<std::uint8_t>(Order::packed));
    plan.packed->write(out);
  }
  if (!plan.base.empty()) {
    out.byte(static_cast<std::uint8_t>(plan.old_packed ? Order::unpacked_base : Order::base));
    out.checksum(plan.base);
    if (plan.old_packed) plan.old_packed->write(out);
  }
  orders_ += out.bytes();
  base_at_ = 0;
  open_since_ = static_cast<std::uint32_t>(blocks_.size());
  std::uint64_t at = 0;
  for (const Stretch& one : plan.stretches) HC_TRY(stretch(plan, one, at));
  open_since_.reset();
  last_file_ = checksum;
  return ok;
}

Status DeltaMaker::stretch(const FilePlan& plan, const Stretch& one, std::uint64_t& at) {
  const std::string_view content = plan.content;
  HC_TRY(differing(std::string_view(plan.old).substr(one.from, one.length), content.substr(at, one.length), one.from));
  at += one.length;
  HC_TRY(data(content.substr(at, one.extra)));
  at += one.extra;
  return ok;
}

Status DeltaMaker::differing(std::string_view old, std::string_view fresh, std::uint64_t from) {
  std::size_t done = 0;  // up to here it is written
  std::size_t at = 0;
  const auto put = [&](std::size_t end) -> Status {
    while (done < end) {
      if (room() == 0) HC_TRY(flush());
      const std::size_t size = std::min(end - done, room());
      HC_TRY(room_for_orders(0));
      seek(Order::diff, from + done, size);
      diff_ += differences(old.substr(done, size), fresh.substr(done, size));
      done += size;
    }
    return ok;
  };
  while (at < fresh.size()) {
    const auto [left, right] = std::mismatch(old.begin() + static_cast<std::ptrdiff_t>(at), old.end(),
                                             fresh.begin() + static_cast<std::ptrdiff_t>(at));
    const auto equal = static_cast<std::size_t>(left - old.begin()) - at;
    if (equal >= kWorthCopying) {
      HC_TRY(put(at));
      HC_TRY(copy(from + at, equal));
      done = at + equal;
    }
    at += equal + 1;
  }
  return put(fresh.size());
}

Status DeltaMaker::copy(std::uint64_t from, std::uint64_t length) {
  HC_TRY(room_for_orders(0));
  seek(Order::copy, from, length);
  return ok;
}

Status DeltaMaker::data(std::string_view bytes) {
  while (!bytes.empty()) {
    if (room() == 0) HC_TRY(flush());
    HC_TRY(room_for_orders(0));
    const std::size_t size = std::min(bytes.size(), room());
    WireWriter out;
    out.byte(static_cast<std::uint8_t>(Order::data));
    out.number(size);
    orders_ += out.bytes();
    extra_ += bytes.substr(0, size);
    bytes.remove_prefix(size);
  }
  return ok;
}

void DeltaMaker::seek(Order order, std::uint64_t from, std::uint64_t length) {
  WireWriter out;
  out.byte(static_cast<std::uint8_t>(order));
  out.signed_number(static_cast<std::int64_t>(from - base_at_));
  out.number(length);
  orders_ += out.bytes();
  base_at_ = from + length;
}

std::size_t DeltaMaker::room() const { return kFullContent - diff_.size() - extra_.size(); }

Status DeltaMaker::room_for_orders(std::size_t size) {
  if (orders_.size() + size < kFullOrders || orders_.empty()) return ok;
  return flush();
}

Status DeltaMaker::flush() {
  if (orders_.empty()) return ok;
  WireWriter orders;
  orders.number(diff_.size());
  orders.raw(orders_);
  const std::string packed = HC_TRY(pack(Codec::zstd, orders.bytes(), dictionary_));
  const Packed content = HC_TRY(pack_best(diff_ + extra_));
  const std::string whole = packed + content.bytes;
  DeltaBlock block;
  block.orders_packed = static_cast<std::uint32_t>(packed.size());
  block.orders_size = static_cast<std::uint32_t>(orders.bytes().size());
  block.content_codec = content.codec;
  block.content_packed = static_cast<std::uint32_t>(content.bytes.size());
  block.content_size = static_cast<std::uint32_t>(diff_.size() + extra_.size());
  block.check = crc64(whole);
  block.resume = resume_;
  block.last_file = last_file_;
  blocks_.push_back(std::move(block));
  orders_.clear();
  diff_.clear();
  extra_.clear();
  last_file_.clear();
  resume_ = open_since_.value_or(static_cast<std::uint32_t>(blocks_.size()));
  return sink_(whole);
}

Result<std::vector<DeltaBlock>> DeltaMaker::finish() {
  HC_TRY(flush());
  return std::move(blocks_);
}

}  // namespace hc
