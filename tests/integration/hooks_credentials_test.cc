#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hooks/runner.h"
#include "tests/integration/hook_in_folder.h"

// What a hook is given to log in with, and what it must not see.
namespace hc {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class HookCredentialsTest : public HookInFolder {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "a private directory in memory needs root";
    HookInFolder::SetUp();
    ASSERT_EQ(chmod(directory_.c_str(), 0755), 0);
    secrets_ = directory_ / "secrets";
    ASSERT_TRUE(make_dirs(secrets_, 0700));
    secret("password", "hunter2\n");
  }
  void TearDown() override {
    if (!directory_.empty()) HookInFolder::TearDown();
  }

  void secret(const std::string& name, const std::string& content) const {
    ASSERT_TRUE(write_atomically(secrets_ / name, content, 0600));
  }
  HookCall with_credentials(const std::string& script) {
    HookCall call = hook(script);
    call.credentials = secrets_;
    return call;
  }

  fs::path secrets_;
};

constexpr const char* kLook =
    "cd $HC_CREDENTIALS_DIR && stat -c '%n %a %U' . * && stat -f -c %T . && [ \"$(cat password)\" = hunter2 ] || exit "
    "8\n"
    "echo new > password && exit 9; touch x && exit 9; mkdir y && exit 9; rm password && exit 9; exit 0";

TEST_F(HookCredentialsTest, AreACopyInMemoryForItsUserOnly) {
  HookCall call = with_credentials(kLook);
  HookResult result = run(call);
  EXPECT_TRUE(result.passed()) << result.reason << result.output;
  EXPECT_THAT(result.output, HasSubstr(". 500 root\npassword 400 root\nramfs\n"));

  call.user = "nobody";
  result = run(call);
  EXPECT_TRUE(result.passed()) << result.reason << result.output;
  EXPECT_THAT(result.output, HasSubstr(". 500 nobody\npassword 400 nobody\nramfs\n"));

  call.devices.emplace();
  call.network = HookNetwork::none;
  for (const char* user : {"", "nobody"}) {
    call.user = user;
    EXPECT_TRUE(run(call).passed()) << user;
  }
  EXPECT_EQ(*read_file(secrets_ / "password"), "hunter2\n");
}

TEST_F(HookCredentialsTest, NobodyElseSeesThemAndTheyAreGoneWithTheHook) {
  const HookCall call = with_credentials(
      "[ -s $HC_CREDENTIALS_DIR/password ] && echo $HC_CREDENTIALS_DIR\n"
      "while [ ! -e $HC_STATE_DIR/seen ]; do sleep 0.01; done; (cd $HC_CREDENTIALS_DIR; setsid sleep 1000) & exit 0");
  std::string place;
  std::vector<std::string> seen{"not looked"};
  HookListener listener;
  listener.line = [&](std::string_view line) {
    place = line;
    seen = *list_dir(place);
    std::ofstream(state_ / "seen") << "yes";
  };
  ProcessHookRunner runner({sockets_, 200});
  const HookResult result = runner.run(call, listener, stop_);
  EXPECT_TRUE(result.passed()) << result.reason;
  EXPECT_THAT(seen, IsEmpty());
  EXPECT_FALSE(fs::exists(place));
}

TEST_F(HookCredentialsTest, EveryContentIsMasked) {
  secret("user", "operator");
  secret("id_key", "-----BEGIN KEY-----\nc2VjcmV0\nbW9yZQ==\n-----END KEY-----\n");
  const HookResult result =
      run(with_credentials("for f in $HC_CREDENTIALS_DIR/*; do cat $f; echo; done; $INSIGHT log info \"I am $(cat "
                           "$HC_CREDENTIALS_DIR/user)\""));
  EXPECT_TRUE(result.passed()) << result.reason;
  const std::string all = dump_json(to_json(result));
  for (const char* said : {"hunter2", "operator", "c2VjcmV0", "bW9yZQ=="}) EXPECT_THAT(all, Not(HasSubstr(said)));
  EXPECT_THAT(result.output, HasSubstr("***"));
  EXPECT_EQ(result.insight.at(0).text, "I am ***");
}

TEST_F(HookCredentialsTest, WhatCannotBeGivenStopsTheHook) {
  HookCall call = with_credentials("exit 0");
  ASSERT_TRUE(make_dirs(secrets_ / "more"));
  EXPECT_THAT(run(call).reason, HasSubstr("its credentials"));
  ASSERT_TRUE(remove_tree(secrets_ / "more"));
  secret("big", std::string(2 << 20, 'x'));
  EXPECT_THAT(run(call).reason, HasSubstr("its credentials"));
  call.credentials = directory_ / "absent";
  const HookResult result = run(call);
  EXPECT_EQ(result.end, HookEnd::could_not_run);
  EXPECT_THAT(result.reason, HasSubstr("its credentials"));
  call.credentials = state_;  // empty
  call.program = hook("ls -A $HC_CREDENTIALS_DIR").program;
  EXPECT_EQ(run(call).output, "");
}

TEST_F(HookCredentialsTest, HiddenDirectoriesAreEmptyToIt) {
  HookCall call = hook("ls -A " + secrets_.string() + "; cat " + secrets_.string() + "/password && exit 9; touch " +
                       secrets_.string() + "/x && exit 9; exit 0");
  call.hidden = {secrets_, directory_ / "absent"};
  for (const char* user : {"", "nobody"}) {
    for (const bool confined : {false, true}) {
      call.user = user;
      if (confined) call.devices.emplace();
      if (confined)
        call.program =
            hook("umount -l " + secrets_.string() + "; cat " + secrets_.string() + "/password && exit 9; exit 0")
                .program;
      const HookResult result = run(call);
      EXPECT_TRUE(result.passed()) << result.reason << result.output;
      EXPECT_THAT(result.output, Not(HasSubstr("hunter2")));
    }
  }
  EXPECT_EQ(*read_file(secrets_ / "password"), "hunter2\n");
  call.hidden = {secrets_ / "password"};  // no directory
  EXPECT_EQ(run(call).end, HookEnd::could_not_run);
}

TEST_F(HookCredentialsTest, TheirSourceCanBeHidden) {
  HookCall call = with_credentials("cat $HC_CREDENTIALS_DIR/password | wc -c; ls -A " + secrets_.string());
  call.hidden = {secrets_};
  EXPECT_EQ(run(call).output, "8\n");
}

}  // namespace
}  // namespace hc
