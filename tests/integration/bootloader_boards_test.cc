#include <gmock/gmock.h>

#include "bootloader/boot_dir.h"
#include "bootloader/factory.h"
#include "bootloader/uboot.h"
#include "engine/base/process.h"
#include "engine/base/text.h"
#include "tests/unit/bootloader_backends.h"

// Our formats and scripts against the tools of the boards: U-Boot's, and a stand-in for NVIDIA's.
namespace hc {
namespace {

using testing::HasSubstr;

std::string run(const std::vector<std::string>& argv, const std::map<std::string, std::string>& environment = {}) {
  CommandOptions options;
  options.environment = environment;
  const Result<CommandResult> result = run_command(argv, options);
  if (!result) {
    ADD_FAILURE() << result.error().text();
    return {};
  }
  EXPECT_EQ(result->status, 0) << argv[0] << ": " << result->output << result->errors;
  return result->output;
}

TEST(UbootTools, ReadWhatWeWriteAndWriteWhatWeRead) {
  const TempDir dir;
  const std::string config = (dir.path() / "fw_env.config").string();
  const std::string env = (dir.path() / "env").string();
  ASSERT_TRUE(write_atomically(config, env + " 0 0x1000\n" + env + " 0x1000 0x1000\n"));
  UbootEnv start;
  start.set("bootdelay", "2");
  const std::string copy = start.serialise(0x1000).value();
  ASSERT_TRUE(write_atomically(env, copy + copy));
  ASSERT_TRUE(make_sandbox(dir.path() / "boot"));
  ASSERT_TRUE(write_atomically(dir.path() / "boot/vmlinuz", "x"));
  UbootControl control(dir.path() / "boot", config);
  ASSERT_TRUE(control.install_entry(Slot::b, {"b", "/vmlinuz", "", "quiet"}));
  for (unsigned tries = 1; tries <= 3; ++tries) {
    ASSERT_TRUE(control.arm(Slot::b, tries));
    const std::string seen = run({"fw_printenv", "-c", config});
    EXPECT_THAT(seen, HasSubstr("bootdelay=2\n"));
    EXPECT_THAT(seen, HasSubstr("hc_try=b\n"));
    EXPECT_THAT(seen, HasSubstr("hc_tries=" + std::to_string(tries) + "\n"));
    run({"fw_setenv", "-c", config, "hc_tries", std::to_string(tries - 1)});
    EXPECT_EQ(control.state().value().tries_left, tries - 1);
  }
}

TEST(UbootTools, MakeAScriptOfOurs) {
  const TempDir dir;
  const std::string script = (dir.path() / "boot.scr").string();
  const std::string source = HC_BOOTLOADER_DIR "/uboot/boot.cmd";
  run({"mkimage", "-T", "script", "-C", "none", "-d", source, script});
  EXPECT_THAT(run({"mkimage", "-l", script}), HasSubstr("Script"));
}

class Nvbootctrl : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_sandbox(boot()));
    const fs::path program = dir_.path() / "board";
    const std::string wrapper = HC_BOOTLOADER_DIR "/custom/nvbootctrl.sh";
    ASSERT_TRUE(write_atomically(program,
                                 "#!/bin/sh\nexport NVBOOTCTRL=" + tool() + " NVBOOTCTRL_TABLE=" + table() +
                                     " HC_NVBOOTCTRL_STATE=" + (dir_.path() / "var/state").string() + "\nexec " +
                                     wrapper + " \"$@\"\n",
                                 0755));
    control_ = make_boot_control("custom:" + program.string(), boot()).value();
    for (const Slot slot : {Slot::a, Slot::b}) {
      const std::string kernel = "/honeycomb/" + std::string(name(slot)) + "/vmlinuz";
      ASSERT_TRUE(make_dirs(boot() / "honeycomb" / name(slot)));
      ASSERT_TRUE(write_atomically(boot() / "honeycomb" / name(slot) / "vmlinuz", "x"));
      ASSERT_TRUE(control_->install_entry(slot, {"x", kernel, "", "quiet"}));
    }
  }
  fs::path boot() const { return dir_.path() / "boot"; }
  static std::string tool() { return HC_BOOTLOADER_DIR "/../tests/support/nvbootctrl"; }
  std::string table() const { return (dir_.path() / "table").string(); }
  std::string nvbootctrl(const std::string& command, const std::string& argument = "") {
    return run({tool(), command, argument}, {{"NVBOOTCTRL_TABLE", table()}});
  }
  Slot power_on() { return nvbootctrl("power-on") == "1\n" ? Slot::b : Slot::a; }
  BootState state() { return control_->state().value(); }

  TempDir dir_;
  std::unique_ptr<BootControl> control_;
};

TEST_F(Nvbootctrl, AGoodTrialIsConfirmed) {
  ASSERT_TRUE(control_->check());
  EXPECT_EQ(state(), BootState{});
  ASSERT_TRUE(control_->arm(Slot::b, 3));
  ASSERT_TRUE(control_->arm(Slot::b, 3));
  EXPECT_EQ(power_on(), Slot::b);
  EXPECT_EQ(state(), (BootState{Slot::a, Slot::b, 6}));
  ASSERT_TRUE(control_->confirm(Slot::b));
  ASSERT_TRUE(control_->confirm(Slot::b));
  EXPECT_EQ(state(), (BootState{Slot::b, std::nullopt, 0}));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(power_on(), Slot::b);
}

TEST_F(Nvbootctrl, ABadTrialFallsBackAndIsSeen) {
  ASSERT_TRUE(control_->arm(Slot::b, 3));
  for (int i = 0; i < 7; ++i) EXPECT_EQ(power_on(), Slot::b);
  EXPECT_EQ(power_on(), Slot::a);
  EXPECT_EQ(state(), (BootState{Slot::a, Slot::b, 0}));
  ASSERT_TRUE(control_->disarm());
  EXPECT_EQ(state(), BootState{});
  EXPECT_EQ(power_on(), Slot::a);
}

TEST_F(Nvbootctrl, ATrialCanBeTakenBack) {
  ASSERT_TRUE(control_->arm(Slot::b, 3));
  ASSERT_TRUE(control_->disarm());
  EXPECT_EQ(state(), BootState{});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(power_on(), Slot::a);
}

TEST_F(Nvbootctrl, AHalfArmIsNoTrial) {
  ASSERT_TRUE(make_dirs(dir_.path() / "var"));
  ASSERT_TRUE(write_atomically(dir_.path() / "var/state", "confirmed=a\ntrial=b\n"));
  EXPECT_EQ(state(), BootState{});
  EXPECT_EQ(power_on(), Slot::a);
}

TEST_F(Nvbootctrl, AnUnknownFirmwareIsRefused) {
  const fs::path odd = dir_.path() / "odd";
  ASSERT_TRUE(write_atomically(odd, "#!/bin/sh\necho 'slot: 0, status: normal'\n", 0755));
  const fs::path program = dir_.path() / "board";
  ASSERT_TRUE(write_atomically(
      program, "#!/bin/sh\nNVBOOTCTRL=" + odd.string() + " exec " HC_BOOTLOADER_DIR "/custom/nvbootctrl.sh \"$@\"\n",
      0755));
  EXPECT_THAT(control_->check().error().text(), HasSubstr("does not say priority"));
}

}  // namespace
}  // namespace hc
