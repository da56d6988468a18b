#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "engine/base/process.h"
#include "engine/base/text.h"

namespace hc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = ProcessEnd::Kind;

class ProcessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = (fs::temp_directory_path() / "hc-process-XXXXXX").string();
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    directory_ = path;
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(directory_)); }

  ProcessSpec shell(const std::string& script) const {
    ProcessSpec spec;
    spec.argv = {"/bin/sh", "-c", script};
    spec.directory = directory_;
    spec.environment = {{"PATH", std::string(kSystemPath)}};
    spec.timeout_ms = 60'000;
    spec.grace_ms = 200;
    return spec;
  }
  ProcessEnd run(const ProcessSpec& spec) {
    ProcessWatch watch;
    watch.output = [this](std::string_view bytes) { output_ += bytes; };
    return run_process(spec, watch, stop_);
  }
  ProcessEnd run(const std::string& script) { return run(shell(script)); }

  // Reaches its time limit after it has written the file `name`, however slow the machine is.
  ProcessEnd run_to_limit(ProcessSpec spec, const std::string& name) {
    for (spec.timeout_ms = 300;; spec.timeout_ms *= 4) {
      output_.clear();
      ProcessEnd end = run(spec);
      if (!content(name).empty()) return end;
    }
  }

  std::string content(const std::string& name) const {
    const auto text = read_file(directory_ / name);
    return text ? std::string(trimmed(*text)) : "";
  }
  // The process whose pid a script wrote into the file `name`.
  bool alive(const std::string& name) const {
    const std::string pid = content(name);
    EXPECT_NE(pid, "") << name;
    return kill(std::stoi(pid), 0) == 0;
  }
  void write_program(const std::string& name, const std::string& text, mode_t mode) const {
    std::ofstream(directory_ / name) << text;
    ASSERT_EQ(chmod((directory_ / name).c_str(), mode), 0);
  }

  fs::path directory_;
  std::string output_;
  StopToken stop_;
};

TEST_F(ProcessTest, ExitStatusAndOutputArrive) {
  const ProcessEnd end = run("echo out; echo err >&2; exit 7");
  EXPECT_EQ(end.kind, Kind::exited);
  EXPECT_EQ(end.value, 7);
  EXPECT_EQ(output_, "out\nerr\n");
  EXPECT_THAT(end.leftovers, IsEmpty());
}

TEST_F(ProcessTest, ASignalIsNoExitStatus) {
  const ProcessEnd end = run("kill -SEGV $$");
  EXPECT_EQ(end.kind, Kind::signalled);
  EXPECT_EQ(end.value, SIGSEGV);
}

TEST_F(ProcessTest, Status126And127AreAnswersOfTheProgram) {
  EXPECT_EQ(run("exit 127").kind, Kind::exited);
  EXPECT_EQ(run("exit 126").value, 126);
}

TEST_F(ProcessTest, WhatCannotRunSaysWhy) {
  write_program("plain", "#!/bin/sh\nexit 0\n", 0644);
  write_program("no-interpreter", "#!/no/such/shell -e\nexit 0\n", 0755);
  write_program("windows", "#!/bin/sh\r\nexit 0\n", 0755);
  write_program("no-shebang", "exit 0\n", 0755);
  const auto reason = [this](const fs::path& program) {
    ProcessSpec spec = shell("");
    spec.argv = {program.string()};
    const ProcessEnd end = run(spec);
    EXPECT_EQ(end.kind, Kind::could_not_run) << program;
    return end.reason;
  };
  EXPECT_THAT(reason(directory_ / "absent"), HasSubstr("there is no program"));
  EXPECT_THAT(reason(directory_ / "plain"), HasSubstr("not executable"));
  EXPECT_THAT(reason(directory_ / "no-interpreter"), HasSubstr("`/no/such/shell -e` does not exist"));
  EXPECT_THAT(reason(directory_ / "windows"), HasSubstr("`/bin/sh\\x0d` does not exist"));
  EXPECT_THAT(reason(directory_ / "no-shebang"), HasSubstr("begins with #!"));
  EXPECT_THAT(reason("no-such-program-anywhere"), HasSubstr("there is no program"));
  EXPECT_THAT(reason(directory_), Not(IsEmpty()));
}

