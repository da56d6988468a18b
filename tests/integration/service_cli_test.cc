#include "tests/integration/service_daemon.h"

// hc-os with a service and without: the same words, the same ends.
namespace hc {
namespace {

using ::testing::HasSubstr;

class ByService : public ServiceDaemon {
 protected:
  // Runs `arguments` with the service; what comes out, without what differs from run to run.
  CommandResult with(std::vector<std::string> arguments) const { return plain(os(std::move(arguments))); }
  // The same without.
  CommandResult without(std::vector<std::string> arguments) {
    kill_service();
    CommandResult result = plain(os(std::move(arguments)));
    start_service();
    return result;
  }
  static CommandResult plain(CommandResult result) {
    for (std::string* text : {&result.output, &result.errors}) *text = masked(*text);
    return result;
  }
  // Numbers are times, sizes and counts, and the slots take turns.
  static std::string masked(const std::string& text) {
    std::string plain;
    for (const char c : text) {
      if (c < '0' || c > '9') plain += c;
      if (c >= '0' && c <= '9' && !plain.ends_with('#')) plain += '#';
    }
    for (const char* unit : {" ms", " s", " min"})
      for (std::size_t at = plain.find(std::string("#") + unit); at != std::string::npos;
           at = plain.find(std::string("#") + unit))
        plain.replace(at, 1 + std::string(unit).size(), "T");
    for (const char* slot : {"slot a", "slot b"})
      for (std::size_t at = plain.find(slot); at != std::string::npos; at = plain.find(slot))
        plain.replace(at, 6, "SLOT");
    std::string lines;
    for (const std::string& line : split(plain, '\n'))
      if (line.find('%') == std::string::npos) lines += squeezed(line) + "\n";
    return lines;
  }
  static std::string squeezed(const std::string& line) {
    std::string text;
    for (const char c : line)
      if (c != ' ' || !text.ends_with(' ')) text += c;
    return text;
  }
  void expect_same(const std::vector<std::string>& arguments, int status) {
    const CommandResult here = without(arguments);
    const CommandResult there = with(arguments);
    EXPECT_EQ(here.status, status) << here.errors;
    EXPECT_EQ(there.status, status) << there.errors;
    EXPECT_EQ(there.output, here.output);
    EXPECT_EQ(there.errors, here.errors);
  }
  bool was_queued() const { return !queue().all()->empty(); }
};

TEST_F(ByService, SaysTheSameAndEndsTheSame) {
  build_camera("3.0", 3, "echo no camera; exit 5");
  os({"deploy", "1.0", "--target", kCamera});
  EXPECT_TRUE(was_queued());
  expect_same({"deploy", "2.0", "--target", kCamera, "--again"}, 0);
  expect_same({"deploy", "3.0", "--target", kCamera, "--again"}, 9);
  expect_same({"deploy", "3.0", "--target", kCamera}, 3);
  expect_same({"deploy", "7.7", "--target", kCamera}, 3);
  expect_same({"pin", "1.0", "--target", kCamera}, 0);
  EXPECT_EQ(os({"gc"}).status, 0);
}

TEST_F(ByService, AnUpgradeOfTheSystemAndItsWayBack) {
  build("2.0", 2);
  const Json deployed = os_json({"deploy", "2.0"});
  EXPECT_EQ(deployed["waits_for_reboot"], true);
  EXPECT_EQ(deployed["request"]["by"], "root");
  EXPECT_EQ(os_json({"rollback"}, 130)["outcome"], "cancelled");
  os_json({"deploy", "2.0"});
  EXPECT_EQ(sandbox({"reboot", "node"}).status, 0);
  EXPECT_EQ(running_version(), "2.0");
  EXPECT_TRUE(all_end());
  EXPECT_EQ(job(3).state, JobState::done);
}

TEST_F(ByService, DetachQueuesAndFollowWatches) {
  build_camera("3.0", 3, "sleep 2");
  EXPECT_EQ(os_json({"deploy", "3.0", "--target", kCamera, "--detach"})["job"], 1);
  const CommandResult watched = os({"jobs", "1", "--follow"});
  EXPECT_EQ(watched.status, 0);
  EXPECT_THAT(watched.output, HasSubstr("ptz-camera 3.0 is confirmed"));
  EXPECT_THAT(watched.errors, HasSubstr("install"));
  EXPECT_EQ(os_json({"jobs"})["jobs"][0]["state"], "done");
  kill_service();
  EXPECT_EQ(os({"deploy", "3.0", "--target", kCamera, "--detach"}).status, 5);
  EXPECT_EQ(os({"jobs"}).status, 5);
  start_service();
}

TEST_F(ByService, CtrlCLetsGoAndCancelEnds) {
  build_camera("3.0", 3, "touch $HC_STATE_DIR/begun; sleep 100");
  const pid_t watcher = start({HC_OS_PROGRAM, "--sysroot", node().string(), "deploy", "3.0", "--target", kCamera});
  EXPECT_TRUE(comes([&] { return fs::exists(state() / "state/ptz-camera/begun"); }));
  ::kill(watcher, SIGINT);
  EXPECT_EQ(WEXITSTATUS(wait_for(watcher)), 130);
  EXPECT_THAT(read_file(dir_ / "children.log").value(), HasSubstr("Let go of job 1, which goes on"));
  EXPECT_EQ(state_of(1), JobState::running);
  EXPECT_EQ(os({"cancel", "1"}).status, 0);
  EXPECT_EQ(os({"jobs", "1", "--follow"}).status, 130);
  EXPECT_EQ(state_of(1), JobState::cancelled);
}

TEST_F(ByService, FollowsThroughARestartOfTheService) {
  build_camera("3.0", 3, "touch $HC_STATE_DIR/begun; sleep 4");
  const pid_t watcher = start({HC_OS_PROGRAM, "--sysroot", node().string(), "deploy", "3.0", "--target", kCamera});
  EXPECT_TRUE(comes([&] { return fs::exists(state() / "state/ptz-camera/begun"); }));
  kill_service();
  start_service();
  EXPECT_EQ(wait_for(watcher), 0);
  EXPECT_EQ(state_of(1), JobState::done);
}

}  // namespace
}  // namespace hc
