#pragma once

#include <gmock/gmock.h>

#include <map>
#include <random>

#include "engine/delta/apply.h"
#include "engine/delta/make.h"
#include "engine/delta/wire.h"

// Deltas in memory: made, and applied to objects that are taken at their word.
namespace hc {

inline std::string id(char c) { return std::string(64, c); }

inline std::string noise(std::size_t size, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string bytes;
  bytes.reserve(size + 8);
  while (bytes.size() < size) {
    const std::uint64_t next = random();
    bytes.append(reinterpret_cast<const char*>(&next), sizeof next);
  }
  bytes.resize(size);
  return bytes;
}

// Keeps what it is given; takes every name on trust.
class Shelf final : public ObjectStore {
 public:
  std::map<std::string, std::string> files, links, metadata;

  Result<bool> has_file(const std::string& checksum) override { return files.contains(checksum); }
  Result<std::unique_ptr<BaseFile>> base(const std::string& checksum) override {
    if (!files.contains(checksum)) return Error(Code::invalid, "no such base");
    return std::unique_ptr<BaseFile>(std::make_unique<Held>(files[checksum]));
  }
  Status put_metadata(ObjectKind, const std::string& checksum, std::string_view bytes) override {
    metadata[checksum] = bytes;
    return ok;
  }
  Status put_link(const std::string& checksum, const FileAttributes&, const std::string& target) override {
    links[checksum] = target;
    return ok;
  }
  Status begin_file(const std::string& checksum, const FileAttributes&, std::uint64_t size) override {
    name_ = checksum;
    size_ = size;
    content_.clear();
    return ok;
  }
  Status write(std::string_view piece) override {
    content_ += piece;
    return content_.size() > size_ ? Status(Error(Code::internal, "too much")) : Status(ok);
  }
  Status end_file() override {
    if (content_.size() != size_) return Error(Code::internal, "too little");
    files[name_] = content_;
    return ok;
  }
  Status keep() override { return ok; }

 private:
  struct Held final : BaseFile {
    explicit Held(std::string held) : content(std::move(held)) {}
    std::uint64_t size() const override { return content.size(); }
    Status read(std::uint64_t offset, char* to, std::size_t size) override {
      if (offset > content.size() || size > content.size() - offset) return Error(Code::internal, "beyond its end");
      content.copy(to, size, offset);
      return ok;
    }
    std::string content;
  };
  std::string name_, content_;
  std::uint64_t size_ = 0;
};

struct Made {
  DeltaHead head;
  std::string data;
};

class DeltaStream : public testing::Test {
 protected:
  void add(char name, const std::string& content, char base = 0) {
    const auto plan = plan_file(content, base ? id(base) : "", base ? old_.files[id(base)] : "");
    ASSERT_TRUE(plan);
    ASSERT_TRUE(maker_.file(id(name), {0, 0, 0100644, ""}, *plan));
  }
  Made made() {
    auto blocks = maker_.finish();
    Made result;
    EXPECT_TRUE(blocks);
    result.head.from = *Commit::parse(id('0'));
    result.head.blocks = *blocks;
    result.data = data_;
    return result;
  }
  Status apply(const Made& delta, std::string_view data, std::size_t piece, Shelf& shelf) {
    DeltaApply apply(delta.head, "dictionary", shelf);
    HC_TRY(apply.begin());
    data.remove_prefix(std::min<std::size_t>(data.size(), apply.position()));
    for (; !data.empty(); data.remove_prefix(std::min(piece, data.size()))) HC_TRY(apply.feed(data.substr(0, piece)));
    return apply.finish();
  }

  Shelf old_;
  std::string data_;
  DeltaMaker maker_{"dictionary", [this](std::string_view bytes) -> Status {
                      data_ += bytes;
                      return ok;
                    }};
};

// What the checksums of a block cannot know: orders that were made to do harm.
class HostileOrders : public DeltaStream {
 protected:
  Status run(const WireWriter& orders, const std::string& content = "", std::uint64_t diff = 0) {
    WireWriter all;
    all.number(diff);
    all.raw(orders.bytes());
    Made delta;
    delta.data = *pack(Codec::zstd, all.bytes(), "dictionary");
    DeltaBlock block;
    block.orders_packed = static_cast<std::uint32_t>(delta.data.size());
    block.orders_size = static_cast<std::uint32_t>(all.bytes().size());
    block.content_packed = block.content_size = static_cast<std::uint32_t>(content.size());
    delta.data += content;
    block.check = crc64(delta.data);
    delta.head.blocks = {block};
    Shelf shelf = old_;
    return apply(delta, delta.data, delta.data.size(), shelf);
  }
  static WireWriter file(std::uint64_t size) {
    WireWriter orders;
    orders.byte(static_cast<std::uint8_t>(Order::file));
    orders.checksum(id('a'));
    for (int i = 0; i < 3; ++i) orders.number(0);
    orders.text("");
    orders.number(size);
    return orders;
  }
  static void seek(WireWriter& orders, Order order, std::int64_t by, std::uint64_t length) {
    orders.byte(static_cast<std::uint8_t>(order));
    orders.signed_number(by);
    orders.number(length);
  }
};

}  // namespace hc