TEST_F(ProcessTest, AMissingDirectoryIsNamed) {
  ProcessSpec spec = shell("exit 0");
  spec.directory = directory_ / "gone";
  const ProcessEnd end = run(spec);
  EXPECT_EQ(end.kind, Kind::could_not_run);
  EXPECT_THAT(end.reason, HasSubstr("gone"));
}

TEST_F(ProcessTest, StartsClean) {
  const UniqueFd leak(open("/dev/null", O_RDONLY));  // without O_CLOEXEC, as a careless library would
  const mode_t before = umask(077);
  ProcessSpec spec =
      shell("ls /proc/self/fd; umask; pwd; cat; env; tty; : 2>/dev/null < /dev/tty && echo has a terminal");
  spec.environment["ONLY"] = "this";
  run(spec);
  umask(before);
  const auto lines = split(output_, '\n');
  // 3 is the directory that ls itself reads.
  EXPECT_THAT(std::vector(lines.begin(), lines.begin() + 4), ElementsAre("0", "1", "2", "3"));
  EXPECT_THAT(output_, HasSubstr("0022\n" + directory_.string() + "\n"));
  EXPECT_THAT(output_, HasSubstr("ONLY=this\n"));
  EXPECT_THAT(output_, Not(HasSubstr("HOME=")));
  EXPECT_THAT(output_, HasSubstr("not a tty"));
  EXPECT_THAT(output_, Not(HasSubstr("has a terminal")));
}

TEST_F(ProcessTest, SignalsAreNeitherBlockedNorIgnored) {
  signal(SIGUSR1, SIG_IGN);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  EXPECT_EQ(run("kill -USR1 $$; exit 0").kind, Kind::signalled);
  EXPECT_EQ(run("kill -USR2 $$; exit 0").kind, Kind::signalled);
  pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
  signal(SIGUSR1, SIG_DFL);
}

TEST_F(ProcessTest, OurOwnStateIsUntouched) {
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const fs::path cwd = fs::current_path();
  run("cd /; umask 000; ulimit -n 3; exit 0");
  rlimit after{};
  getrlimit(RLIMIT_NOFILE, &after);
  EXPECT_EQ(after.rlim_cur, before.rlim_cur);
  EXPECT_EQ(fs::current_path(), cwd);
  const mode_t mask = umask(022);
  umask(mask);
  EXPECT_NE(mask, 0U);
}

TEST_F(ProcessTest, AtTheTimeLimitEverythingEnds) {
  const ProcessSpec spec =
      shell("sleep 1000 & echo $! > child; trap '' TERM; echo $$ > main; while :; do sleep 1; done");
  const ProcessEnd end = run_to_limit(spec, "main");
  EXPECT_EQ(end.kind, Kind::timed_out);
  EXPECT_THAT(end.leftovers, Contains(HasSubstr("sleep 1000")));
  EXPECT_FALSE(alive("main"));
  EXPECT_FALSE(alive("child"));
}

TEST_F(ProcessTest, TermComesBeforeKill) {
  ProcessSpec spec = shell("trap 'echo tidy; exit 0' TERM; echo $$ > main; sleep 1000 & wait");
  spec.grace_ms = 60'000;
  EXPECT_EQ(run_to_limit(spec, "main").kind, Kind::timed_out);
  EXPECT_EQ(output_, "tidy\n");
}

TEST_F(ProcessTest, WaitingForAnAnswerEndsAtOnceOrAtTheLimit) {
  EXPECT_EQ(run("read answer && exit 9; cat; exit 3").value, 3);
  for (const char* script : {"sleep infinity", "while :; do :; done", "kill -STOP $$; sleep 1000"}) {
    ProcessSpec spec = shell(script);
    spec.timeout_ms = 200;
    EXPECT_EQ(run(spec).kind, Kind::timed_out) << script;
  }
}

