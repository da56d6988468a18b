#include <gmock/gmock.h>

#include "engine/delta/codec.h"
#include "engine/delta/packed_part.h"
#include "engine/delta/wire.h"
#include "tests/unit/delta_shelf.h"

namespace hc {
namespace {

// As a Linux kernel for x86 is built: something, LZ4, its unpacked size, something.
std::string kernel(const std::string& within) {
  std::string head(5 * 512, 'h');
  std::string packed;
  Repacker repacker({9, 0, 0, within.size()}, [&](std::string_view piece) -> Status {
    packed += piece;
    return ok;
  });
  EXPECT_TRUE(repacker.write(within));
  WireWriter payload;
  payload.fixed32(16);
  payload.fixed32(static_cast<std::uint32_t>(packed.size() + 4));
  head[0x1f1] = 4;
  head.replace(0x202, 4, "HdrS");
  head.replace(0x206, 2, std::string("\x0f\x02", 2));
  head.replace(0x248, 8, payload.bytes());
  WireWriter size;
  size.fixed32(static_cast<std::uint32_t>(within.size()));
  return head + std::string(16, 's') + packed + size.bytes() + noise(3000, 77);
}

// Code, more or less: what packs to a third.
std::string code(std::size_t size) {
  const std::string words = noise(60'000, 5);
  std::string bytes;
  for (std::size_t i = 0; bytes.size() < size; i = (i * 7919 + 13) % 50'000) bytes += words.substr(i, 24);
  bytes.resize(size);
  return bytes;
}

TEST_F(DeltaStream, LooksIntoAPackedKernel) {
  const std::string within = code((8 << 20) + 500'000);
  std::string changed = within;
  for (std::size_t i = 0; i < changed.size(); i += 20'000) ++changed[i];
  changed.insert(100'000, noise(300, 6));
  old_.files[id('1')] = kernel(within);
  const auto seen = look_into(kernel(changed));
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->part.at, 5 * 512U + 16);
  EXPECT_EQ(seen->part.unpacked, changed.size());
  add('a', kernel(changed), '1');
  add('b', kernel(code(10'000)));
  const Made delta = made();
  EXPECT_LT(delta.data.size(), 100'000U);
  for (const std::size_t piece : {std::size_t{1000}, delta.data.size()}) {
    Shelf shelf = old_;
    const Status done = apply(delta, delta.data, piece, shelf);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(shelf.files[id('a')], kernel(changed));
    EXPECT_EQ(shelf.files[id('b')], kernel(code(10'000)));
  }
  // Another base than the delta was made for, though it bears its name.
  Shelf strange;
  strange.files[id('1')] = noise(old_.files[id('1')].size(), 8);
  EXPECT_FALSE(apply(delta, delta.data, delta.data.size(), strange));
}

TEST(PackedPart, IsFoundWhereTheSameComesOutOnly) {
  const std::string good = kernel(code(200'000));
  ASSERT_TRUE(look_into(good));
  const std::size_t at = 5 * 512 + 16;
  const std::string all = good.substr(at, good.size() - at - 3000 - 4);
  ASSERT_TRUE(look_into(all)) << "a file that is nothing else";
  EXPECT_EQ(look_into(all)->part.at, 0U);
  EXPECT_FALSE(look_into(good.substr(0, at + 3000)));
  EXPECT_FALSE(look_into(all + "x"));
  EXPECT_FALSE(look_into(""));
  EXPECT_FALSE(look_into(noise(100'000, 9)));
  std::string other = good;
  other[at] = 'x';
  EXPECT_FALSE(look_into(other));
  // Literals only: what it unpacks to is right, but nobody packs like that.
  const std::string literal = std::string("\x02\x21\x4c\x18\x06\0\0\0\x50", 9) + "aaaaa";
  EXPECT_FALSE(look_into(literal + std::string("\x02\0\0\0\x10", 5) + "a"));
}

TEST(PackedPart, AnOldFileThatIsNotSoIsRefused) {
  Shelf shelf;
  const std::string good = kernel(code(200'000));
  const PackedPart part = look_into(good)->part;
  const auto view = [&](const std::string& file, PackedPart said) -> Status {
    shelf.files[id('1')] = file;
    std::unique_ptr<BaseFile> base = HC_TRY(shelf.base(id('1')));
    const std::unique_ptr<BaseFile> seen = HC_TRY(unpacked_view(std::move(base), said));
    std::string all(seen->size(), '\0');
    return seen->read(0, all.data(), all.size());
  };
  EXPECT_TRUE(view(good, part));
  for (const PackedPart& said :
       {PackedPart{9, part.at + 1, part.packed, part.unpacked}, PackedPart{9, part.at, part.packed - 1, part.unpacked},
        PackedPart{9, part.at, part.packed, part.unpacked - 1}, PackedPart{9, part.at, part.packed, part.unpacked + 1},
        PackedPart{9, part.at, part.packed, 9 << 20}, PackedPart{9, part.at, good.size(), part.unpacked},
        PackedPart{9, ~std::uint64_t{0}, 2, 2}, PackedPart{9, 0, 2, 2},
        PackedPart{99, part.at, part.packed, part.unpacked}})
    EXPECT_FALSE(view(good, said));
  std::string damaged = good;
  damaged.replace(part.at + 8, part.packed - 8, std::string(part.packed - 8, '\xff'));
  EXPECT_FALSE(view(damaged, part));
}

// What no maker writes; the store would be given more than was announced, or less.
TEST_F(HostileOrders, PackedPartsThatCannotBeAreRefused) {
  const auto told = [&](std::uint64_t size, const PackedPart& part, std::uint64_t before) -> Status {
    WireWriter orders = file(size);
    const std::string content(100, 'c');
    const auto data = [&](std::uint64_t length) {
      orders.byte(static_cast<std::uint8_t>(Order::data));
      orders.number(length);
    };
    if (before > 0) data(before);
    orders.byte(static_cast<std::uint8_t>(Order::packed));
    part.write(orders);
    data(content.size() - before);
    return run(orders, content);
  };
  std::uint64_t size = 0;
  Repacker repacker({9, 0, 0, 100}, [&](std::string_view piece) -> Status {
    size += piece.size();
    return ok;
  });
  ASSERT_TRUE(repacker.write(std::string(100, 'c')));
  EXPECT_TRUE(told(size, {9, 0, size, 100}, 0));
  EXPECT_FALSE(told(size + 1, {9, 0, size + 1, 100}, 0)) << "it comes out smaller";
  EXPECT_FALSE(told(size - 1, {9, 0, size - 1, 100}, 0)) << "it comes out larger";
  EXPECT_FALSE(told(size, {9, 0, size + 1, 100}, 0)) << "larger than the file";
  EXPECT_FALSE(told(size, {9, ~std::uint64_t{0}, 2, 82}, 0));
  EXPECT_FALSE(told(size, {2, 0, size, 100}, 0)) << "no such level";
  EXPECT_FALSE(told(size, {9, 0, size, 0}, 0));
  EXPECT_FALSE(told(size, {9, 0, size, std::uint64_t{2} << 30}, 0));
  EXPECT_FALSE(told(size + 10, {9, 10, size, 90}, 10)) << "behind the first content";
}

}  // namespace
}  // namespace hc
