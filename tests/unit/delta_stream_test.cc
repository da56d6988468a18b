#include <gmock/gmock.h>

#include "engine/base/handle.h"
#include "engine/delta/similar.h"
#include "engine/delta/wire.h"
#include "tests/unit/delta_shelf.h"

namespace hc {
namespace {

using testing::HasSubstr;

TEST_F(DeltaStream, GivesBackEveryObject) {
  old_.files[id('1')] = noise(300'000, 1);
  std::string changed = old_.files[id('1')];
  for (std::size_t i = 0; i < changed.size(); i += 1000) ++changed[i];
  changed.insert(150'000, noise(5000, 2));
  ASSERT_TRUE(maker_.metadata(ObjectKind::directory, id('d'), "a directory"));
  add('a', changed, '1');
  add('b', "");
  add('c', noise(1000, 3));
  ASSERT_TRUE(maker_.link(id('e'), {0, 0, 0120777, ""}, "/usr/lib"));
  const Made delta = made();
  EXPECT_LT(delta.data.size(), 20'000U);
  for (const std::size_t piece : {std::size_t{7}, std::size_t{1000}, delta.data.size()}) {
    Shelf shelf = old_;
    const Status done = apply(delta, delta.data, piece, shelf);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(shelf.files[id('a')], changed);
    EXPECT_EQ(shelf.files[id('b')], "");
    EXPECT_EQ(shelf.files[id('c')], noise(1000, 3));
    EXPECT_EQ(shelf.links[id('e')], "/usr/lib");
    EXPECT_EQ(shelf.metadata[id('d')], "a directory");
  }
}

TEST_F(DeltaStream, FilesMayBeLargerThanABlock) {
  const std::string large = noise(26 << 20, 4);
  add('a', large);
  add('b', noise(100, 5));
  const Made delta = made();
  EXPECT_GT(delta.head.blocks.size(), 2U);
  Shelf shelf;
  const Status done = apply(delta, delta.data, 1 << 20, shelf);
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(shelf.files[id('a')], large);
}

TEST_F(DeltaStream, GoesOnWhereItStopped) {
  for (int i = 0; i < 6; ++i) add(static_cast<char>('a' + i), noise(8 << 20, static_cast<unsigned>(i)));
  const Made delta = made();
  for (const double part : {0.3, 0.99}) {
    Shelf shelf;
    const auto cut = static_cast<std::size_t>(static_cast<double>(delta.data.size()) * part);
    const Status broken = apply(delta, std::string_view(delta.data).substr(0, cut), 65536, shelf);
    ASSERT_FALSE(broken);
    EXPECT_EQ(broken.error().code(), Code::unavailable);
    DeltaApply again(delta.head, "dictionary", shelf);
    ASSERT_TRUE(again.begin());
    EXPECT_LE(again.position(), cut);
    // A file that was cut off is begun again: two of them and a block at the most.
    EXPECT_GE(again.position() + (30 << 20), cut);
    ASSERT_TRUE(again.feed(std::string_view(delta.data).substr(again.position())));
    ASSERT_TRUE(again.finish());
    for (int i = 0; i < 6; ++i)
      EXPECT_EQ(shelf.files[id(static_cast<char>('a' + i))], noise(8 << 20, static_cast<unsigned>(i)));
  }
}

TEST_F(DeltaStream, EveryDamagedByteIsNoticed) {
  add('a', noise(2000, 6));
  add('b', std::string(5000, 'x'));
  const Made delta = made();
  for (std::size_t i = 0; i < delta.data.size(); i += 7) {
    std::string data = delta.data;
    data[i] = static_cast<char>(data[i] ^ 0x10);
    Shelf shelf;
    const Status refused = apply(delta, data, data.size(), shelf);
    ASSERT_FALSE(refused) << i;
    EXPECT_THAT(refused.error().text(), HasSubstr("damaged"));
    EXPECT_TRUE(shelf.files.empty());
  }
  Shelf shelf;
  EXPECT_FALSE(apply(delta, delta.data + "x", 100, shelf)) << "more than the head says";
}

TEST_F(HostileOrders, AreRefused) {
  old_.files[id('1')] = "0123456789";
  const auto with_base = [](std::uint64_t size) {
    WireWriter orders = file(size);
    orders.byte(static_cast<std::uint8_t>(Order::base));
    orders.checksum(id('1'));
    return orders;
  };
  WireWriter good = with_base(4);
  seek(good, Order::copy, 3, 4);
  EXPECT_TRUE(run(good));

  WireWriter no_base = file(4);
  seek(no_base, Order::copy, 0, 4);
  EXPECT_FALSE(run(no_base));
  for (const auto& [by, length] : {std::pair<std::int64_t, std::uint64_t>{-1, 4},
                                   {8, 4},
                                   {11, 0},
                                   {0, ~std::uint64_t{0}},
                                   {std::numeric_limits<std::int64_t>::min(), 4},
                                   {0, 5}}) {
    WireWriter orders = with_base(4);
    seek(orders, Order::copy, by, length);
    EXPECT_FALSE(run(orders)) << by << " " << length;
  }
  WireWriter beyond = file(10);
  beyond.byte(static_cast<std::uint8_t>(Order::data));
  beyond.number(10);
  EXPECT_FALSE(run(beyond, "123456789"));
  EXPECT_TRUE(run(beyond, "1234567890"));
  EXPECT_FALSE(run(beyond, "1234567890x")) << "content that no order takes";
  EXPECT_FALSE(run(beyond, "1234567890", 11)) << "more differences than content";
  EXPECT_FALSE(run(file(10))) << "a file that does not end";
  WireWriter inside = file(10);
  inside.raw(file(0).bytes());
  EXPECT_FALSE(run(inside)) << "a file inside a file";
  WireWriter unknown;
  unknown.byte(99);
  EXPECT_FALSE(run(unknown));
  WireWriter outside;
  outside.byte(static_cast<std::uint8_t>(Order::data));
  outside.number(0);
  EXPECT_FALSE(run(outside)) << "content of no file";
}

TEST(DeltaHeadTest, IsReadAsItWasWritten) {
  const std::string old_commit = noise(100'000, 7);
  const std::string commit = old_commit + noise(1000, 8);
  const GText hex(
      g_compute_checksum_for_data(G_CHECKSUM_SHA256, reinterpret_cast<const guchar*>(commit.data()), commit.size()));
  const Commit to = *Commit::parse(hex.get());
  DeltaHead head;
  head.from = *Commit::parse(id('1'));
  head.commit = commit;
  head.detached = "signatures";
  DeltaBlock block;
  block.orders_packed = 10;
  block.orders_size = 20;
  block.check = 77;
  block.last_file = id('f');
  head.blocks = {block};
  const CommitBytes base = [&](const Commit&) -> Result<std::string> { return old_commit; };
  const auto bytes = write_head(head, to, base);
  ASSERT_TRUE(bytes);
  EXPECT_LT(bytes->size(), 2000U) << "packed against the old commit";
  const auto read = read_head(*bytes, base);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->commit, commit);
  EXPECT_EQ(read->detached, "signatures");
  EXPECT_EQ(read->from, head.from);
  ASSERT_EQ(read->blocks.size(), 1U);
  EXPECT_EQ(read->blocks[0].last_file, id('f'));
  EXPECT_EQ(read->data_size(), 10U);

  for (std::size_t i = 0; i < bytes->size(); ++i) {
    std::string damaged = *bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    const bool unused = i >= kDeltaPreamble - 4 && i < kDeltaPreamble;
    const bool names_base = i >= 52 && i < 84;
    EXPECT_TRUE(unused || names_base || !read_head(damaged, base)) << i;
    EXPECT_FALSE(read_head(bytes->substr(0, i), base));
  }
  block.content_size = kMostContent + 1;
  head.blocks = {block};
  EXPECT_THAT(read_head(*write_head(head, to, base), base).error().text(), HasSubstr("memory"));
}

TEST(SimilarFilesTest, FindsTheSameFileOfAnotherVersion) {
  SimilarFiles files;
  files.add("usr/bin/tool", {"tool", 10});
  files.add("usr/lib/modules/6.1.0-38-amd64/kernel/net/tun.ko", {"tun", 10});
  files.add("usr/lib/modules/6.1.0-38-amd64/kernel/net/other.ko", {"other", 10});
  files.add("usr/lib/libz.so.1.2.11", {"libz", 10});
  files.add("usr/lib/old/libq.so.2", {"small", 10});
  files.add("usr/lib/older/libq.so.1", {"large", 1000});
  const auto found = [&](const char* path, std::uint64_t size) {
    const auto* file = files.find(path, size);
    return file ? file->checksum : "none";
  };
  EXPECT_EQ(found("usr/bin/tool", 10), "tool");
  EXPECT_EQ(found("usr/lib/modules/6.1.0-41-amd64/kernel/net/tun.ko", 10), "tun");
  EXPECT_EQ(found("usr/lib/libz.so.1.3", 10), "libz");
  EXPECT_EQ(found("usr/lib/new/libq.so.3", 900), "large");
  EXPECT_EQ(found("usr/lib/new/libq.so.3", 20), "small");
  EXPECT_EQ(found("usr/bin/another", 10), "none");
}

TEST(DifferenceTest, CoversTheNewFileWithoutAGap) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const std::string old = noise(seed * 997, seed);
    std::string fresh = old.substr(old.size() / 3) + noise(seed % 5 * 100, seed + 100) + old.substr(0, old.size() / 2);
    for (std::size_t i = 0; i < fresh.size(); i += 50 + seed) ++fresh[i];
    const auto stretches = difference(old, fresh);
    ASSERT_TRUE(stretches);
    std::uint64_t covered = 0;
    for (const Stretch& one : *stretches) {
      EXPECT_LE(one.from + one.length, old.size());
      covered += one.length + one.extra;
    }
    EXPECT_EQ(covered, fresh.size());
  }
  EXPECT_TRUE(difference("", "abc"));
  EXPECT_TRUE(difference("abc", ""));
}

}  // namespace
}  // namespace hc
