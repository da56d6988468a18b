#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "engine/base/process.h"

// hooks/lib/honeycomb.sh in the shells that a node may have.
namespace hc {
namespace {

using ::testing::HasSubstr;

class ShellLibraryTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::string path = (fs::temp_directory_path() / "hc-shell-XXXXXX").string();
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    directory_ = path;
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(directory_)); }

  CommandResult run(const std::string& script) {
    CommandOptions options;
    options.environment = {{"HC_STATE_DIR", directory_.string()}};
    options.directory = directory_;
    const auto result =
        run_command({GetParam(), "-euc", std::string(". ") + HC_SHELL_LIBRARY + "\n" + script}, options);
    EXPECT_TRUE(result) << result.error().text();
    return result ? *result : CommandResult{-1, "", ""};
  }

  fs::path directory_;
};

TEST_P(ShellLibraryTest, StateIsKept) {
  EXPECT_EQ(run("hc_state_set mode 'two words'; hc_state_get mode").output, "two words\n");
  EXPECT_EQ(run("hc_state_set mode new; hc_state_get mode").output, "new\n");
  EXPECT_EQ(run("hc_state_get absent fallback").output, "fallback\n");
  EXPECT_EQ(run("hc_state_get absent || echo none").output, "none\n");
  EXPECT_EQ(list_dir(directory_)->size(), 1U);  // no half-written part
}

TEST_P(ShellLibraryTest, StateNamesCannotEscape) {
  for (const char* bad : {"../x", "a/b", ".x", "", "a b"}) {
    EXPECT_NE(run("hc_state_set '" + std::string(bad) + "' v").status, 0) << bad;
  }
  EXPECT_THAT(run("HC_STATE_DIR=; hc_state_set x v").errors, HasSubstr("HC_STATE_DIR names no directory"));
  EXPECT_TRUE(list_dir(directory_)->empty());
}

TEST_P(ShellLibraryTest, RetryTriesAgainAndGivesTheLastStatus) {
  EXPECT_EQ(run("n=0; try() { n=$((n + 1)); [ $n = 3 ]; }; hc_retry 5 0 try; echo $n").output, "3\n");
  EXPECT_EQ(run("n=0; try() { n=$((n + 1)); return 7; }; hc_retry 3 0 try || echo $? after $n").output, "7 after 3\n");
  EXPECT_EQ(run("hc_retry 2 0 false; echo unreached").status, 1);
  EXPECT_EQ(run("hc_retry 1 0 test 'a b' = 'a b'").status, 0);
}

TEST_P(ShellLibraryTest, FailureAndMissingProgramsEndTheHook) {
  const CommandResult missing = run("hc_require_command sh no-such-program; echo unreached");
  EXPECT_EQ(missing.status, 2);
  EXPECT_EQ(missing.output, "");
  EXPECT_THAT(missing.errors, HasSubstr("error: the program no-such-program is needed and not installed"));
  EXPECT_EQ(run("hc_require_command sh cat; echo fine").output, "fine\n");
  EXPECT_EQ(run("hc_fail 'no camera' 5").status, 5);
}

TEST_P(ShellLibraryTest, TalksToTheEngineWhereThereIsOne) {
  std::ofstream(directory_ / "hc-insight") << "#!/bin/sh\necho \"told: $*\"\nexit 1\n";
  fs::permissions(directory_ / "hc-insight", fs::perms::owner_all);
  const std::string with = "PATH=$PWD:$PATH; HC_INSIGHT=x; ";
  EXPECT_EQ(run(with + "hc_progress 40 'zooming in'; hc_log warn slow").output,
            "told: progress 40 zooming in\ntold: log warn slow\n");
  const CommandResult by_hand = run("hc_progress 40 zooming; hc_log warn slow");
  EXPECT_EQ(by_hand.status, 0);
  EXPECT_EQ(by_hand.errors, "40% zooming\nwarn: slow\n");
}

TEST_P(ShellLibraryTest, WhatWasThereBeforeIsWrittenDownOnceInATransaction) {
  const std::string seven = "HC_TRANSACTION=7; ";
  EXPECT_EQ(run(seven + "hc_before_get zoom || echo none").output, "none\n");
  EXPECT_EQ(run(seven + "hc_before_keep zoom 'a  b'; hc_before_get zoom").output, "a  b\n");
  // The hook runs again: what it finds now is half of the new.
  EXPECT_EQ(run(seven + "hc_before_keep zoom new; hc_before_get zoom").output, "a  b\n");
  EXPECT_EQ(run("HC_TRANSACTION=8; hc_before_get zoom || echo none").output, "none\n");
  EXPECT_EQ(run("HC_TRANSACTION=8; hc_before_keep zoom \"$(printf 'x\\ny')\"; hc_before_get zoom").output, "x\ny\n");
  EXPECT_EQ(run("hc_before_keep pan ''; hc_before_get pan").output, "\n") << "by hand, and an empty value";
  EXPECT_NE(run("HC_STATE_DIR=/no/such/place; hc_before_keep pan 1").status, 0);
}

TEST_P(ShellLibraryTest, SettingsAreRead) {
  std::ofstream(directory_ / "settings.conf")
      << "# comment=1\naddress=http://camera.example/?a=b c\nempty=\nzoom=1\nzoom=2\n";
  EXPECT_EQ(run("hc_setting address; hc_setting zoom; hc_setting empty x").output,
            "http://camera.example/?a=b c\n2\n\n");
  EXPECT_EQ(run("hc_setting absent other").output, "other\n");
  EXPECT_EQ(run("hc_setting_names").output, "address\nempty\nzoom\nzoom\n");
  const CommandResult missing = run("hc_setting absent || echo failed");
  EXPECT_EQ(missing.output, "failed\n");
  EXPECT_THAT(missing.errors, HasSubstr("settings.conf has no absent"));
}

TEST_P(ShellLibraryTest, MetricsAndStatesAreToldAndShown) {
  std::ofstream(directory_ / "hc-insight") << "#!/bin/sh\necho \"told: $*\"\n";
  fs::permissions(directory_ / "hc-insight", fs::perms::owner_all);
  EXPECT_EQ(run("PATH=$PWD:$PATH; HC_INSIGHT=x; hc_metric pan 1.5; hc_report a=1 'b=2 3'").output,
            "told: metric pan 1.5\ntold: state a=1 b=2 3\n");
  EXPECT_EQ(run("hc_metric pan 1.5; hc_report a=1").errors, "pan = 1.5\na=1\n");
}

TEST(ShellLibraryFormTest, ShellcheckIsContent) {
  const auto result = run_command({"shellcheck", HC_SHELL_LIBRARY});
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(result->status, 0) << result->output;
}

INSTANTIATE_TEST_SUITE_P(Shells, ShellLibraryTest, ::testing::Values("dash", "bash"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace hc
