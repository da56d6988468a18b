#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "engine/base/text.h"
#include "hooks/runner.h"
#include "tests/integration/hook_in_folder.h"

// The cases HK-1, HK-2, HK-4, HK-5 and HK-7, each against real processes.
namespace hc {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class HookRunnerTest : public HookInFolder {};

TEST_F(HookRunnerTest, PassesAndTellsItsOutputLive) {
  const HookResult result = run("echo one; echo two >&2; pwd");
  EXPECT_EQ(result.end, HookEnd::passed) << result.reason;
  EXPECT_TRUE(result.passed());
  EXPECT_EQ(result.attempts, 1);
  EXPECT_EQ(result.output, "one\ntwo\n" + payload_.string() + "\n");
  EXPECT_THAT(lines_, ElementsAre("one", "two", payload_.string()));
  EXPECT_THAT(result.insight, IsEmpty());
}

TEST_F(HookRunnerTest, ThreeKindsOfFailure) {
  HookResult result = run("exit 3");
  EXPECT_EQ(result.end, HookEnd::said_no);
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.reason, "hc_install_upgrade.sh said no (exit status 3)");

  result = run("kill -SEGV $$");
  EXPECT_EQ(result.end, HookEnd::killed);
  EXPECT_EQ(result.signal, SIGSEGV);
  EXPECT_THAT(result.reason, HasSubstr("killed by signal 11 (Segmentation fault)"));

  HookCall call = hook("exit 0");
  chmod(call.program.c_str(), 0644);
  result = run(call);
  EXPECT_EQ(result.end, HookEnd::could_not_run);
  EXPECT_EQ(result.attempts, 0);
  EXPECT_EQ(result.reason, "hc_install_upgrade.sh could not run: it is not executable");
  EXPECT_EQ(run("exit 127").end, HookEnd::said_no);
}

TEST_F(HookRunnerTest, TheEnvironmentIsExactlyTheCalls) {
  setenv("HC_LEAK", "1", 1);
  const HookResult result = run("env | sed 's/=.*//' | sort | tr '\\n' ' '; echo $PATH:$LANG");
  unsetenv("HC_LEAK");
  EXPECT_THAT(result.output, StartsWith("HC_ATTEMPT HC_INSIGHT HC_STATE_DIR INSIGHT LANG PATH PWD "));
  EXPECT_THAT(result.output, HasSubstr("/usr/bin:/sbin:/bin:C.UTF-8"));
}

// HK-1
TEST_F(HookRunnerTest, WaitingHooksEndAtTheLimitAndTheNextOneRuns) {
  for (const char* script : {"sleep infinity", "trap '' TERM; sleep 1000", "while :; do :; done",
                             "trap '' TERM INT HUP; while :; do sleep 1000; done"}) {
    HookCall call = hook("echo $$ > $HC_STATE_DIR/pid; " + std::string(script));
    const HookResult result = run_to_limit(call);
    EXPECT_EQ(result.end, HookEnd::timed_out) << script;
    EXPECT_THAT(result.reason, StartsWith("hc_install_upgrade.sh did not end within "));
    EXPECT_FALSE(alive("pid")) << script;
    ASSERT_TRUE(remove_tree(state_ / "pid"));
  }
  EXPECT_EQ(run("read x").exit_code, 1);
  EXPECT_EQ(run("cat; stty 2>/dev/null && exit 9; : < /dev/tty && exit 9; exit 0").exit_code, 2);
  EXPECT_TRUE(run("exit 0").passed());
}

// HK-2
TEST_F(HookRunnerTest, BackgroundProcessesAreNamedAndEnded) {
  for (const char* script :
       {"sleep 600 & echo $! > $HC_STATE_DIR/pid; exit 0", "setsid sleep 600 & echo $! > $HC_STATE_DIR/pid; exit 0",
        "(sh -c 'echo $$ > $HC_STATE_DIR/pid; while :; do echo x; done' &); "
        "while [ ! -s $HC_STATE_DIR/pid ]; do sleep 0.01; done; exit 0"}) {
    const HookResult result = run(script);
    EXPECT_TRUE(result.passed()) << script;
    EXPECT_THAT(result.leftovers, Contains(HasSubstr("(pid " + state("pid") + ")"))) << script;
    EXPECT_FALSE(alive("pid")) << script;
    ASSERT_TRUE(remove_tree(state_ / "pid"));
  }
}

