#include <gmock/gmock.h>
#include <stdlib.h>

#include "engine/store/slot_links.h"

namespace hc {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::string kOne = std::string(64, '1');
const std::string kTwo = std::string(64, '2');
Commit commit(const std::string& hex) { return *Commit::parse(hex); }

class SlotLinksTest : public testing::Test {
 public:
  SlotLinksTest() {
    std::string path = "/tmp/hc-links-XXXXXX";
    root_ = ::mkdtemp(path.data());
    fs::create_directories(root_ / "slots");
    links_ = std::make_unique<SlotLinks>(root_ / "slots", "../trees");
    for (const std::string& id : {kOne + ".0", kTwo + ".0", kTwo + ".1"}) fs::create_directories(root_ / "trees" / id);
  }
  ~SlotLinksTest() override { fs::remove_all(root_); }

  std::optional<std::string> id(Slot slot) const { return *links_->id(slot); }

  fs::path root_;
  std::unique_ptr<SlotLinks> links_;
};

TEST_F(SlotLinksTest, PointAndEmpty) {
  EXPECT_EQ(id(Slot::a), std::nullopt);
  ASSERT_TRUE(links_->point(Slot::a, kOne + ".0"));
  EXPECT_EQ(id(Slot::a), kOne + ".0");
  EXPECT_EQ(fs::read_symlink(root_ / "slots/a"), "../trees/" + kOne + ".0");
  EXPECT_EQ(id(Slot::b), std::nullopt);
  ASSERT_TRUE(links_->point(Slot::a, std::nullopt));
  ASSERT_TRUE(links_->point(Slot::a, std::nullopt));
  EXPECT_EQ(id(Slot::a), std::nullopt);
}

TEST_F(SlotLinksTest, RefusesWhatIsNotThere) {
  for (const std::string& bad : {kOne + ".7", std::string("../../etc"), kOne, kOne + ".x", std::string()})
    EXPECT_FALSE(links_->point(Slot::a, bad)) << bad;
}

TEST_F(SlotLinksTest, DanglingMeansEmpty) {
  ASSERT_TRUE(links_->point(Slot::a, kOne + ".0"));
  fs::remove_all(root_ / "trees" / (kOne + ".0"));
  EXPECT_EQ(id(Slot::a), std::nullopt);
}

TEST_F(SlotLinksTest, MemoryOutlivesARepetition) {
  ASSERT_TRUE(links_->point(Slot::b, kOne + ".0"));
  ASSERT_TRUE(links_->remember(Slot::b, commit(kTwo)));
  ASSERT_TRUE(links_->point(Slot::b, kTwo + ".0"));
  ASSERT_TRUE(links_->remember(Slot::b, commit(kTwo)));
  ASSERT_TRUE(links_->point(Slot::b, kTwo + ".1"));
  EXPECT_THAT(*links_->kept(), ElementsAre(kOne + ".0", kTwo + ".1"));
  // Another commit is another transaction.
  ASSERT_TRUE(links_->remember(Slot::b, commit(kOne)));
  EXPECT_THAT(*links_->kept(), ElementsAre(kTwo + ".1"));
  ASSERT_TRUE(links_->forget(Slot::b));
  ASSERT_TRUE(links_->forget(Slot::b));
}

TEST_F(SlotLinksTest, MemoryOfAnEmptySlotKeepsNothing) {
  ASSERT_TRUE(links_->remember(Slot::b, commit(kOne)));
  ASSERT_TRUE(links_->point(Slot::b, kOne + ".0"));
  ASSERT_TRUE(links_->remember(Slot::b, commit(kOne)));
  EXPECT_TRUE(links_->kept()->contains(kOne + ".0"));
  EXPECT_FALSE(links_->kept()->contains(kTwo + ".0"));
}

TEST_F(SlotLinksTest, SweepTakesOnlyInstallations) {
  fs::create_directories(root_ / "trees/something-else");
  fs::create_directories(root_ / "trees" / ("." + kOne + ".3.part"));
  ASSERT_TRUE(links_->point(Slot::a, kOne + ".0"));
  const auto stuck = links_->sweep({kTwo + ".1"});
  ASSERT_TRUE(stuck);
  EXPECT_THAT(*stuck, IsEmpty());
  EXPECT_THAT(*list_dir(root_ / "trees"), ElementsAre(kOne + ".0", kTwo + ".1", "something-else"));
}

TEST(Installations, Names) {
  EXPECT_EQ(commit_of_installation(kOne + ".12"), commit(kOne));
  for (const std::string& bad : {kOne, kOne + ".", kOne + ".1x", "x" + kOne + ".1", std::string(".")})
    EXPECT_EQ(commit_of_installation(bad), std::nullopt) << bad;
}

}  // namespace
}  // namespace hc
