#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "tests/unit/bootloader_backends.h"

// What every bootloader of ours promises, and the fake too: the fake is worth something only because it passes this.
namespace hc {
namespace {

using testing::HasSubstr;

BootEntry entry_for(Slot slot, const std::string& version = "2.4.0") {
  const std::string dir = "/honeycomb/" + std::string(name(slot)) + "/";
  return {"Honeycomb OS " + version, dir + "vmlinuz", dir + "initramfs.img",
          "root=LABEL=node ostree=/ostree/slots/" + std::string(name(slot)) + " console=ttyS0,115200n8"};
}

class BootContract : public testing::TestWithParam<BackendMaker> {
 protected:
  void SetUp() override {
    backend_ = GetParam().make();
    for (const Slot slot : {Slot::a, Slot::b}) {
      backend_->make_kernel(entry_for(slot));
      ASSERT_TRUE(boot().install_entry(slot, entry_for(slot)));
    }
  }
  BootControl& boot() { return backend_->control(); }
  BootState state() { return boot().state().value(); }

  std::unique_ptr<Backend> backend_;
};

TEST_P(BootContract, AFreshNodeHasSlotAConfirmedAndNoTrial) {
  ASSERT_TRUE(boot().check());
  EXPECT_EQ(state(), (BootState{Slot::a, std::nullopt, 0}));
}

TEST_P(BootContract, AnEntryComesBackAsItWasGiven) {
  const BootEntry odd{"Tom & Jerry <2.4.0>; {x} | $HOME #1 *?", "/honeycomb/b/vmlinuz", "",
                      "a=b,c=d;e $x ${y} & | < > { } ( ) # ! ~ % @ ^ [x] = - _ + ` /x"};
  ASSERT_TRUE(boot().install_entry(Slot::b, odd));
  EXPECT_EQ(boot().entry(Slot::b).value(), odd);
  EXPECT_EQ(boot().entry(Slot::a).value(), entry_for(Slot::a));
}

TEST_P(BootContract, RefusesEntriesThatCannotReachTheKernelUnchanged) {
  for (const char* bad : {"x='y'", "x=\"y z\"", "x=\\y", "x\ny", "x\ty", "x *", "x=?", "x=\xc3\xa9"}) {
    BootEntry entry = entry_for(Slot::b);
    entry.arguments = bad;
    const Status refused = boot().install_entry(Slot::b, entry);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code(), Code::invalid);
    EXPECT_EQ(boot().entry(Slot::b).value(), entry_for(Slot::b)) << bad;
  }
  BootEntry entry = entry_for(Slot::b);
  entry.arguments = std::string(3000, 'x');
  EXPECT_FALSE(boot().install_entry(Slot::b, entry));
  entry = entry_for(Slot::b);
  for (const char* bad : {"", "relative", "/a b", "/../../etc/shadow"}) {
    entry.kernel = bad;
    EXPECT_FALSE(boot().install_entry(Slot::b, entry)) << bad;
  }
}

TEST_P(BootContract, ChangingOneEntryLeavesTheOthersFilesAlone) {
  const auto before = backend_->fingerprint(Slot::a);
  ASSERT_TRUE(boot().install_entry(Slot::b, entry_for(Slot::b, "9.9.9")));
  ASSERT_TRUE(boot().arm(Slot::b, 3));
  ASSERT_TRUE(boot().disarm());
  ASSERT_TRUE(boot().remove_entry(Slot::b));
  ASSERT_TRUE(boot().remove_entry(Slot::b));
  EXPECT_EQ(backend_->fingerprint(Slot::a), before);
  EXPECT_EQ(boot().entry(Slot::b).value(), std::nullopt);
  EXPECT_EQ(boot().entry(Slot::a).value(), entry_for(Slot::a));
}

TEST_P(BootContract, ArmConfirmAndDisarmCanBeRepeated) {
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(boot().arm(Slot::b, 3));
    EXPECT_EQ(state(), (BootState{Slot::a, Slot::b, 3}));
  }
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(boot().disarm());
    EXPECT_EQ(state(), (BootState{Slot::a, std::nullopt, 0}));
  }
  ASSERT_TRUE(boot().arm(Slot::b, 1));
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(boot().confirm(Slot::b));
    EXPECT_EQ(state(), (BootState{Slot::b, std::nullopt, 0}));
  }
  ASSERT_TRUE(boot().arm(Slot::a, 9));
  EXPECT_EQ(state(), (BootState{Slot::b, Slot::a, 9}));
  ASSERT_TRUE(boot().confirm(Slot::b));
  EXPECT_EQ(state(), (BootState{Slot::b, std::nullopt, 0}));
}

