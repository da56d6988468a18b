#include <gmock/gmock.h>

#include "bootloader/boot_dir.h"
#include "bootloader/uboot.h"
#include "tests/unit/bootloader_backends.h"

namespace hc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(UbootEnv, ComesBackAsItWasWritten) {
  UbootEnv env;
  env.set("hc_good", "a");
  env.set("bootcmd", "run x; echo a=b");
  env.set("empty", "");
  const std::string bytes = env.next().serialise(4096).value();
  ASSERT_EQ(bytes.size(), 4096U);
  const UbootEnv again = UbootEnv::parse(bytes).value();
  EXPECT_EQ(again.serial(), 1);
  EXPECT_EQ(again.get("hc_good"), "a");
  EXPECT_EQ(again.get("bootcmd"), "run x; echo a=b");
  EXPECT_EQ(again.get("empty"), "");
  EXPECT_EQ(again.get("bootcm"), std::nullopt);
  EXPECT_EQ(again.serialise(4096).value(), bytes);
}

// The check value of CRC-32: the checksum of "123456789" is 0xCBF43926.
TEST(UbootEnv, HasTheChecksumThatUbootComputes) {
  const std::string copy = std::string("\x26\x39\xf4\xcb", 4) + '\x07' + "123456789";
  EXPECT_EQ(UbootEnv::parse(copy).value().serial(), 7);
}

TEST(UbootEnv, AnyChangedBitIsNoticed) {
  UbootEnv env;
  env.set("hc_good", "a");
  std::string bytes = env.serialise(64).value();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4) continue;  // the serial is not covered
    bytes[i] = static_cast<char>(bytes[i] ^ 1);
    EXPECT_FALSE(UbootEnv::parse(bytes)) << i;
    bytes[i] = static_cast<char>(bytes[i] ^ 1);
  }
  EXPECT_FALSE(UbootEnv::parse(""));
  EXPECT_FALSE(UbootEnv::parse(std::string(4096, '\0')));
  EXPECT_FALSE(UbootEnv::parse(std::string(4096, '\xff')));
}

TEST(UbootEnv, TheSerialStartsAgain) {
  UbootEnv env;
  for (int i = 0; i < 255; ++i) env = env.next();
  EXPECT_EQ(env.serial(), 255);
  const UbootEnv after = env.next();
  EXPECT_EQ(after.serial(), 0);
  EXPECT_TRUE(after.newer_than(env));
  EXPECT_FALSE(env.newer_than(after));
  EXPECT_FALSE(env.newer_than(env));
}

TEST(UbootEnv, RefusesWhatDoesNotFit) {
  UbootEnv env;
  env.set("x", std::string(100, 'y'));
  EXPECT_EQ(env.serialise(64).error().code(), Code::no_space);
}

TEST(FwEnvConfig, NamesTwoAreas) {
  const auto areas = parse_fw_env_config("# comment\n\n/dev/mmcblk0 0x8000 0x2000 0x200\n/dev/mmcblk0\t0xA000\t8192\n");
  ASSERT_TRUE(areas) << areas.error().text();
  EXPECT_EQ(areas->at(0).device, "/dev/mmcblk0");
  EXPECT_EQ(areas->at(0).offset, 0x8000U);
  EXPECT_EQ(areas->at(1).offset, 0xA000U);
  EXPECT_EQ(areas->at(1).size, 8192U);
}

TEST(FwEnvConfig, RefusesWhatCannotBeSwitchedSafely) {
  EXPECT_THAT(parse_fw_env_config("/dev/x 0 0x2000\n").error().text(), HasSubstr("1 environment areas"));
  EXPECT_FALSE(parse_fw_env_config(""));
  EXPECT_FALSE(parse_fw_env_config("/dev/x 0 0x2000\n/dev/x 0x1000 0x2000\n"));
  EXPECT_FALSE(parse_fw_env_config("/dev/x 0 0x2000\n/dev/x 0x2000 0x1000\n"));
  EXPECT_FALSE(parse_fw_env_config("/dev/x 0 0x2000\n/dev/y 0 5\n"));
  EXPECT_FALSE(parse_fw_env_config("/dev/x zero 0x2000\n/dev/y 0 0x2000\n"));
  EXPECT_FALSE(parse_fw_env_config("/dev/x 0 99999999999\n/dev/y 0 99999999999\n"));
}

