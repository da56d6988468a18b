#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "engine/upgrade/health.h"
#include "engine/upgrade/health_builtin.h"
#include "hooks/runner.h"

namespace hc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class HealthTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = (fs::temp_directory_path() / "hc-health-XXXXXX").string();
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    directory_ = path;
    plan_.directories = {directory_ / "lib", directory_ / "etc"};
    plan_.state_directory = directory_;
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(directory_)); }

  void check(const fs::path& below, const std::string& script, mode_t mode = 0755) const {
    const fs::path file = directory_ / below;
    ASSERT_TRUE(make_dirs(file.parent_path()));
    std::ofstream(file) << "#!/bin/sh\n" << script << "\n";
    ASSERT_EQ(chmod(file.c_str(), mode), 0);
  }
  HealthReport run() {
    ProcessHookRunner runner({directory_, 100});
    return run_health(plan_, runner, stop_);
  }
  static std::vector<std::string> names(const HealthReport& report) {
    std::vector<std::string> all;
    for (const CheckResult& check : report.checks) all.push_back(check.name + " " + std::string(name(check.end)));
    return all;
  }

  fs::path directory_;
  HealthPlan plan_;
  StopToken stop_;
};

TEST_F(HealthTest, NothingToCheckIsHealthy) {
  const HealthReport report = run();
  EXPECT_TRUE(report.healthy);
  EXPECT_THAT(report.checks, IsEmpty());
}

TEST_F(HealthTest, RequiredBlocksAndWantedDoesNot) {
  check("etc/required/20-b", "exit 0");
  check("etc/required/10-a", "exit 0");
  check("etc/wanted/30-c", "echo no camera; exit 4");
  EXPECT_TRUE(run().healthy);
  check("etc/required/20-b", "echo looking; echo 'no route to the camera' >&2; exit 4");
  const HealthReport report = run();
  EXPECT_FALSE(report.healthy);
  EXPECT_THAT(names(report), ElementsAre("required/10-a passed", "required/20-b failed", "wanted/30-c failed"));
  EXPECT_EQ(report.why,
            "the node is not healthy: required/20-b failed (20-b said no (exit status 4): no route to the camera)");
}

TEST_F(HealthTest, ACheckOfAPeripheralThatIsNotFittedIsSkipped) {
  check("etc/required/camera@stream", "exit 1");
  check("etc/required/gauge@level", "exit 0");
  plan_.fitted = [](const std::string& peripheral) { return peripheral == "gauge"; };
  const HealthReport report = run();
  EXPECT_TRUE(report.healthy);
  EXPECT_THAT(names(report), ElementsAre("required/camera@stream skipped", "required/gauge@level passed"));
  plan_.fitted = nullptr;
  EXPECT_FALSE(run().healthy);
}

TEST_F(HealthTest, KindsOfFailureDiffer) {
  check("etc/required/a-not-executable", "exit 0", 0644);
  check("etc/required/b-crash", "kill -SEGV $$");
  check("etc/required/c-hang", "sleep 1000");
  plan_.timeout_ms = 2000;
  const HealthReport report = run();
  EXPECT_THAT(names(report), ElementsAre("required/a-not-executable could-not-run", "required/b-crash failed",
                                         "required/c-hang timed-out"));
  EXPECT_THAT(report.why, HasSubstr("could not run"));
  EXPECT_THAT(report.why, HasSubstr("took too long"));
}

TEST_F(HealthTest, WaggleSuitesRunUnchanged) {
  check("etc/fatal/network.test", "test \"$(basename \"$PWD\")\" = fatal");
  check("etc/fatal/helper.sh", "exit 1");
  check("etc/warning/disk.test", "exit 1");
  check("etc/warning/README.test", "exit 1");
  const HealthReport report = run();
  EXPECT_THAT(names(report), ElementsAre("fatal/network.test passed", "warning/disk.test failed"));
  EXPECT_TRUE(report.healthy);
}

