#include <gtest/gtest.h>

#include <thread>

#include "engine/service/attempt.h"
#include "engine/service/job_events.h"
#include "engine/service/worker.h"

namespace hc {
namespace {

class SetClock final : public Clock {
 public:
  std::int64_t wall = 1'000'000;
  std::int64_t monotonic = 0;
  std::int64_t wall_seconds() const override { return wall; }
  std::int64_t monotonic_ms() const override { return monotonic; }
  void sleep_ms(std::int64_t ms) override { monotonic += ms; }
};

class Queue : public ::testing::Test {
 protected:
  Queue() {
    std::string pattern = (fs::temp_directory_path() / "hc-queue-XXXXXX").string();
    state_ = ::mkdtemp(pattern.data());
  }
  ~Queue() override { EXPECT_TRUE(remove_tree(state_)); }

  JobQueue queue() { return JobQueue::open(state_, clock_).value(); }
  static Job wish(const std::string& what) {
    Job job;
    job.what = what;
    return job;
  }
  static Status finish(Job& job) {
    job.state = JobState::done;
    return ok;
  }

  SetClock clock_;
  fs::path state_;
};

TEST_F(Queue, NumbersGrowAndOrderStays) {
  JobQueue queue = this->queue();
  for (int i = 1; i <= 12; ++i) EXPECT_EQ(queue.add(wish(std::to_string(i)))->id, static_cast<std::uint64_t>(i));
  const auto jobs = this->queue().all().value();
  ASSERT_EQ(jobs.size(), 12U);
  for (std::size_t i = 0; i < jobs.size(); ++i) EXPECT_EQ(jobs[i].what, std::to_string(i + 1));
}

TEST_F(Queue, ManyAtOnceGetNumbersOfTheirOwn) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 20; ++i) threads.emplace_back([this] { EXPECT_TRUE(queue().add(wish("x"))); });
  for (std::thread& thread : threads) thread.join();
  const auto jobs = queue().all().value();
  ASSERT_EQ(jobs.size(), 20U);
  for (std::size_t i = 0; i < jobs.size(); ++i) EXPECT_EQ(jobs[i].id, i + 1);
}

TEST_F(Queue, IsBoundedAndSaysSo) {
  JobQueue queue = this->queue();
  for (std::size_t i = 0; i < JobQueue::kMostOpen; ++i) ASSERT_TRUE(queue.add(wish("x")));
  const auto refused = queue.add(wish("one too many"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::busy);
  EXPECT_EQ(queue.all()->size(), JobQueue::kMostOpen);
  ASSERT_TRUE(queue.change(1, finish));
  EXPECT_TRUE(queue.add(wish("fits now")));
}

TEST_F(Queue, OldEndsAreForgottenButNumbersAreNotUsedAgain) {
  JobQueue queue = this->queue();
  const std::size_t many = JobQueue::kMostEnded + 5;
  for (std::size_t i = 1; i <= many; ++i) {
    ASSERT_TRUE(queue.add(wish("x")));
    ASSERT_TRUE(queue.change(i, finish));
  }
  EXPECT_EQ(queue.add(wish("next"))->id, many + 1);
  EXPECT_FALSE(*queue.find(1));
  EXPECT_EQ(queue.all()->size(), JobQueue::kMostEnded + 1);
}

TEST_F(Queue, AnEndIsForEver) {
  JobQueue queue = this->queue();
  ASSERT_TRUE(queue.add(wish("x")));
  ASSERT_TRUE(queue.change(1, finish));
  EXPECT_FALSE(queue.change(1, [](Job& job) -> Status {
    job.state = JobState::queued;
    return ok;
  }));
  EXPECT_EQ((*queue.find(1))->state, JobState::done);
}

TEST_F(Queue, KeepsWhatANewerEngineWrote) {
  JobQueue queue = this->queue();
  ASSERT_TRUE(queue.add(wish("x")));
  const fs::path file = queue.directory() / "00000001.json";
  Json json = parse_json(read_file(file).value()).value();
  json["colour"] = "blue";
  ASSERT_TRUE(write_atomically(file, dump_json(json)));
  ASSERT_TRUE(queue.change(1, finish));
  EXPECT_EQ(parse_json(read_file(file).value()).value()["colour"], "blue");
}

TEST_F(Queue, ADamagedFileHidesNoOther) {
  JobQueue queue = this->queue();
  ASSERT_TRUE(queue.add(wish("one")));
  ASSERT_TRUE(queue.add(wish("two")));
  ASSERT_TRUE(write_atomically(queue.directory() / "00000001.json", "{\"id\": 1, "));
  const auto jobs = queue.all().value();
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].what, "two");
}

