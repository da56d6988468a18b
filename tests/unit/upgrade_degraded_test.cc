#include <gtest/gtest.h>
#include <stdlib.h>

#include "engine/upgrade/degraded.h"
#include "engine/upgrade/inventory.h"

namespace hc {
namespace {

class DegradedTest : public ::testing::Test {
 protected:
  DegradedTest() {
    std::string pattern = fs::temp_directory_path() / "hc-degraded-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~DegradedTest() override { static_cast<void>(remove_tree(directory_)); }

  static Transaction failed(std::uint64_t id, const std::string& target = "camera") {
    Transaction t;
    t.id = id;
    t.target = *Target::parse(target);
    return t;
  }

  fs::path directory_;
};

TEST_F(DegradedTest, TriesComeEverLaterButAtLeastOnceADay) {
  RecordDir records(directory_);
  DegradedList list(records);
  std::int64_t now = 1'000'000;
  ASSERT_TRUE(list.add(failed(1), "no answer", now));
  std::vector<std::int64_t> pauses;
  for (std::uint64_t id = 2; id < 40; ++id) {
    const auto entry = list.find(*Target::parse("camera"));
    ASSERT_TRUE(entry && *entry);
    EXPECT_FALSE((*entry)->due((*entry)->next_attempt() - 1));
    EXPECT_TRUE((*entry)->due((*entry)->next_attempt()));
    EXPECT_EQ((*entry)->since, 1'000'000);
    pauses.push_back((*entry)->next_attempt() - now);
    now = (*entry)->next_attempt();
    ASSERT_TRUE(list.add(failed(id), "no answer still", now));
  }
  EXPECT_EQ(pauses[0], 300);
  EXPECT_EQ(pauses[1], 600);
  EXPECT_EQ(pauses[2], 1200);
  EXPECT_EQ(pauses.back(), 86'400);
}

TEST_F(DegradedTest, ARepetitionOfOneTransactionCountsOnce) {
  RecordDir records(directory_);
  DegradedList list(records);
  ASSERT_TRUE(list.add(failed(1), "no answer", 5));
  ASSERT_TRUE(list.add(failed(1), "no answer", 7));
  EXPECT_EQ((*list.find(*Target::parse("camera")))->attempts, 0U);
}

TEST_F(DegradedTest, AClockThatWasSetBackPutsNothingOff) {
  RecordDir records(directory_);
  DegradedList list(records);
  ASSERT_TRUE(list.add(failed(1), "no answer", 2'000'000'000));
  EXPECT_TRUE((*list.find(*Target::parse("camera")))->due(1'000));
}

TEST_F(DegradedTest, EachTargetIsItsOwn) {
  RecordDir records(directory_);
  DegradedList list(records);
  ASSERT_TRUE(list.add(failed(1, "camera"), "one", 5));
  ASSERT_TRUE(list.add(failed(2, "switch"), "two", 5));
  ASSERT_TRUE(list.remove(*Target::parse("camera")));
  ASSERT_TRUE(list.remove(*Target::parse("camera"))) << "repeatable";
  const auto all = list.all();
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 1U);
  EXPECT_EQ(all->front().why, "two");
}

TEST_F(DegradedTest, InventoryWithoutAFileKnowsEveryPeripheral) {
  const auto inventory = Inventory::load(directory_ / "node.json");
  ASSERT_TRUE(inventory);
  EXPECT_TRUE(inventory->fitted(*Target::parse("camera")));
}

TEST_F(DegradedTest, InventoryNamesWhatIsFitted) {
  ASSERT_TRUE(write_atomically(directory_ / "node.json",
                               R"({"site": "W023", "peripherals": {"camera": {}, "gauge": {"fitted": false}}})"));
  const auto inventory = Inventory::load(directory_ / "node.json");
  ASSERT_TRUE(inventory);
  EXPECT_TRUE(inventory->fitted(*Target::parse("camera")));
  EXPECT_FALSE(inventory->fitted(*Target::parse("gauge")));
  EXPECT_FALSE(inventory->fitted(*Target::parse("switch")));
  EXPECT_TRUE(inventory->fitted(Target::os()));
}

TEST_F(DegradedTest, InventorySaysWhereItIsWrong) {
  for (const char* text : {"", "[]", "{}", R"({"peripherals": []})", R"({"peripherals": {"camera": true}})",
                           R"({"peripherals": {"camera": {"fitted": "yes"}}})", R"({"peripherals": {"../x": {}}})",
                           R"({"peripherals": {"a": {}, "a": {}}})"}) {
    ASSERT_TRUE(write_atomically(directory_ / "node.json", text));
    const auto inventory = Inventory::load(directory_ / "node.json");
    ASSERT_FALSE(inventory) << text;
    EXPECT_NE(inventory.error().text().find("node.json"), std::string::npos);
    EXPECT_FALSE(inventory.error().hint().empty());
  }
}

}  // namespace
}  // namespace hc