TEST_F(ProcessTest, BackgroundChildrenAreListedAndEnded) {
  const ProcessEnd end = run("sleep 601 & echo $! > one; setsid sleep 602 & echo $! > two; exit 0");
  EXPECT_EQ(end.kind, Kind::exited);
  EXPECT_EQ(end.value, 0);
  EXPECT_THAT(end.leftovers, Contains(HasSubstr("sleep 601 (pid ")));
  EXPECT_THAT(end.leftovers, Contains(HasSubstr("sleep 602 (pid ")));
  EXPECT_FALSE(alive("one"));
  EXPECT_FALSE(alive("two"));
}

TEST_F(ProcessTest, DaemonsThatHideAreFound) {
  // Two forks and a new session, without descriptors and with TERM ignored.
  run("(setsid sh -c 'trap \"\" TERM; echo $$ > daemon; while :; do sleep 1; done' >/dev/null 2>&1 &) ; "
      "while [ ! -s daemon ]; do sleep 0.02; done; exit 0");
  EXPECT_FALSE(alive("daemon"));
}

TEST_F(ProcessTest, AChattyChildLeftBehindDoesNotBlock) {
  const ProcessEnd end = run("(while :; do echo x; done) & exit 4");
  EXPECT_EQ(end.kind, Kind::exited);
  EXPECT_EQ(end.value, 4);
}

TEST_F(ProcessTest, OutputOfAShortLivedChildIsKept) {
  EXPECT_THAT(run("(sleep 0.05; echo late) & exit 0").leftovers, IsEmpty());
  EXPECT_EQ(output_, "late\n");
}

TEST_F(ProcessTest, ClosedOutputIsNoEnd) { EXPECT_EQ(run("exec >&- 2>&-; sleep 0.2; exit 5").value, 5); }