TEST_F(HookRunnerTest, NoDescriptorLeaksIn) {
  const UniqueFd lock(open((directory_ / "lock").c_str(), O_RDWR | O_CREAT, 0600));
  // 3 is the directory that ls itself reads.
  EXPECT_EQ(run("exec ls -1 /proc/self/fd").output, "0\n1\n2\n3\n");
}

// HK-4
TEST_F(HookRunnerTest, RubbishIsKeptAsText) {
  const HookResult result = run("printf 'a\\000b\\377\\033[2J\\nforged\\r2026 fine\\n'; head -c 3000000 /dev/urandom");
  EXPECT_TRUE(result.passed());
  EXPECT_THAT(result.output, StartsWith("a\\x00b\\xff\\x1b[2J\nforged\n2026 fine\n"));
  EXPECT_GT(result.dropped_bytes, 2'500'000U);
  const auto parsed = parse_json(dump_json(to_json(result)));
  ASSERT_TRUE(parsed) << parsed.error().text();
  EXPECT_EQ((*parsed)["output"], result.output);
}

TEST_F(HookRunnerTest, FloodsNeitherBlockNorGrow) {
  rusage before{};
  getrusage(RUSAGE_SELF, &before);
  HookCall call = hook("yes | head -c 2000000000; echo end");
  call.timeout_ms = 600'000;  // on a machine with other work to do
  HookResult result = run(call);
  EXPECT_TRUE(result.passed()) << result.reason;
  EXPECT_THAT(result.output, AllOf(StartsWith("y\ny\n"), EndsWith("y\nend\n")));
  EXPECT_GT(result.dropped_bytes, 1'999'000'000U);
  EXPECT_LT(result.output.size(), 200'000U);

  call.program = hook("head -c 100000000 /dev/zero | tr '\\0' x; echo; echo end >&2").program;
  result = run(call);
  EXPECT_THAT(result.output, AllOf(StartsWith("xxx"), EndsWith("x\nend\n")));
  rusage after{};
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 64 << 10);  // kB
}

TEST_F(HookRunnerTest, ClosedOrOneSidedOutputIsFine) {
  EXPECT_EQ(run("exec >&- 2>&-; sleep 0.1; exit 4").exit_code, 4);
  EXPECT_EQ(run("echo only errors >&2").output, "only errors\n");
}

// HK-5
TEST_F(HookRunnerTest, ASecondRunReallyRunsAgain) {
  const std::string script = "echo run >> $HC_STATE_DIR/runs; [ -e $HC_STATE_DIR/seen ] || { : > $HC_STATE_DIR/seen; ";
  EXPECT_EQ(run(script + "exit 1; }").end, HookEnd::said_no);
  EXPECT_TRUE(run(script + "exit 1; }").passed());
  EXPECT_TRUE(run(script + "exit 1; }").passed());
  EXPECT_EQ(state("runs"), "run\nrun\nrun");
  ASSERT_TRUE(remove_tree(state_ / "seen"));
  EXPECT_EQ(run(script + "kill -9 $$; }").end, HookEnd::killed);
  EXPECT_TRUE(run(script + "kill -9 $$; }").passed());
}

TEST_F(HookRunnerTest, RetriesAreCountedAndNumbered) {
  HookCall call = hook("echo try $HC_ATTEMPT; [ $HC_ATTEMPT = 3 ]");
  call.retries = 5;
  HookResult result = run(call);
  EXPECT_TRUE(result.passed());
  EXPECT_EQ(result.attempts, 3);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.output, "try 1\n--- attempt 2 ---\ntry 2\n--- attempt 3 ---\ntry 3\n");

  call.retries = 1;
  result = run(call);
  EXPECT_EQ(result.end, HookEnd::said_no);
  EXPECT_EQ(result.attempts, 2);
  call.retries = 0;
  EXPECT_EQ(run(call).attempts, 1);
}

TEST_F(HookRunnerTest, RetriesWithoutNumberGoOnUntilTheLimit) {
  HookCall call = hook("[ $HC_ATTEMPT = 7 ]");
  call.retries = -1;
  EXPECT_EQ(run(call).attempts, 7);
  call = hook("[ $HC_ATTEMPT = 1 ] || echo $$ > $HC_STATE_DIR/pid; exit 3");
  call.retries = -1;
  const HookResult result = run_to_limit(call);
  EXPECT_THAT(result.end, ::testing::AnyOf(HookEnd::said_no, HookEnd::timed_out));
  EXPECT_GT(result.attempts, 1);
}

