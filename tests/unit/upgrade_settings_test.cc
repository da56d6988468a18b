#include <gmock/gmock.h>
#include <stdlib.h>

#include "engine/upgrade/node.h"
#include "engine/upgrade/remotes.h"
#include "engine/upgrade/settings.h"

namespace hc {
namespace {

using ::testing::HasSubstr;

class SettingsTest : public ::testing::Test {
 protected:
  SettingsTest() {
    std::string pattern = fs::temp_directory_path() / "hc-settings-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
  }
  ~SettingsTest() override { static_cast<void>(remove_tree(dir_)); }

  Result<Settings> load(const std::string& content) {
    EXPECT_TRUE(write_atomically(dir_ / "honeycomb.conf", content));
    return Settings::load(dir_ / "honeycomb.conf");
  }
  std::string refusal(const std::string& content) {
    const auto settings = load(content);
    EXPECT_FALSE(settings) << content;
    return settings ? "" : settings.error().text();
  }

  fs::path dir_;
};

TEST_F(SettingsTest, NoFileMeansTheDefaults) {
  const auto settings = Settings::load(dir_ / "none.conf");
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->tries, 3U);
  EXPECT_EQ(settings->keep_versions, 5U);
}

TEST_F(SettingsTest, EveryKeyIsRead) {
  const auto settings = load(
      "[node]\nmodel=wild-sage-2\n[boot]\nloader=grub\ntries=5\n[slots]\nkeep_versions=9\n[health]\nsoak_s=10\n"
      "deadline_s=20\ntimeout_s=30\nhub=hub.example:443\nrequired=clock;disk\nwanted=units;\n[threshold]\nos=2\nptz-*="
      "1\n"
      "[network]\nconnect_s=5\nstall_s=6\nattempts=7\n");
  ASSERT_TRUE(settings) << settings.error().text();
  EXPECT_EQ(settings->model, "wild-sage-2");
  EXPECT_EQ(settings->bootloader, "grub");
  EXPECT_EQ(settings->tries, 5U);
  EXPECT_EQ(settings->keep_versions, 9U);
  EXPECT_EQ(settings->soak_s, 10);
  EXPECT_EQ(settings->deadline_s, 20);
  EXPECT_EQ(settings->check_timeout_s, 30);
  EXPECT_EQ(settings->hub, "hub.example:443");
  EXPECT_THAT(settings->required_checks, ::testing::ElementsAre("clock", "disk"));
  EXPECT_THAT(settings->wanted_checks, ::testing::ElementsAre("units"));
  EXPECT_EQ(settings->thresholds.at("os"), 2U);
  EXPECT_EQ(settings->thresholds.at("ptz-*"), 1U);
  EXPECT_EQ(settings->connect_s, 5);
  EXPECT_EQ(settings->stall_s, 6);
  EXPECT_EQ(settings->attempts, 7U);
}

TEST_F(SettingsTest, WhatIsWrongIsNamed) {
  EXPECT_THAT(refusal("[boot]\ntrys=3\n"), HasSubstr("[boot] trys: there is no such setting"));
  EXPECT_THAT(refusal("[boots]\ntries=3\n"), HasSubstr("[boots] tries"));
  EXPECT_THAT(refusal("[boot]\ntries=0\n"), HasSubstr("`0` is no whole number from 1 to 9"));
  EXPECT_THAT(refusal("[boot]\ntries=3x\n"), HasSubstr("`3x`"));
  EXPECT_THAT(refusal("[boot]\ntries=99999999999999999999\n"), HasSubstr("[boot] tries"));
  EXPECT_THAT(refusal("[boot]\nloader=lilo\n"), HasSubstr("grub"));
  EXPECT_TRUE(load("[boot]\nloader=custom:/usr/bin/board-boot\n"));
  EXPECT_THAT(refusal("[threshold]\nos=0\n"), HasSubstr("[threshold] os"));
  EXPECT_THAT(refusal("[health]\nrequired=clok\n"), HasSubstr("`clok` is no built-in check"));
  EXPECT_THAT(refusal("no group\n"), HasSubstr("honeycomb.conf"));
}

TEST(CommandLine, SaysWhichSlotRuns) {
  EXPECT_EQ(slot_of_command_line("BOOT_IMAGE=/x root=LABEL=r ostree=/ostree/slots/b quiet"), Slot::b);
  EXPECT_EQ(slot_of_command_line("ostree=/ostree/slots/a"), Slot::a);
  EXPECT_EQ(slot_of_command_line("ostree=/ostree/boot.0/debian/abc/0"), std::nullopt);
  EXPECT_EQ(slot_of_command_line("ostree=/ostree/slots/c"), std::nullopt);
  EXPECT_EQ(slot_of_command_line(""), std::nullopt);
}

TEST_F(SettingsTest, RemotesAreAddedMaskedAndRemoved) {
  const Remotes remotes(dir_ / "lib", dir_ / "etc");
  ASSERT_TRUE(make_dirs(dir_ / "lib/remotes.d"));
  ASSERT_TRUE(write_atomically(dir_ / "lib/remotes.d/vendor.conf", "[remote]\nurl=https://example.com/repo\n"));
  ASSERT_TRUE(remotes.add("origin", dir_.string()));
  ASSERT_TRUE(remotes.add("origin", dir_.string())) << "the same again is no error";
  EXPECT_FALSE(remotes.add("origin", "https://example.org/other"));
  EXPECT_FALSE(remotes.add("odd", "ftp://example.org/"));
  EXPECT_FALSE(remotes.add("odd", "/there/is/no/such/path"));
  EXPECT_FALSE(remotes.add("../odd", dir_.string()));
  ASSERT_EQ(remotes.all().value().size(), 2U);
  EXPECT_EQ(remotes.all().value()[0].url, "file://" + fs::canonical(dir_).string());
  ASSERT_TRUE(remotes.remove("vendor"));
  ASSERT_TRUE(remotes.remove("origin"));
  EXPECT_TRUE(remotes.all().value().empty());
  EXPECT_FALSE(remotes.remove("origin"));
}

}  // namespace
}  // namespace hc
