#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <set>

#include "engine/service/queue.h"
#include "tests/integration/node_in_folder.h"

namespace hc {

// A node in a folder with a queue, and a peripheral whose upgrades are quick.
class ServiceNode : public NodeInFolder {
 protected:
  static constexpr const char* kCamera = "ptz-camera";

  void SetUp() override {
    init_with_remote();
    build_camera("1.0", 1);
    build_camera("2.0", 2);
  }
  ~ServiceNode() override {
    for (const pid_t pid : children_) end(pid, SIGKILL);
  }

  fs::path state() const { return node() / "ostree/deploy/honeycomb/var/lib/honeycomb"; }
  JobQueue queue() const { return JobQueue::open(state(), clock_).value(); }

  void build_camera(const std::string& version, int sequence, const std::string& install = "exit 0") {
    const std::string name = "camera-" + version;
    make_peripheral_tree(name, version);
    put(name + "/hc_install_upgrade.sh", "#!/bin/sh\n" + install + "\n", 0755);
    const CommandResult built = hc({"build", name, "--target", kCamera, "--version", version, "--sequence",
                                    std::to_string(sequence), "--repo", "repo", "--key", "release.key"});
    ASSERT_EQ(built.status, 0) << built.errors;
  }
  static Job camera_job(const std::string& version) {
    Job job;
    job.target = kCamera;
    job.what = version;
    job.by = "test";
    job.again = true;
    return job;
  }
  std::uint64_t add(const Job& job) const { return queue().add(job).value().id; }
  Job job(std::uint64_t id) const { return queue().find(id).value().value(); }
  JobState state_of(std::uint64_t id) const { return job(id).state; }

  // Starts a program that runs beside the test.
  pid_t start(std::vector<std::string> argv) {
    std::vector<char*> pointers;
    for (std::string& word : argv) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    const std::string log = (dir_ / "children.log").string();
    posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    pid_t pid = -1;
    EXPECT_EQ(posix_spawn(&pid, pointers[0], &files, nullptr, pointers.data(), environ), 0);
    posix_spawn_file_actions_destroy(&files);
    children_.insert(pid);
    return pid;
  }
  int wait_for(pid_t pid) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    children_.erase(pid);
    return status;
  }
  void end(pid_t pid, int signal) {
    ::kill(pid, signal);
    wait_for(pid);
  }
  pid_t start_worker() { return start({HC_WORKER_PROGRAM, "--sysroot", node().string()}); }
  void work() { EXPECT_EQ(wait_for(start_worker()), 0) << read_file(dir_ / "children.log").value(); }

  // Waits until `come` is true; a minute at the most.
  template <typename Condition>
  ::testing::AssertionResult comes(Condition come) {
    for (int i = 0; i < 600; ++i) {
      if (come()) return ::testing::AssertionSuccess();
      clock_.sleep_ms(100);
    }
    return ::testing::AssertionFailure() << "it never came\n" << read_file(dir_ / "children.log").value();
  }

  // Every job has one end and one transaction, and the history has no gap.
  void expect_each_ended_once(const std::vector<std::uint64_t>& ids) {
    const Json history = os_json({"history", "-n", "0"})["transactions"];
    std::uint64_t number = 0;
    std::map<std::string, int> transactions;
    for (const Json& t : history) {
      EXPECT_EQ(t["id"], ++number);
      for (const Json& key : t["jobs"]) ++transactions[key.get<std::string>()];
    }
    for (const std::uint64_t id : ids) {
      const Job one = job(id);
      EXPECT_EQ(one.state, JobState::done) << one.label() << ": " << (one.error ? one.error->text() : "");
      EXPECT_EQ(transactions[one.key()], 1) << one.label();
    }
  }

  mutable SystemClock clock_;
  std::set<pid_t> children_;
};

}  // namespace hc
