#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/store/peripheral_store.h"
#include "tests/integration/support/store_tree.h"

namespace hc {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class PeripheralStoreTest : public testing::Test {
 protected:
  VerifiedPayload release(const std::string& version) {
    put_tree(dir_ / "tree", {{"metadata.json", "{}"}, {"firmware.bin", std::string(5000, version.back())}});
    put_file(dir_ / "tree/hc_install_upgrade.sh", "#!/bin/sh\necho " + version + "\n", 0755);
    GVariantDict dict;
    g_variant_dict_init(&dict, nullptr);
    g_variant_dict_insert(&dict, "version", "s", version.c_str());
    Repository::CommitOptions options;
    options.root_owned = true;
    return TrustPolicy::vouch(
        must(repository_.commit_tree(dir_ / "tree", g_variant_dict_end(&dict), options, nullptr, StopToken())));
  }
  SlotContent stage(Slot slot, const VerifiedPayload& payload) {
    return must(store_->stage(slot, payload, nullptr, StopToken()));
  }
  std::size_t checkouts() const { return must(list_dir(dir_ / "camera/checkouts")).size(); }

  TempDir dir_;
  // Owners are root's to give.
  Repository repository_ = must(Repository::create(dir_ / "repo", ::geteuid() == 0 ? "bare" : "bare-user"));
  std::unique_ptr<PeripheralStore> store_ = must(PeripheralStore::open(dir_ / "camera", repository_));
};

TEST_F(PeripheralStoreTest, StageSwitchAndRestore) {
  const VerifiedPayload one = release("1.0");
  const VerifiedPayload two = release("2.0");
  EXPECT_EQ(must(store_->active()), std::nullopt);
  EXPECT_FALSE(store_->set_active(Slot::a)) << "an empty slot cannot be in use";
  const SlotContent first = stage(Slot::a, one);
  EXPECT_EQ(first.version, "1.0");
  must(store_->set_active(Slot::a));
  EXPECT_EQ(must(store_->active()), Slot::a);
  EXPECT_EQ(fs::canonical(dir_ / "camera/active"), fs::canonical(first.root));
  EXPECT_THAT(must(store_->release()), IsEmpty());

  const SlotContent second = stage(Slot::b, two);
  EXPECT_EQ(file_text(second.root / "hc_install_upgrade.sh"), "#!/bin/sh\necho 2.0\n");
  EXPECT_EQ(fs::status(second.root / "hc_install_upgrade.sh").permissions(), fs::perms(0755));
  EXPECT_EQ(must(store_->active()), Slot::a);
  must(store_->restore(Slot::b, std::nullopt));
  must(store_->restore(Slot::b, std::nullopt));
  EXPECT_EQ(must(store_->content(Slot::b)), std::nullopt);
  EXPECT_EQ(checkouts(), 1U);
  must(store_->set_active(std::nullopt));
  EXPECT_EQ(must(store_->active()), std::nullopt);
}

TEST_F(PeripheralStoreTest, CheckoutsShareNothingWithTheRepository) {
  if (::geteuid() != 0) GTEST_SKIP() << "a user's checkout differs from the commit in its owners";
  const VerifiedPayload one = release("1.0");
  const SlotContent content = stage(Slot::a, one);
  must(store_->check(Slot::a, one.commit(), nullptr, StopToken()));
  put_file(content.root / "firmware.bin", "a hook that writes where it must not");
  const Status status = store_->check(Slot::a, one.commit(), nullptr, StopToken());
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), HasSubstr("/firmware.bin"));
  must(repository_.fsck(one.commit(), nullptr, StopToken()));
}

TEST_F(PeripheralStoreTest, PruneKeepsWhatIsInstalled) {
  const VerifiedPayload one = release("1.0");
  const VerifiedPayload two = release("2.0");
  const VerifiedPayload three = release("3.0");
  stage(Slot::a, one);
  must(store_->release());
  stage(Slot::a, two);
  must(repository_.prune());
  EXPECT_TRUE(must(repository_.is_complete(one.commit()))) << "it can still be taken back to";
  EXPECT_TRUE(must(repository_.is_complete(two.commit())));
  EXPECT_FALSE(must(repository_.has_commit(three.commit())));
  must(store_->release());
  must(repository_.prune());
  EXPECT_FALSE(must(repository_.has_commit(one.commit())));
  EXPECT_TRUE(must(repository_.refs()).size() == 1);
}

TEST_F(PeripheralStoreTest, SpaceCountsEveryFile) {
  const SlotSpace space = must(store_->space_for(release("1.0")));
  ASSERT_EQ(space.needs.size(), 1U);
  EXPECT_GE(space.needs[0].bytes, 4U * 4096);
  EXPECT_GE(space.needs[0].inodes, 4U);
}

TEST_F(PeripheralStoreTest, KilledWhileStaging) {
  const VerifiedPayload one = release("1.0");
  const VerifiedPayload two = release("2.0");
  const SlotContent old = stage(Slot::a, one);
  must(store_->release());
  for (int step = 0; step < 30; ++step) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto repository = Repository::open(dir_ / "repo");
      Repository mine = *repository;
      const auto store = PeripheralStore::open(dir_ / "camera", mine);
      ::_exit((*store)->stage(Slot::a, two, nullptr, StopToken()) ? 0 : 1);
    }
    ::usleep(static_cast<useconds_t>(step) * 300);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    EXPECT_TRUE(fs::is_directory(old.root));
    EXPECT_LE(checkouts(), 4U);
  }
  must(store_->restore(Slot::a, old.id));
  EXPECT_EQ(checkouts(), 1U);
  EXPECT_EQ(must(store_->content(Slot::a))->version, "1.0");
}

}  // namespace
}  // namespace hc
