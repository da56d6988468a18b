#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bootloader/fake.h"
#include "bootloader/grub.h"
#include "bootloader/grub_medium.h"
#include "tests/unit/bootloader_backends.h"

// What only GRUB's backend does: a grubenv that is not what GRUB expects, and places where counting cannot work.
namespace hc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class Grub : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Firmware::prepare_sandbox(boot()));
    for (const Slot slot : {Slot::a, Slot::b}) {
      const std::string dir = "/honeycomb/" + std::string(name(slot));
      ASSERT_TRUE(make_dirs(boot() / "honeycomb" / name(slot)));
      for (const char* file : {"vmlinuz", "initramfs.img"})
        ASSERT_TRUE(write_atomically(boot() / "honeycomb" / name(slot) / file, "x"));
      ASSERT_TRUE(control_.install_entry(slot, {"Honeycomb", dir + "/vmlinuz", dir + "/initramfs.img", "quiet"}));
    }
  }
  fs::path boot() const { return dir_.path(); }
  fs::path env_path() const { return grubenv_path(boot()); }
  void put_env(const std::string& bytes) { ASSERT_TRUE(write_atomically(env_path(), bytes)); }
  std::string env() const { return read_file(env_path()).value(); }
  static std::string block(const std::string& lines) {
    std::string text = "# GRUB Environment Block\n" + lines;
    text.resize(GrubEnv::kSize, '#');
    return text;
  }
  BootChoice power_on() { return Firmware(boot()).boot_once().value(); }

  TempDir dir_;
  GrubControl control_{dir_.path()};
};

TEST_F(Grub, ADamagedEnvironmentIsRebuiltWithWhatIsReadable) {
  ASSERT_TRUE(control_.confirm(Slot::b));
  const std::string good = block("saved_entry=0\nhc_good=b\n");
  for (const std::string& bad : {good + "\n", good.substr(0, 1000), block("saved_entry=0\nhc_good=b\nx\n")}) {
    put_env(bad);
    ASSERT_TRUE(control_.check());
    EXPECT_EQ(env(), block("hc_good=b\nhc_tries=0\nhc_try=-\nsaved_entry=0\n"));
  }
}

TEST_F(Grub, AnUnreadableEnvironmentIsRebuiltFromTheCopyOfTheConfirmedSlot) {
  ASSERT_TRUE(control_.confirm(Slot::b));
  for (const std::string& bad : {std::string(1024, '\0'), std::string(), block("hc_good=x\nhc_try=a\nhc_tries=3\n")}) {
    put_env(bad);
    EXPECT_EQ(control_.state().value(), (BootState{Slot::b, std::nullopt, 0}));
    ASSERT_TRUE(control_.check());
    EXPECT_EQ(env(), block("hc_good=b\nhc_tries=0\nhc_try=-\n"));
  }
  fs::remove(env_path());
  EXPECT_EQ(control_.state().value().confirmed, Slot::b);
  ASSERT_TRUE(control_.check());
  EXPECT_EQ(env(), block("hc_good=b\nhc_tries=0\nhc_try=-\n"));
}

TEST_F(Grub, WithoutAnyRecordTheFirstSlotWithAnEntryCounts) {
  ASSERT_TRUE(control_.confirm(Slot::b));
  ASSERT_TRUE(control_.remove_entry(Slot::a));
  fs::remove(boot() / "honeycomb/confirmed.cfg");
  put_env("");
  EXPECT_EQ(control_.state().value().confirmed, Slot::b);
  EXPECT_EQ(power_on().slot, Slot::b);
}

TEST_F(Grub, ArmingMendsTheEnvironmentByItself) {
  put_env(block("hc_good=a\n") + "\n");
  ASSERT_TRUE(control_.arm(Slot::b, 2));
  EXPECT_EQ(env(), block("hc_good=a\nhc_tries=2\nhc_try=b\n"));
}

TEST_F(Grub, TheFileStaysTheSameFile) {
  struct stat before {};
  ASSERT_EQ(::stat(env_path().c_str(), &before), 0);
  ASSERT_TRUE(control_.arm(Slot::b, 2));
  power_on();
  ASSERT_TRUE(control_.confirm(Slot::b));
  struct stat after {};
  ASSERT_EQ(::stat(env_path().c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(after.st_size, 1024);
}

TEST_F(Grub, ASymbolicLinkIsRefused) {
  fs::rename(env_path(), boot() / "elsewhere");
  ASSERT_TRUE(replace_symlink(env_path(), "../elsewhere"));
  const std::string before = read_file(boot() / "elsewhere").value();
  for (const Status& refused : {control_.check(), control_.arm(Slot::b, 3), control_.confirm(Slot::b)}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::invalid);
    EXPECT_THAT(refused.error().text(), HasSubstr("symbolic link"));
  }
  EXPECT_EQ(read_file(boot() / "elsewhere").value(), before);
}

TEST_F(Grub, ADirectoryInItsPlaceIsRefused) {
  fs::remove(env_path());
  fs::create_directory(env_path());
  EXPECT_FALSE(control_.check());
  EXPECT_FALSE(control_.state());
}

TEST_F(Grub, AFullEnvironmentIsRefusedAndKept) {
  const std::string full = block("hc_good=a\nfiller=" + std::string(1024 - 25 - 10 - 8, 'x') + "\n");
  put_env(full);
  const Status refused = control_.check();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::no_space);
  EXPECT_THAT(refused.error().text(), AllOf(HasSubstr("boot attempts cannot be counted"), HasSubstr("is full")));
  EXPECT_FALSE(control_.arm(Slot::b, 3));
  EXPECT_EQ(env(), full);
}