TEST_F(HookRunnerTest, TheTimeLimitIsForAllAttemptsTogether) {
  HookCall call = hook("[ $HC_ATTEMPT = 1 ] && exit 1; echo $$ > $HC_STATE_DIR/pid; sleep 1000");
  call.retries = 100;
  const HookResult result = run_to_limit(call);
  EXPECT_EQ(result.end, HookEnd::timed_out);
  EXPECT_EQ(result.attempts, 2);
}

TEST_F(HookRunnerTest, AFinalStatusIsAnAnswer) {
  HookCall call = hook("exit 1");
  call.retries = 5;
  call.final_status = 1;
  const HookResult result = run(call);
  EXPECT_EQ(result.end, HookEnd::said_no);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.attempts, 1);
}

TEST_F(HookRunnerTest, WhatCannotRunIsNotRetried) {
  HookCall call = hook("exit 0");
  call.program = payload_ / "absent";
  call.retries = -1;
  const HookResult result = run(call);
  EXPECT_EQ(result.end, HookEnd::could_not_run);
  EXPECT_THAT(result.reason, HasSubstr("there is no program"));
  call = hook("exit 0");
  call.directory = payload_ / "absent";
  EXPECT_THAT(run(call).reason, HasSubstr("its directory"));
}

TEST_F(HookRunnerTest, AStopEndsItAlsoBetweenAttempts) {
  for (const char* script : {"echo $$ > $HC_STATE_DIR/pid; sleep 1000", "echo $$ > $HC_STATE_DIR/pid; exit 1"}) {
    stop_ = StopToken();
    HookCall call = hook(script);
    call.retries = -1;
    call.retry_delay_ms = 30'000;
    std::thread stopper([this] {
      while (state("pid").empty()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      stop_.request();
    });
    const HookResult result = run(call);
    stopper.join();
    EXPECT_EQ(result.end, HookEnd::cancelled) << script;
    EXPECT_EQ(result.attempts, 1);
    ASSERT_TRUE(remove_tree(state_ / "pid"));
  }
}

// HK-7
TEST_F(HookRunnerTest, MountsAreGoneHoweverItEnds) {
  if (geteuid() != 0) GTEST_SKIP() << "mounting needs root";
  const auto before = read_file("/proc/self/mounts");
  const fs::path mnt = directory_ / "mnt";
  ASSERT_TRUE(make_dirs(mnt));
  const std::string mounts = "mount -t tmpfs x " + mnt.string() + " || exit 9; ";
  HookCall call = hook(mounts + "kill -9 $$");
  EXPECT_EQ(run(call).end, HookEnd::killed);
  call = hook(mounts + "cd " + mnt.string() + "; setsid sleep 1000 & echo $! > $HC_STATE_DIR/pid; sleep 1000");
  EXPECT_EQ(run_to_limit(call).end, HookEnd::timed_out);
  EXPECT_TRUE(run(mounts + "mount --bind / " + mnt.string()).passed());
  EXPECT_EQ(*read_file("/proc/self/mounts"), *before);
  EXPECT_EQ(rmdir(mnt.c_str()), 0);
}

TEST_F(HookRunnerTest, ItsDirectoryIsReadOnlyToIt) {
  if (geteuid() != 0) GTEST_SKIP() << "mounting needs root";
  EXPECT_EQ(run("echo no > mark; test -e mark && exit 9; exit 5").exit_code, 5);
  EXPECT_FALSE(fs::exists(payload_ / "mark"));
}

TEST_F(HookRunnerTest, WeAreUntouched) {
  const fs::path cwd = fs::current_path();
  EXPECT_TRUE(run("cd /; umask 000; ulimit -n 3; exit 0").passed());
  EXPECT_EQ(fs::current_path(), cwd);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  EXPECT_GT(files.rlim_cur, 3U);
  EXPECT_TRUE(run("exit 0").passed());
}

TEST_F(HookRunnerTest, SecretsAreMaskedEverywhere) {
  HookCall call = hook(
      "printf 'login admin:hun'; sleep 0.05; echo ter2; $INSIGHT log warn 'tried hunter2'; "
      "$INSIGHT state password=hunter2; sh -c 'sleep 600; : hunter2' & exit 1");
  call.secrets = {"hunter2\n"};
  const HookResult result = run(call);
  EXPECT_THAT(result.output, HasSubstr("login admin:***\n"));
  EXPECT_THAT(dump_json(to_json(result)), Not(HasSubstr("hunter2")));
  EXPECT_THAT(result.leftovers, Contains(HasSubstr(": ***")));
  EXPECT_THAT(lines_, Not(Contains(HasSubstr("hunter2"))));
  for (const Insight& insight : insight_) EXPECT_THAT(insight.text, Not(HasSubstr("hunter2")));
  EXPECT_EQ(insight_.size(), 2U);
}

TEST_F(HookRunnerTest, InsightArrivesLiveTypedAndIsKept) {
  // The hook goes on only after its first message was seen.
  HookCall call = hook(
      "$INSIGHT progress 40 zooming in; while [ ! -e $HC_STATE_DIR/seen ]; do sleep 0.01; done; "
      "$INSIGHT metric pan_degrees 12.5; $INSIGHT metric pan_degrees 13; "
      "$INSIGHT state firmware=1.2 mode=a=b; $INSIGHT log warn slow link");
  ProcessHookRunner runner({sockets_, 200});
  HookListener listener;
  listener.insight = [this](const Insight& insight) {
    insight_.push_back(insight);
    std::ofstream(state_ / "seen") << "yes";
  };
  const HookResult result = runner.run(call, listener, stop_);
  EXPECT_TRUE(result.passed()) << result.reason << result.output;
  ASSERT_EQ(insight_.size(), 6U);
  EXPECT_EQ(insight_[0].kind, Insight::Kind::progress);
  EXPECT_EQ(insight_[0].number, 40);
  EXPECT_EQ(insight_[0].text, "zooming in");
  EXPECT_EQ(insight_[4].name, "mode");
  EXPECT_EQ(insight_[4].text, "a=b");
  ASSERT_EQ(result.insight.size(), 5U);  // of the metric, its last value
  EXPECT_EQ(result.insight[1].name, "pan_degrees");
  EXPECT_EQ(result.insight[1].number, 13);
  EXPECT_EQ(result.insight[4].kind, Insight::Kind::log);
  EXPECT_EQ(result.insight[4].name, "warn");
  EXPECT_EQ(result.insight[4].text, "slow link");
}

TEST_F(HookRunnerTest, InsightIsBounded) {
  const HookResult result =
      run("python3 - <<'END'\n"
          "import os, socket\n"
          "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
          "s.connect(os.environ['HC_INSIGHT'])\n"
          "for i in range(5000): s.send(b'log\\0info\\0\\0number %d' % i)\n"
          "for i in range(1000): s.send(b'metric\\0m%d\\0%d\\0' % (i % 300, i))\n"
          "s.send(b'x' * 60000)\n"
          "s.send(b'log\\0info\\0\\0\\x1b[2J\\xff')\n"
          "s.send(b'metric\\0m1\\0' + b'77\\0')\n"
          "END");
  ASSERT_TRUE(result.passed()) << result.output;
  EXPECT_LE(result.insight.size(), 401U);
  EXPECT_THAT(result.insight, Contains(AllOf(Field(&Insight::name, "m1"), Field(&Insight::number, 77))));
  EXPECT_THAT(result.insight.back().text, HasSubstr("messages of the hook were dropped"));
  ASSERT_TRUE(parse_json(dump_json(to_json(result))));
}

TEST_F(HookRunnerTest, WithoutASocketItRunsWithoutInsight) {
  ProcessHookRunner runner({directory_ / "absent", 200});
  const HookResult result = runner.run(hook("$INSIGHT progress 40 && echo ${HC_INSIGHT:-none}"), {}, stop_);
  EXPECT_TRUE(result.passed());
  EXPECT_EQ(result.output, "none\n");
  EXPECT_THAT(result.insight, Contains(Field(&Insight::text, HasSubstr("runs without insight"))));
}

TEST_F(HookRunnerTest, BadUseOfHcInsightSaysSo) {
  for (const char* bad : {"", "fly", "progress", "progress 101", "progress x", "metric", "metric 1x 2", "metric x",
                          "metric x 1,5", "state", "state x", "state 'a b=c'", "log", "log loud text", "log warn"}) {
    const HookResult result = run("$INSIGHT " + std::string(bad));
    EXPECT_EQ(result.exit_code, 2) << bad;
    EXPECT_THAT(result.output, HasSubstr("usage: hc-insight progress")) << bad;
  }
  EXPECT_THAT(insight_, IsEmpty());
  EXPECT_THAT(run("$INSIGHT --help").output, StartsWith("usage:"));
  EXPECT_TRUE(run("HC_INSIGHT=/no/such/socket; export HC_INSIGHT; $INSIGHT log warn x").passed());
}

}  // namespace
}  // namespace hc
