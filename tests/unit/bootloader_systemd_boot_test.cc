#include <gmock/gmock.h>

#include "bootloader/boot_dir.h"
#include "bootloader/systemd_boot.h"
#include "tests/unit/bootloader_backends.h"

namespace hc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(EntryName, ComesBackAsItWasWritten) {
  for (const char* file : {"honeycomb-0-a.conf", "honeycomb-12-b.conf", "honeycomb-3-b+3.conf",
                           "honeycomb-3-b+0-3.conf", "honeycomb-3-a+2-1.conf"}) {
    const auto name = EntryName::parse(file);
    ASSERT_TRUE(name) << file;
    EXPECT_EQ(name->file(), file);
  }
}

TEST(EntryName, IsNothingElse) {
  for (const char* file :
       {"", "honeycomb-", "honeycomb-1.conf", "honeycomb-1-c.conf", "honeycomb-1-a", "honeycomb-1-a.conf.bak",
        "honeycomb-x-a.conf", "honeycomb-1-a+.conf", "honeycomb-1-a+1-.conf", "honeycomb--1-a.conf",
        "honeycomb-9999999-a.conf", "debian-1-a.conf", ".honeycomb-1-a.conf.part-7"}) {
    EXPECT_FALSE(EntryName::parse(file)) << file;
  }
}

class SystemdBoot : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_sandbox(boot()));
    ASSERT_TRUE(make_dirs(boot() / "loader/entries"));
    ASSERT_TRUE(write_atomically(boot() / "loader/loader.conf", "default honeycomb-*\n"));
    ASSERT_TRUE(write_atomically(boot() / "vmlinuz", "x"));
    for (const Slot slot : {Slot::a, Slot::b}) ASSERT_TRUE(control_.install_entry(slot, kEntry));
  }
  fs::path boot() const { return dir_.path(); }
  std::vector<std::string> files() const { return list_dir(boot() / "loader/entries").value(); }

  const BootEntry kEntry{"Honeycomb", "/vmlinuz", "", "quiet"};
  TempDir dir_;
  SystemdBootControl control_{dir_.path()};
};

TEST_F(SystemdBoot, EachSwitchRenamesOneFile) {
  EXPECT_THAT(files(), ElementsAre("honeycomb-0-b.conf", "honeycomb-1-a.conf"));
  ASSERT_TRUE(control_.arm(Slot::b, 3));
  EXPECT_THAT(files(), ElementsAre("honeycomb-1-a.conf", "honeycomb-2-b+3.conf"));
  ASSERT_TRUE(control_.disarm());
  EXPECT_THAT(files(), ElementsAre("honeycomb-0-b.conf", "honeycomb-1-a.conf"));
  ASSERT_TRUE(control_.arm(Slot::b, 3));
  ASSERT_TRUE(control_.confirm(Slot::b));
  EXPECT_THAT(files(), ElementsAre("honeycomb-1-a.conf", "honeycomb-2-b.conf"));
}

TEST_F(SystemdBoot, SystemdsOwnBlessingConfirmsToo) {
  ASSERT_TRUE(control_.arm(Slot::b, 3));
  fs::rename(boot() / "loader/entries/honeycomb-2-b+3.conf", boot() / "loader/entries/honeycomb-2-b.conf");
  EXPECT_EQ(control_.state().value(), (BootState{Slot::b, std::nullopt, 0}));
}

TEST_F(SystemdBoot, ConfirmingTheOldSlotDuringATrialEndsIt) {
  ASSERT_TRUE(control_.arm(Slot::b, 3));
  ASSERT_TRUE(control_.confirm(Slot::a));
  EXPECT_THAT(files(), ElementsAre("honeycomb-2-b+3.conf", "honeycomb-3-a.conf"));
  EXPECT_EQ(control_.state().value(), (BootState{Slot::a, std::nullopt, 0}));
}

TEST_F(SystemdBoot, AHalfRenameIsFinishedByTheNextSwitch) {
  fs::copy_file(boot() / "loader/entries/honeycomb-0-b.conf", boot() / "loader/entries/honeycomb-2-b+3.conf");
  EXPECT_EQ(control_.state().value(), (BootState{Slot::a, Slot::b, 3}));
  ASSERT_TRUE(control_.disarm());
  EXPECT_THAT(files(), ElementsAre("honeycomb-0-b.conf", "honeycomb-1-a.conf"));
}

TEST_F(SystemdBoot, RefusesALoaderThatStartsSomethingElse) {
  for (const char* config : {"", "default debian-*\n", "timeout 3\n", "#default honeycomb-*\n"}) {
    ASSERT_TRUE(write_atomically(boot() / "loader/loader.conf", config));
    EXPECT_THAT(control_.check().error().text(), HasSubstr("does not start our entries")) << config;
  }
  fs::remove(boot() / "loader/loader.conf");
  EXPECT_FALSE(control_.check());
}

TEST_F(SystemdBoot, OutsideOfASandboxItMustBeFat) {
  fs::remove(boot() / "honeycomb/sandbox");
  EXPECT_THAT(control_.check().error().text(), HasSubstr("is not on FAT"));
}

}  // namespace
}  // namespace hc
