#include <array>
#include <ctime>

#include "tests/integration/service_node.h"

// The worker on a real node in a folder: what becomes of jobs when it works, and when it is killed.
namespace hc {
namespace {

using ::testing::HasSubstr;

class WorkerOnNode : public ServiceNode {};

TEST_F(WorkerOnNode, RunsJobsInOrder) {
  const std::vector<std::uint64_t> ids = {add(camera_job("1.0")), add(camera_job("2.0")), add(camera_job("1.0"))};
  work();
  expect_each_ended_once(ids);
  const Json history = os_json({"history"})["transactions"];
  ASSERT_EQ(history.size(), 3U);
  EXPECT_EQ(history[1]["to"]["version"], "2.0");
  EXPECT_EQ(job(ids[2]).transaction, 3U);
}

TEST_F(WorkerOnNode, KilledAtAnyMomentLosesNoJobAndRunsNoneTwice) {
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 6; ++i) ids.push_back(add(camera_job(i % 2 == 0 ? "1.0" : "2.0")));
  for (int i = 0; i < 12; ++i) {
    const pid_t worker = start_worker();
    clock_.sleep_ms(150 + 83 * i);
    end(worker, SIGKILL);
  }
  work();
  expect_each_ended_once(ids);
}

TEST_F(WorkerOnNode, KilledByTheHookItRuns) {
  build_camera("3.0", 3,
               "test -e $HC_STATE_DIR/once && exit 0\ntouch $HC_STATE_DIR/once\nkill -9 $(pgrep -f '^" +
                   std::string(HC_WORKER_PROGRAM) + " --sysroot " + node().string() + "')\nsleep 60");
  const std::uint64_t id = add(camera_job("3.0"));
  EXPECT_NE(wait_for(start_worker()), 0);
  EXPECT_EQ(state_of(id), JobState::running);
  work();
  expect_each_ended_once({id});
}

TEST_F(WorkerOnNode, ToldToEndItTakesTheJobUpAgainLater) {
  build_camera("3.0", 3, "test -e $HC_STATE_DIR/once && exit 0\ntouch $HC_STATE_DIR/once; sleep 100");
  const std::uint64_t id = add(camera_job("3.0"));
  const pid_t worker = start_worker();
  EXPECT_TRUE(comes([&] { return fs::exists(state() / "state/ptz-camera/once"); }));
  end(worker, SIGTERM);
  EXPECT_EQ(state_of(id), JobState::queued);
  work();
  EXPECT_EQ(state_of(id), JobState::done);
}

TEST_F(WorkerOnNode, CancelEndsTheJobThatRunsAndTheNextGoesOn) {
  build_camera("3.0", 3, "touch $HC_STATE_DIR/begun; sleep 100");
  const std::uint64_t slow = add(camera_job("3.0"));
  const std::uint64_t next = add(camera_job("1.0"));
  const pid_t worker = start_worker();
  EXPECT_TRUE(comes([&] { return fs::exists(state() / "state/ptz-camera/begun"); }));
  ASSERT_TRUE(queue().change(slow, [](Job& job) -> Status {
    job.cancel = true;
    return ok;
  }));
  EXPECT_EQ(wait_for(worker), 0);
  EXPECT_EQ(state_of(slow), JobState::cancelled);
  EXPECT_EQ(state_of(next), JobState::done);
}

TEST_F(WorkerOnNode, AFailingJobStarvesNobody) {
  build_camera("3.0", 3, "exit 4");
  ASSERT_EQ(os({"remote", "add", "dead", "http://127.0.0.1:9/repo"}).status, 0);
  put("node/ostree/slots/a/etc/honeycomb/honeycomb.conf", "[network]\nattempts=1\nconnect_s=2\n");
  Job away = camera_job("9.9");
  away.attempts = 5;
  const std::uint64_t waits = add(away);
  const std::uint64_t poison = add(camera_job("3.0"));
  Job once_more = camera_job("3.0");
  once_more.again = false;
  const std::uint64_t refused = add(once_more);
  const std::uint64_t good = add(camera_job("1.0"));
  work();
  EXPECT_EQ(state_of(waits), JobState::deferred);
  EXPECT_THAT(job(waits).reason, HasSubstr("attempt 1 of 5"));
  EXPECT_EQ(state_of(poison), JobState::failed);
  EXPECT_EQ(job(poison).error->code(), Code::hook_failed);
  EXPECT_EQ(state_of(refused), JobState::failed);
  EXPECT_THAT(job(refused).error->text(), HasSubstr("failed on this node before"));
  EXPECT_EQ(state_of(good), JobState::done);
}

TEST_F(WorkerOnNode, AnUpgradeOfTheSystemEndsAfterTheRestart) {
  build("2.0", 2);
  Job os_job;
  os_job.what = "2.0";
  const std::uint64_t os_id = add(os_job);
  Job camera = camera_job("1.0");
  camera.attempts = 5;
  const std::uint64_t camera_id = add(camera);
  work();
  EXPECT_EQ(state_of(os_id), JobState::restart);
  EXPECT_EQ(state_of(camera_id), JobState::queued) << "order is kept over the restart";
  EXPECT_EQ(sandbox({"reboot", "node"}).status, 0);
  work();
  expect_each_ended_once({os_id, camera_id});
  EXPECT_EQ(running_version(), "2.0");
}

TEST_F(WorkerOnNode, ATrialIsNotTheWorkersToJudge) {
  build("2.0", 2);
  Job os_job;
  os_job.what = "2.0";
  const std::uint64_t id = add(os_job);
  work();
  put("node/run/honeycomb/cmdline", "quiet ostree=/ostree/slots/b\n");
  put("node/run/honeycomb/boot_id", "the next boot\n");
  work();
  EXPECT_EQ(state_of(id), JobState::deferred);
  EXPECT_THAT(job(id).reason, HasSubstr("honeycomb-boot"));
  EXPECT_EQ(os({"resume"}).status, 0);
  ASSERT_TRUE(queue().change(id, [](Job& job) -> Status {
    job.not_before = 0;
    return ok;
  }));
  work();
  expect_each_ended_once({id});
}

TEST_F(WorkerOnNode, ARollbackTakesBackWhatWaitsForTheRestart) {
  build("2.0", 2);
  Job deploy;
  deploy.what = "2.0";
  Job rollback;
  rollback.kind = JobKind::rollback;
  rollback.by = "test";
  const std::uint64_t deployed = add(deploy);
  work();
  const std::uint64_t back = add(rollback);
  work();
  EXPECT_EQ(state_of(back), JobState::done);
  EXPECT_EQ(state_of(deployed), JobState::cancelled);
  const std::uint64_t again = add(deploy);
  work();
  ASSERT_TRUE(queue().change(again, [](Job& job) -> Status {
    job.cancel = true;
    return ok;
  }));
  work();
  EXPECT_EQ(state_of(again), JobState::cancelled) << "cancelling does the same";
  EXPECT_EQ(os_json({"status"})["transaction"], nullptr);
}

TEST_F(WorkerOnNode, DownloadsInOneWindowAndInstallsInAnother) {
  // Three days from now: closed, whatever the time is.
  const std::time_t then = ::time(nullptr) + 3 * 86'400;
  std::array<char, 8> day{};
  std::strftime(day.data(), day.size(), "%a", std::localtime(&then));
  const std::string closed = std::string(day.data()) + " 00:00-01:00\n";
  const auto settle = [&](const std::string& settings, std::uint64_t id) {
    put("node/ostree/slots/a/etc/honeycomb/honeycomb.conf", "[maintenance]\n" + settings);
    const auto due = queue().change(id, [](Job& job) -> Status {
      job.not_before = 0;
      return ok;
    });
    ASSERT_TRUE(due);
    work();
  };
  Job patient = camera_job("2.0");
  patient.attempts = 5;
  const std::uint64_t id = add(patient);
  settle("download=" + closed, id);
  EXPECT_EQ(state_of(id), JobState::deferred);
  EXPECT_THAT(job(id).reason, HasSubstr("downloads"));
  settle("install=" + closed, id);
  EXPECT_EQ(state_of(id), JobState::deferred);
  EXPECT_THAT(job(id).reason, HasSubstr("maintenance window"));
  EXPECT_EQ(job(id).attempt, 1U) << "waiting costs no attempt";
  Job now = camera_job("1.0");
  now.any_time = true;
  const std::uint64_t at_the_keyboard = add(now);
  work();
  EXPECT_EQ(state_of(at_the_keyboard), JobState::done);
  run({"find", "repo/objects", "-name", "*.filez", "-delete"});
  settle("download=" + closed, id);
  EXPECT_EQ(state_of(id), JobState::done)
      << "with what was fetched before: " << job(id).reason << (job(id).error ? job(id).error->text() : "");
}

// What an update timer asks for every day.
TEST_F(WorkerOnNode, WhatRunsAlreadyIsDone) {
  const std::uint64_t first = add(camera_job("1.0"));
  Job daily = camera_job("1.0");
  daily.again = false;
  daily.attempts = 5;
  const std::uint64_t same = add(daily);
  daily.attempts = 1;
  const std::uint64_t asked = add(daily);
  work();
  EXPECT_EQ(state_of(first), JobState::done);
  EXPECT_EQ(state_of(same), JobState::done);
  EXPECT_THAT(job(same).result.dump(), HasSubstr("runs 1.0 already"));
  EXPECT_EQ(job(same).transaction, 0U);
  EXPECT_EQ(state_of(asked), JobState::failed) << "who waits for the answer is told";
}

TEST_F(WorkerOnNode, IsHeldOffWhileSomebodyInhibits) {
  const pid_t holder = start({HC_OS_PROGRAM, "--sysroot", node().string(), "inhibit", "--why", "measuring"});
  EXPECT_TRUE(comes([&] { return !list_dir(state() / "inhibit").value().empty(); }));
  Job patient = camera_job("1.0");
  patient.attempts = 5;
  const std::uint64_t waits = add(patient);
  const std::uint64_t hears = add(camera_job("1.0"));
  work();
  EXPECT_EQ(state_of(waits), JobState::deferred);
  EXPECT_THAT(job(waits).reason, HasSubstr("measuring"));
  EXPECT_EQ(job(hears).error->code(), Code::busy);
  EXPECT_EQ(os({"deploy", "1.0", "--target", kCamera}).status, 7);
  end(holder, SIGINT);
  EXPECT_EQ(os({"inhibit", "--why", "brief", "--", "sh", "-c", "exit 3"}).status, 3);
  EXPECT_EQ(os({"deploy", "1.0", "--target", kCamera}).status, 0);
}

TEST_F(WorkerOnNode, OnlyOneWorks) {
  build_camera("3.0", 3, "touch $HC_STATE_DIR/begun; sleep 100");
  const std::uint64_t id = add(camera_job("3.0"));
  const pid_t first = start_worker();
  EXPECT_TRUE(comes([&] { return fs::exists(state() / "state/ptz-camera/begun"); }));
  EXPECT_TRUE(worker_runs(queue()));
  EXPECT_EQ(wait_for(start_worker()), 0) << "a second one has nothing to do";
  EXPECT_EQ(state_of(id), JobState::running);
  end(first, SIGKILL);
  EXPECT_FALSE(worker_runs(queue()));
}

}  // namespace
}  // namespace hc
