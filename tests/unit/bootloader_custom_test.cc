#include <gmock/gmock.h>

#include "bootloader/boot_dir.h"
#include "bootloader/custom.h"
#include "bootloader/factory.h"
#include "tests/unit/bootloader_backends.h"

namespace hc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(CustomState, IsRead) {
  EXPECT_EQ(parse_custom_state("confirmed=b\n").value(), (BootState{Slot::b, std::nullopt, 0}));
  EXPECT_EQ(parse_custom_state("confirmed=a\ntrial=b\ntries_left=0\nmore=x\n").value(),
            (BootState{Slot::a, Slot::b, 0}));
  EXPECT_EQ(parse_custom_state(" confirmed=a \r\ntrial=\ntries_left=0").value(), BootState{});
  EXPECT_EQ(parse_custom_state("confirmed=a\ntrial=a\ntries_left=3\n").value(), BootState{});
}

TEST(CustomState, RefusesEverythingElse) {
  for (const char* text :
       {"", "confirmed=c\n", "trial=b\n", "confirmed=a\ntrial=c\ntries_left=1\n", "confirmed=a\ntrial=b\n",
        "confirmed=a\ntrial=b\ntries_left=10\n", "confirmed=a\ntrial=b\ntries_left=-1\n"}) {
    EXPECT_EQ(parse_custom_state(text).error().code(), Code::invalid) << text;
  }
}

class Custom : public testing::Test {
 protected:
  std::unique_ptr<BootControl> board(const std::string& script) {
    const fs::path program = dir_.path() / "board";
    EXPECT_TRUE(write_atomically(program, "#!/bin/sh\n" + script, 0755));
    EXPECT_TRUE(make_sandbox(dir_.path() / "boot"));
    EXPECT_TRUE(make_dirs(dir_.path() / "boot/honeycomb/b"));
    EXPECT_TRUE(write_atomically(dir_.path() / "boot/honeycomb/b/vmlinuz", "x"));
    return make_boot_control("custom:" + program.string(), dir_.path() / "boot").value();
  }
  const BootEntry kEntry{"b", "/honeycomb/b/vmlinuz", "", "quiet"};
  TempDir dir_;
};

TEST_F(Custom, AProgramThatFailsIsNamedWithItsReason) {
  const auto boot = board("echo 'the flash is locked' >&2; exit 3\n");
  const Status refused = boot->check();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(),
              AllOf(HasSubstr("`check`"), HasSubstr("status 3"), HasSubstr("the flash is locked")));
  EXPECT_FALSE(boot->state());
  EXPECT_FALSE(boot->install_entry(Slot::b, kEntry));
}

TEST_F(Custom, AProgramThatIsNotThereIsNamed) {
  const auto boot = make_boot_control("custom:/nonexistent/board", dir_.path()).value();
  EXPECT_FALSE(boot->check());
  EXPECT_FALSE(boot->state());
}

TEST_F(Custom, ItsWordAloneIsNotBelieved) {
  const auto boot = board("case $1 in get-state) echo confirmed=a ;; esac\n");
  ASSERT_TRUE(boot->install_entry(Slot::b, kEntry));
  const Status armed = boot->arm(Slot::b, 3);
  ASSERT_FALSE(armed);
  EXPECT_THAT(armed.error().text(), HasSubstr("but it was not"));
  EXPECT_FALSE(boot->confirm(Slot::b));
  EXPECT_TRUE(boot->disarm());
}

TEST_F(Custom, ABoardMayCountOtherwiseButNotToNothing) {
  const auto seven = board(
      "case $1 in get-state) echo confirmed=a; [ -f $0.armed ] && printf 'trial=b\\ntries_left=7\\n' ;;\n"
      "arm) touch $0.armed ;; esac\nexit 0\n");
  ASSERT_TRUE(seven->install_entry(Slot::b, kEntry));
  EXPECT_TRUE(seven->arm(Slot::b, 3));
  const auto none = board("case $1 in get-state) printf 'confirmed=a\\ntrial=b\\ntries_left=0\\n' ;; esac\n");
  EXPECT_FALSE(none->arm(Slot::b, 3));
}

TEST(BootFactory, KnowsItsKinds) {
  for (const char* kind : {"grub", "uboot", "systemd-boot"})
    EXPECT_EQ(make_boot_control(kind, "/boot").value()->kind(), kind);
  EXPECT_EQ(make_boot_control("custom:/usr/bin/x", "/boot").value()->kind(), "custom");
  for (const char* kind : {"", "lilo", "custom", "custom:", "custom:relative"}) {
    const auto refused = make_boot_control(kind, "/boot");
    ASSERT_FALSE(refused) << kind;
    EXPECT_THAT(refused.error().text(), HasSubstr("`grub`"));
  }
}

}  // namespace
}  // namespace hc