TEST_F(HealthTest, LaterDirectoriesReplaceAndRemove) {
  check("lib/required/a", "exit 1");
  check("lib/required/b", "exit 1");
  check("lib/required/c", "exit 0");
  check("etc/required/a", "exit 0");
  fs::create_symlink("/dev/null", directory_ / "etc/required/b");
  check("etc/required/.hidden", "exit 1");
  check("etc/required/c~", "exit 1");
  EXPECT_THAT(names(run()), ElementsAre("required/a passed", "required/c passed"));
}

TEST_F(HealthTest, WhatWorkedBeforeMustWorkAfter) {
  check("etc/wanted/camera", "exit 1");
  check("etc/wanted/radio", "exit 1");
  plan_.passed_before = {"required/camera"};
  const HealthReport report = run();
  EXPECT_FALSE(report.healthy);
  EXPECT_TRUE(report.checks.at(0).worked_before);
  EXPECT_FALSE(report.checks.at(1).worked_before);
  EXPECT_THAT(report.why, HasSubstr("wanted/camera worked before the upgrade and failed"));
  EXPECT_THAT(report.why, Not(HasSubstr("radio")));
  plan_.passed_before = {"wanted/gone"};
  EXPECT_TRUE(run().healthy);
}

TEST_F(HealthTest, AStopIsNotHealth) {
  check("etc/required/a", "exit 0");
  stop_.request();
  const HealthReport report = run();
  EXPECT_FALSE(report.healthy);
  EXPECT_THAT(report.checks, IsEmpty());
  EXPECT_THAT(report.why, HasSubstr("stopped"));
}

TEST_F(HealthTest, JsonThereAndBack) {
  check("etc/required/a", "exit 3");
  check("etc/wanted/b", "exit 0");
  plan_.required_builtin = {"hub"};
  const HealthReport report = run();
  const Json json = to_json(report);
  const auto back = health_report_from_json(json);
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(to_json(*back), json);
  EXPECT_FALSE(health_report_from_json(Json{{"checks", 1}}));
  EXPECT_FALSE(health_report_from_json(Json{{"healthy", "yes"}}));
  EXPECT_FALSE(health_report_from_json(Json(1)));
}

TEST_F(HealthTest, BuiltInChecksFollowThePlan) {
  plan_.required_builtin = {"disk", "no-such-check"};
  plan_.wanted_builtin = {"hub", "units"};
  plan_.root = directory_;
  plan_.least_free_bytes = 1;
  plan_.least_free_inodes = 1;
  const HealthReport report = run();
  EXPECT_THAT(names(report), ElementsAre("builtin/disk passed", "builtin/no-such-check could-not-run",
                                         "builtin/hub skipped", "builtin/units skipped"));
  EXPECT_FALSE(report.healthy);
  plan_.required_builtin = {"hub"};
  plan_.passed_before = {"builtin/hub"};
  EXPECT_TRUE(run().healthy);  // skipped is no failure
  for (const std::string_view name : builtin_checks()) {
    EXPECT_THAT(run_builtin(name, plan_, stop_).text, Not(HasSubstr("no built-in"))) << name;
  }
}

TEST_F(HealthTest, Disk) {
  EXPECT_EQ(check_disk(directory_, 1, 1).end, CheckEnd::passed);
  const CheckResult full = check_disk(directory_, 1ULL << 62, 1);
  EXPECT_EQ(full.end, CheckEnd::failed);
  EXPECT_THAT(full.text, HasSubstr("are needed"));
  EXPECT_EQ(check_disk(directory_ / "absent", 1, 1).end, CheckEnd::could_not_run);
}

TEST_F(HealthTest, Clock) {
  EXPECT_EQ(check_clock(directory_, 1000, 1000).end, CheckEnd::passed);
  const CheckResult early = check_clock(directory_, 999, 1000);
  EXPECT_EQ(early.end, CheckEnd::failed);
  EXPECT_EQ(early.text, "the clock says 1970-01-01T00:16:39Z, but 1970-01-01T00:16:40Z is over already");
  check("var/lib/systemd/timesync/clock", "");
  EXPECT_EQ(check_clock(directory_, 1000, 1000).end, CheckEnd::failed);
}