// The schedule.
Job in_state(std::uint64_t id, JobState state, std::int64_t not_before = 0) {
  Job job;
  job.id = id;
  job.state = state;
  job.not_before = not_before;
  job.boot_id = "this";
  return job;
}
std::uint64_t picked(const std::vector<Job>& jobs, std::int64_t wall = 1000, bool transaction = false,
                     const std::string& boot = "this") {
  const Job* job = next_job(jobs, {wall, boot, transaction});
  return job == nullptr ? 0 : job->id;
}

TEST(Schedule, OldestFirstButWhatWasRunningBeforeAll) {
  EXPECT_EQ(picked({in_state(1, JobState::done), in_state(2, JobState::queued), in_state(3, JobState::queued)}), 2U);
  EXPECT_EQ(picked({in_state(2, JobState::queued), in_state(3, JobState::running)}), 3U);
  EXPECT_EQ(picked({in_state(1, JobState::failed)}), 0U);
}

TEST(Schedule, WhatWaitsHoldsUpNobody) {
  const std::vector<Job> jobs = {in_state(1, JobState::deferred, 2000), in_state(2, JobState::queued)};
  EXPECT_EQ(picked(jobs, 1000), 2U);
  EXPECT_EQ(picked(jobs, 2000), 1U);
  EXPECT_EQ(seconds_to_next(jobs, 1500), 500);
}