TEST_F(Grub, NoGrubIsRefused) {
  ASSERT_TRUE(remove_tree(boot() / "grub"));
  const Status refused = control_.check();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), HasSubstr("there is no GRUB here"));
}

TEST_F(Grub, AMissingKernelIsNeverArmedOrConfirmed) {
  fs::remove(boot() / "honeycomb/b/initramfs.img");
  for (const Status& refused : {control_.arm(Slot::b, 3), control_.confirm(Slot::b)}) {
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().text(), HasSubstr("/honeycomb/b/initramfs.img"));
  }
}

TEST_F(Grub, AnEntryEditedByHandIsNamed) {
  ASSERT_TRUE(write_atomically(boot() / "honeycomb/b/slot.cfg", "set hc_title='x'\nlinux /evil\n"));
  const auto entry = control_.entry(Slot::b);
  ASSERT_FALSE(entry);
  EXPECT_THAT(entry.error().text(), AllOf(HasSubstr("slot.cfg"), HasSubstr("changed by hand")));
  EXPECT_FALSE(control_.arm(Slot::b, 3));
}

TEST_F(Grub, FirmwareFallsBackWhereTheTrialCannotBeLoaded) {
  ASSERT_TRUE(control_.arm(Slot::b, 3));
  fs::remove(boot() / "honeycomb/b/vmlinuz");
  EXPECT_EQ(power_on().reason, "fallback-load-failed");
  EXPECT_EQ(control_.state().value(), (BootState{Slot::a, Slot::b, 0}));
  EXPECT_EQ(power_on().reason, "fallback-tries-used");
}

TEST_F(Grub, FirmwareTakesTheOtherSlotAsALastResort) {
  fs::remove(boot() / "honeycomb/a/vmlinuz");
  const BootChoice choice = power_on();
  EXPECT_EQ(choice.slot, Slot::b);
  EXPECT_EQ(choice.reason, "last-resort");
  EXPECT_EQ(choice.command_line, "panic=10 quiet honeycomb.reason=last-resort");
  fs::remove(boot() / "honeycomb/b/vmlinuz");
  EXPECT_EQ(Firmware(boot()).boot_once().error().code(), Code::unhealthy);
}

TEST_F(Grub, FirmwareNeverTriesWhatItCannotCount) {
  ASSERT_TRUE(control_.arm(Slot::b, 3));
  BootChoice choice;
  {
    const NoWrites broken;
    choice = power_on();
  }
  EXPECT_EQ(choice.slot, Slot::a);
  EXPECT_EQ(choice.reason, "fallback-save-failed");
  EXPECT_EQ(control_.state().value().tries_left, 3U);
}

TEST_F(Grub, OutsideOfASandboxThePlaceIsChecked) {
  fs::remove(boot() / "honeycomb/sandbox");
  const Status refused = control_.check();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), HasSubstr("boot attempts cannot be counted"));
}

TEST(GrubMedium, RefusesFileSystemsThatGrubCannotWrite) {
  const Status refused = save_env_works("/dev/shm");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), HasSubstr("/dev/shm is on tmpfs"));
  EXPECT_THAT(save_env_works("/proc").error().text(), HasSubstr("this kind of file system"));
  EXPECT_EQ(save_env_works("/nonexistent").error().code(), Code::io);
}

TEST(GrubMedium, RefusesLayersThatGrubCannotWriteThrough) {
  const TempDir sys;
  EXPECT_TRUE(is_plain_partition(makedev(8, 1), sys.path()));
  ASSERT_TRUE(make_dirs(sys.path() / "dev/block/253:0/dm"));
  ASSERT_TRUE(make_dirs(sys.path() / "dev/block/9:0/md"));
  EXPECT_THAT(is_plain_partition(makedev(253, 0), sys.path()).error().text(), HasSubstr("mapped device"));
  EXPECT_THAT(is_plain_partition(makedev(9, 0), sys.path()).error().text(), HasSubstr("RAID"));
}

}  // namespace
}  // namespace hc