TEST_F(HealthTest, Route) {
  const auto route = [this](const std::string& v4, const std::string& v6) {
    EXPECT_TRUE(make_dirs(directory_ / "net"));
    std::ofstream(directory_ / "net/route") << v4;
    std::ofstream(directory_ / "net/ipv6_route") << v6;
    return check_route(directory_);
  };
  const std::string head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
  const std::string local = "eth0\t00AFA8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
  const std::string zeros(32, '0');
  const CheckResult found = route(head + local + "wwan0\t00000000\t01AFA8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n", "");
  EXPECT_EQ(found.end, CheckEnd::passed);
  EXPECT_EQ(found.text, "by wwan0");
  EXPECT_EQ(route(head + local, "").end, CheckEnd::failed);
  const std::string rest = " " + zeros + " 00 " + zeros + " 00000400 00000001 00000000 00000003     ";
  EXPECT_EQ(route(head, zeros + " 00" + rest + "eth0\n").text, "by eth0");
  EXPECT_EQ(route(head, zeros + " 00" + rest + "lo\n").end, CheckEnd::failed);
  EXPECT_EQ(route(head, zeros + " 80" + rest + "eth0\n").end, CheckEnd::failed);
  ASSERT_TRUE(remove_tree(directory_ / "net"));
  EXPECT_EQ(check_route(directory_).end, CheckEnd::could_not_run);
}

TEST_F(HealthTest, HubAndDns) {
  const UniqueFd server(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(server.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(getsockname(server.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string port = std::to_string(ntohs(address.sin_port));
  const CheckResult refused = check_hub("127.0.0.1:" + port, stop_);
  EXPECT_EQ(refused.end, CheckEnd::failed);
  EXPECT_THAT(refused.text, HasSubstr("Connection refused"));
  ASSERT_EQ(listen(server.get(), 4), 0);
  EXPECT_EQ(check_hub("127.0.0.1:" + port, stop_).end, CheckEnd::passed);
  EXPECT_EQ(check_hub("localhost:" + port, stop_).end, CheckEnd::passed);
  EXPECT_EQ(check_hub("no-such-host.invalid:80", stop_).end, CheckEnd::failed);
  for (const char* bad : {"localhost", ":80", "localhost:", "localhost:x", "localhost:0", "localhost:65536", "[]:80"}) {
    EXPECT_EQ(check_hub(bad, stop_).end, CheckEnd::could_not_run) << bad;
  }
  EXPECT_EQ(check_dns("localhost:80", stop_).end, CheckEnd::passed);
  EXPECT_EQ(check_dns("no-such-host.invalid:80", stop_).end, CheckEnd::failed);
  EXPECT_EQ(check_dns("[::1]:80", stop_).end, CheckEnd::skipped);
}

TEST_F(HealthTest, Units) {
  EXPECT_EQ(check_units(directory_, "systemctl", stop_).end, CheckEnd::skipped);
  ASSERT_TRUE(make_dirs(directory_ / "run/systemd/system"));
  const std::string systemctl = (directory_ / "systemctl").string();
  EXPECT_EQ(check_units(directory_, systemctl, stop_).end, CheckEnd::could_not_run);
  check("systemctl", "test \"$1 $2\" = '--failed --no-legend'");
  EXPECT_EQ(check_units(directory_, systemctl, stop_).end, CheckEnd::passed);
  check("systemctl", "echo 'a.service loaded failed failed A thing'; echo 'b.mount loaded failed failed Other'");
  const CheckResult failed = check_units(directory_, systemctl, stop_);
  EXPECT_EQ(failed.end, CheckEnd::failed);
  EXPECT_EQ(failed.text, "failed units: a.service, b.mount");
  check("systemctl", "echo 'no bus' >&2; exit 1");
  EXPECT_EQ(check_units(directory_, systemctl, stop_).text, "systemctl failed: no bus");
}

}  // namespace
}  // namespace hc