TEST_F(ProcessTest, AStopEndsIt) {
  std::thread stopper([this] {
    while (content("main").empty()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    stop_.request();
  });
  const ProcessEnd end = run("echo $$ > main; sleep 1000");
  stopper.join();
  EXPECT_EQ(end.kind, Kind::cancelled);
  EXPECT_FALSE(alive("main"));
}

TEST_F(ProcessTest, AfterAStopNothingStarts) {
  stop_.request();
  EXPECT_EQ(run("touch ran").kind, Kind::cancelled);
  EXPECT_FALSE(fs::exists(directory_ / "ran"));
}

TEST_F(ProcessTest, ItsMountsAreItsOwn) {
  if (geteuid() != 0) GTEST_SKIP() << "mounting needs root";
  const auto before = read_file("/proc/self/mounts");
  ProcessSpec spec = shell("mkdir m && mount -t tmpfs x m && touch m/here && ls m");
  spec.own_mounts = true;
  const ProcessEnd end = run(spec);
  EXPECT_EQ(end.kind, Kind::exited) << output_ << end.reason;
  EXPECT_EQ(end.value, 0) << output_;
  EXPECT_EQ(output_, "here\n");
  EXPECT_FALSE(fs::exists(directory_ / "m" / "here"));
  EXPECT_EQ(*read_file("/proc/self/mounts"), *before);
  EXPECT_EQ(rmdir((directory_ / "m").c_str()), 0);  // nothing holds it
}

TEST_F(ProcessTest, ItsMountsAreItsOwnWhereMountsAreShared) {
  if (geteuid() != 0) GTEST_SKIP() << "mounting needs root";
  // systemd makes all mounts shared: then a copy of the namespace alone keeps nothing apart.
  const pid_t other = fork();
  ASSERT_GE(other, 0);
  if (other == 0) {
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr) != 0) {
      _exit(2);
    }
    const std::string before = *read_file("/proc/self/mounts");
    ProcessSpec spec = shell("mkdir m && mount -t tmpfs x m");
    spec.own_mounts = true;
    spec.read_only = {"/usr"};
    const bool ran = run(spec).value == 0;
    _exit(ran && *read_file("/proc/self/mounts") == before ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(other, &status, 0), other);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(ProcessTest, ReadOnlyMeansItForTheChildOnly) {
  if (geteuid() != 0) GTEST_SKIP() << "mounting needs root";
  ProcessSpec spec = shell("echo no > file && exit 9; exit 3");
  spec.own_mounts = true;
  spec.read_only = {directory_};
  EXPECT_EQ(run(spec).value, 3) << output_;
  EXPECT_THAT(output_, HasSubstr("Read-only file system"));
  std::ofstream(directory_ / "ours") << "yes";
  EXPECT_EQ(content("ours"), "yes");
}

TEST_F(ProcessTest, EndsWhenItsOwnerIsKilled) {
  const pid_t owner = fork();
  ASSERT_GE(owner, 0);
  if (owner == 0) {
    run("setsid sh -c 'echo $$ > main; exec sleep 1000'");
    _exit(0);
  }
  while (content("main").empty()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ASSERT_EQ(kill(owner, SIGKILL), 0);
  ASSERT_EQ(waitpid(owner, nullptr, 0), owner);
  for (int i = 0; i < 2000 && alive("main"); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_FALSE(alive("main"));
}

TEST_F(ProcessTest, SurvivesTheDeathOfItsGuard) {
  const ProcessEnd end = run("echo $$ > main; kill -KILL $PPID; sleep 1000");
  EXPECT_EQ(end.kind, Kind::signalled);
  for (int i = 0; i < 2000 && alive("main"); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_FALSE(alive("main"));
}

// Like an engine that ran in a hook and was killed.
TEST_F(ProcessTest, CgroupsThatAChildMadeGoWithIt) {
  const std::string made =
      "root=/sys/fs/cgroup; [ -e $root/cgroup.procs ] || root=$root/unified\n"
      "own=$root$(sed -n s/^0:://p /proc/self/cgroup); case $own in */hc-child-*) ;; *) exit 7 ;; esac\n"
      "mkdir -p $own/a/b $own/c || exit 7; echo 0 > $own/a/b/cgroup.procs; echo $own > path; sleep 600 & exit 0";
  const ProcessEnd end = run(made);
  if (end.value == 7) GTEST_SKIP() << "no cgroup of version 2 that we may use";
  ASSERT_EQ(end.kind, Kind::exited) << end.reason;
  EXPECT_FALSE(fs::exists(content("path"))) << content("path");
}

TEST_F(ProcessTest, LeavesNoCgroupAndNoChild) {
  run("sleep 600 & exit 0");
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  for (const char* root : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    const auto names = list_dir(root);
    if (!names) continue;
    for (const std::string& name : *names) {
      EXPECT_EQ(name.find("-" + std::to_string(getpid()) + "-"), std::string::npos) << name;
    }
  }
}

TEST(RunCommandTest, KeepsOutputAndErrorsApart) {
  const auto result = run_command({"sh", "-c", "echo out; echo err >&2; echo $LANG; exit 3"});
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(result->status, 3);
  EXPECT_EQ(result->output, "out\nC.UTF-8\n");
  EXPECT_EQ(result->errors, "err\n");
}

TEST(RunCommandTest, FailuresAreErrors) {
  EXPECT_THAT(run_command({"no-such-program"}).error().text(), HasSubstr("no-such-program could not run"));
  EXPECT_THAT(run_command({"sh", "-c", "kill -9 $$"}).error().text(), HasSubstr("signal 9 (Killed)"));
  CommandOptions options;
  options.timeout_ms = 100;
  EXPECT_EQ(run_command({"sleep", "1000"}, options).error().code(), Code::unavailable);
  options = {};
  options.output_limit = 1000;
  const auto chatty = run_command({"head", "-c", "5000000", "/dev/zero"}, options);
  ASSERT_FALSE(chatty);
  EXPECT_THAT(chatty.error().text(), HasSubstr("more than the 1.0 kB"));
}

}  // namespace
}  // namespace hc