TEST_P(BootContract, ANewArmGivesNewTries) {
  ASSERT_TRUE(boot().arm(Slot::b, 1));
  ASSERT_TRUE(boot().arm(Slot::b, 5));
  EXPECT_EQ(state().tries_left, 5U);
}

TEST_P(BootContract, RefusesToArmTheConfirmedSlot) {
  const Status refused = boot().arm(Slot::a, 3);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::invalid);
  EXPECT_THAT(refused.error().text(), HasSubstr("confirmed"));
  EXPECT_EQ(state(), BootState{});
}

TEST_P(BootContract, RefusesToArmOrConfirmWhatHasNoEntry) {
  ASSERT_TRUE(boot().remove_entry(Slot::b));
  for (const Status& refused : {boot().arm(Slot::b, 3), boot().confirm(Slot::b)}) {
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().text(), HasSubstr("no boot entry"));
  }
  EXPECT_EQ(state(), BootState{});
}

TEST_P(BootContract, TriesHaveBounds) {
  EXPECT_FALSE(boot().arm(Slot::b, 0));
  EXPECT_FALSE(boot().arm(Slot::b, 10));
  EXPECT_EQ(state(), BootState{});
  EXPECT_TRUE(boot().arm(Slot::b, 1));
  EXPECT_TRUE(boot().arm(Slot::b, 9));
}

TEST_P(BootContract, KeepsTheEntriesOfWhatBootsNext) {
  EXPECT_FALSE(boot().remove_entry(Slot::a));
  ASSERT_TRUE(boot().arm(Slot::b, 2));
  EXPECT_FALSE(boot().remove_entry(Slot::b));
  EXPECT_EQ(boot().entry(Slot::a).value(), entry_for(Slot::a));
  EXPECT_EQ(boot().entry(Slot::b).value(), entry_for(Slot::b));
}

TEST_P(BootContract, WhatBelongsToOthersIsKept) {
  backend_->add_foreign();
  ASSERT_TRUE(boot().check());
  ASSERT_TRUE(boot().arm(Slot::b, 3));
  ASSERT_TRUE(boot().confirm(Slot::b));
  ASSERT_TRUE(boot().arm(Slot::a, 3));
  ASSERT_TRUE(boot().disarm());
  EXPECT_TRUE(backend_->has_foreign());
}

TEST_P(BootContract, AFailedWriteLeavesTheOldState) {
  ASSERT_TRUE(boot().check());
  {
    const auto broken = backend_->break_writes();
    if (!broken) GTEST_SKIP() << "writes cannot be made to fail here";
    EXPECT_FALSE(boot().arm(Slot::b, 3));
  }
  EXPECT_EQ(state(), BootState{});
  ASSERT_TRUE(boot().arm(Slot::b, 3));
  {
    const auto broken = backend_->break_writes();
    EXPECT_FALSE(boot().disarm());
    EXPECT_FALSE(boot().confirm(Slot::b));
    EXPECT_FALSE(boot().install_entry(Slot::b, entry_for(Slot::b, "9.9.9")));
  }
  EXPECT_EQ(state(), (BootState{Slot::a, Slot::b, 3}));
  EXPECT_EQ(boot().entry(Slot::b).value(), entry_for(Slot::b));
  ASSERT_TRUE(boot().confirm(Slot::b));
}

TEST_P(BootContract, ATrialBootsSoOftenAndThenTheConfirmedSlot) {
  ASSERT_TRUE(boot().arm(Slot::b, 2));
  EXPECT_EQ(backend_->power_on(), Slot::b);
  EXPECT_EQ(state(), (BootState{Slot::a, Slot::b, 1}));
  EXPECT_EQ(backend_->power_on(), Slot::b);
  EXPECT_EQ(state(), (BootState{Slot::a, Slot::b, 0}));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(backend_->power_on(), Slot::a);
  EXPECT_EQ(state(), (BootState{Slot::a, Slot::b, 0}));
  ASSERT_TRUE(boot().disarm());
  EXPECT_EQ(state(), (BootState{Slot::a, std::nullopt, 0}));
}

TEST_P(BootContract, AConfirmedSlotIsNeverCounted) {
  ASSERT_TRUE(boot().arm(Slot::b, 2));
  EXPECT_EQ(backend_->power_on(), Slot::b);
  ASSERT_TRUE(boot().confirm(Slot::b));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(backend_->power_on(), Slot::b);
  EXPECT_EQ(state(), (BootState{Slot::b, std::nullopt, 0}));
}

INSTANTIATE_TEST_SUITE_P(Bootloader, BootContract, testing::ValuesIn(backend_makers()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace hc