TEST(Schedule, AClockThatWasSetBackHoldsNothingForYears) {
  Job job = in_state(1, JobState::deferred, 2'000'000'030);
  job.changed_at = 2'000'000'000;
  EXPECT_EQ(picked({job}, 1'000'000), 1U);
}

TEST(Schedule, ARestartIsWaitedFor) {
  const std::vector<Job> jobs = {in_state(1, JobState::restart)};
  EXPECT_EQ(picked(jobs, 1000, true), 0U);
  EXPECT_EQ(picked(jobs, 1000, true, "another boot"), 1U);
  EXPECT_EQ(picked(jobs, 1000, false), 1U) << "its transaction was taken back";
  std::vector<Job> cancelled = jobs;
  cancelled[0].cancel = true;
  EXPECT_EQ(picked(cancelled, 1000, true), 1U);
}

TEST(Schedule, UpgradesWaitForTheRestartButARollbackDoesNot) {
  Job patient = in_state(2, JobState::queued);
  patient.attempts = 5;
  const Job once = in_state(3, JobState::queued);
  Job rollback = in_state(4, JobState::queued);
  rollback.kind = JobKind::rollback;
  rollback.attempts = 5;
  const Job waiting = in_state(1, JobState::restart);
  EXPECT_EQ(picked({waiting, patient, rollback}, 1000, true), 4U);
  EXPECT_EQ(picked({waiting, patient, once}, 1000, true), 3U) << "is refused at once";
  EXPECT_EQ(picked({waiting, patient}, 1000, true), 0U);
}

// What an attempt makes of a job.
Job settled(Job job, const Result<Did>& did) {
  settle(job, did, "this", 1000, Patience());
  return job;
}
Job running(unsigned attempts = 1) {
  Job job = in_state(1, JobState::running);
  job.uid = "u";
  job.attempts = attempts;
  return job;
}
Did ended_as(Outcome outcome, std::optional<Failure> failure = {}) {
  Transaction t;
  t.id = 7;
  t.outcome = outcome;
  t.failure = std::move(failure);
  Did did;
  did.report = Report{t, Ended::finished};
  return did;
}

TEST(Settle, EndsOfATransaction) {
  EXPECT_EQ(settled(running(), ended_as(Outcome::confirmed)).state, JobState::done);
  EXPECT_EQ(settled(running(), ended_as(Outcome::confirmed)).transaction, 7U);
  EXPECT_EQ(settled(running(), ended_as(Outcome::not_needed)).state, JobState::done);
  EXPECT_EQ(settled(running(), ended_as(Outcome::not_fitted)).state, JobState::done);
  const Job failed = settled(running(9), ended_as(Outcome::failed, Failure{"install", Code::hook_failed, "no", ""}));
  EXPECT_EQ(failed.state, JobState::failed) << "a hook's no is not asked for again";
  EXPECT_EQ(failed.error->code(), Code::hook_failed);
}

TEST(Settle, WhatMayPassIsTriedAgainLaterAndLater) {
  const Result<Did> away = Error(Code::unavailable, "no route");
  Job job = settled(running(3), away);
  EXPECT_EQ(job.state, JobState::deferred);
  EXPECT_EQ(job.not_before, 1030);
  EXPECT_EQ(job.key(), "u.2") << "the next attempt is a new transaction";
  job = settled(job, away);
  EXPECT_EQ(job.not_before, 1060);
  job = settled(job, away);
  EXPECT_EQ(job.state, JobState::failed);
}

TEST(Settle, AnInterruptedJobIsNotACancelledOne) {
  const Failure stop{"stage", Code::cancelled, "a stop was asked for", ""};
  Job job = settled(running(), ended_as(Outcome::cancelled, stop));
  EXPECT_EQ(job.state, JobState::queued);
  EXPECT_EQ(job.key(), "u.2");
  job.cancel = true;
  EXPECT_EQ(settled(job, ended_as(Outcome::cancelled, stop)).state, JobState::cancelled);
  const Failure taken_back{"reboot", Code::cancelled, "taken back by root", ""};
  EXPECT_EQ(settled(running(), ended_as(Outcome::cancelled, taken_back)).state, JobState::cancelled);
}

TEST(Settle, ATransactionThatCannotGoOnNowKeepsItsJobOpen) {
  Did did;
  did.holds = Error(Code::busy, "another process works on this node");
  const Job job = settled(running(), did);
  EXPECT_EQ(job.state, JobState::deferred);
  EXPECT_EQ(job.key(), "u.1");
}

TEST_F(Queue, EventsAreReadOnFromWhereOneWas) {
  const fs::path file = state_ / "events";
  {
    JobEventLog log = JobEventLog::open(file, clock_).value();
    log.write("state", {{"state", "running"}});
    log.write("line", {{"text", "one\ntwo \xff"}});
  }
  const auto first = read_events(file, 0).value();
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[1].event, "line");
  ASSERT_TRUE(write_atomically(file, read_file(file).value() + "{\"event\": \"cut of"));
  EXPECT_TRUE(read_events(file, first[1].id)->empty()) << "half a line is none";
  JobEventLog log = JobEventLog::open(file, clock_).value();
  log.write("state", {{"state", "done"}});
  const auto rest = read_events(file, first[1].id).value();
  ASSERT_EQ(rest.size(), 1U);
  EXPECT_EQ(rest[0].event, "state");
}

TEST_F(Queue, EventsAreBounded) {
  const fs::path file = state_ / "events";
  JobEventLog log = JobEventLog::open(file, clock_).value();
  const std::string line(1000, 'x');
  for (int i = 0; i < 5000; ++i) log.write("line", {{"text", line}});
  EXPECT_LT(fs::file_size(file), 2U << 20);
  const auto before = fs::file_size(file);
  log.write("ended", {{"step", "install"}});
  EXPECT_GT(fs::file_size(file), before) << "steps are told all the same";
  for (int i = 0; i < 1000; ++i) log.write("progress", {{"what", "w"}, {"done", i}, {"total", 1000}});
  EXPECT_LT(fs::file_size(file), 2U << 20);
}

}  // namespace
}  // namespace hc