class Uboot : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_sandbox(boot()));
    ASSERT_TRUE(write_atomically(config(), file("0") + " 0 0x80\n" + file("1") + " 0 0x80\n"));
    UbootEnv env;
    env.set("bootdelay", "2");
    ASSERT_TRUE(write_atomically(file("0"), env.serialise(0x80).value()));
    ASSERT_TRUE(write_atomically(file("1"), env.next().serialise(0x80).value()));
    ASSERT_TRUE(make_dirs(boot() / "honeycomb/b"));
    ASSERT_TRUE(write_atomically(boot() / "honeycomb/b/vmlinuz", "x"));
    ASSERT_TRUE(control_.install_entry(Slot::b, {"b", "/honeycomb/b/vmlinuz", "", "quiet"}));
  }
  fs::path boot() const { return dir_.path() / "boot"; }
  fs::path config() const { return dir_.path() / "fw_env.config"; }
  std::string file(const std::string& number) const { return (dir_.path() / ("env" + number)).string(); }
  std::string bytes(const std::string& number) const { return read_file(file(number)).value(); }

  TempDir dir_;
  UbootControl control_{dir_.path() / "boot", dir_.path() / "fw_env.config"};
};

TEST_F(Uboot, ASwitchWritesTheOlderCopyOnly) {
  const std::string zero = bytes("0");
  const std::string one = bytes("1");
  ASSERT_TRUE(control_.arm(Slot::b, 3));
  EXPECT_NE(bytes("0"), zero);
  EXPECT_EQ(bytes("1"), one);
  const std::string armed = bytes("0");
  ASSERT_TRUE(control_.disarm());
  EXPECT_EQ(bytes("0"), armed);
  EXPECT_NE(bytes("1"), one);
}

// A power cut after any number of bytes of a switch: U-Boot and we see the old state, or the new one at its very end.
TEST_F(Uboot, ATornSwitchIsNoSwitch) {
  const std::string old = bytes("0");
  ASSERT_TRUE(control_.arm(Slot::b, 3));
  const std::string armed = bytes("0");
  for (std::size_t cut = 0; cut <= armed.size(); ++cut) {
    ASSERT_TRUE(write_atomically(file("0"), armed.substr(0, cut) + old.substr(cut)));
    const Result<BootState> state = control_.state();
    ASSERT_TRUE(state) << cut;
    const bool same_from_here = armed.substr(cut) == old.substr(cut);
    EXPECT_EQ(state->trial.has_value(), same_from_here) << cut;
  }
}

TEST_F(Uboot, OneCopyIsEnoughToGoOn) {
  ASSERT_TRUE(write_atomically(file("1"), "garbage"));
  ASSERT_TRUE(control_.check());
  ASSERT_TRUE(control_.arm(Slot::b, 3));
  EXPECT_EQ(control_.state().value(), (BootState{Slot::a, Slot::b, 3}));
  EXPECT_EQ(UbootEnv::parse(bytes("1")).value().get("bootdelay"), "2");
}

TEST_F(Uboot, NoCopyIsRefused) {
  for (const char* number : {"0", "1"}) ASSERT_TRUE(write_atomically(file(number), std::string(0x80, '\xff')));
  const Status refused = control_.check();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), AllOf(HasSubstr("boot attempts cannot be counted"), HasSubstr("checksum")));
  EXPECT_FALSE(control_.state());
  EXPECT_FALSE(control_.arm(Slot::b, 3));
}

TEST_F(Uboot, RawFlashIsRefused) {
  ASSERT_TRUE(write_atomically(config(), file("0") + " 0 0x80\n/dev/null 0 0x80\n"));
  EXPECT_THAT(control_.check().error().text(), HasSubstr("neither a file nor a block device"));
}

}  // namespace
}  // namespace hc
