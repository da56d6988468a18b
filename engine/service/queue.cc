#include "engine/service/queue.h"

#include <glib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "engine/base/handle.h"

namespace hc {
namespace {

constexpr const char* kFolder = "queue";
// A change takes milliseconds; so long only where the other process was stopped in the middle of one.
constexpr std::int64_t kLockMs = 10'000;

std::string number(std::uint64_t id) {
  std::array<char, 24> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%08llu", static_cast<unsigned long long>(id));
  return buffer.data();
}

std::string record_name(std::uint64_t id) { return std::string(kFolder) + "/" + number(id); }

std::string random_uid() { return GText(g_uuid_string_random()).get(); }

}  // namespace

Result<JobQueue> JobQueue::open(const fs::path& state, const Clock& clock) {
  JobQueue queue(state, clock);
  HC_TRY(make_dirs(queue.directory_, 0755));
  return queue;
}

fs::path JobQueue::events_file(std::uint64_t id) const { return directory_ / (number(id) + ".events"); }

Result<FileLock> JobQueue::lock() const { return FileLock::take(directory_ / "lock", kLockMs).in("the queue of jobs"); }

Result<std::optional<Job>> JobQueue::read(const std::string& record) const {
  const std::optional<Json> json = HC_TRY(RecordDir(state_).read(record));
  if (!json) return std::optional<Job>();
  Job job = HC_TRY(job_from(*json).in(record));
  return std::optional(std::move(job));
}

Status JobQueue::write(Job& job, JobState before) {
  if (job.state != before) job.changed_at = clock_->wall_seconds();
  if (ended(job.state)) job.ended_at = job.changed_at;
  return RecordDir(state_).write(record_name(job.id), to_json(job)).in(job.label());
}

Result<std::vector<Job>> JobQueue::all() const {
  std::vector<Job> jobs;
  for (const std::string& record : HC_TRY(RecordDir(state_).list(kFolder))) {
    auto job = read(record);
    if (job && *job) jobs.push_back(std::move(*job.value()));
  }
  std::sort(jobs.begin(), jobs.end(), [](const Job& a, const Job& b) { return a.id < b.id; });
  return jobs;
}

Result<std::optional<Job>> JobQueue::find(std::uint64_t id) const { return read(record_name(id)); }

Status JobQueue::forget_old() {
  std::vector<Job> jobs = HC_TRY(all());
  std::erase_if(jobs, [](const Job& job) { return !ended(job.state); });
  if (jobs.size() <= kMostEnded) return ok;
  jobs.resize(jobs.size() - kMostEnded);
  for (const Job& job : jobs) {
    HC_TRY(RecordDir(state_).remove(record_name(job.id)));
    ::unlink(events_file(job.id).c_str());
  }
  return ok;
}

Result<Job> JobQueue::add(Job job) {
  const FileLock held = HC_TRY(lock());
  HC_TRY(forget_old());
  // Also of files that cannot be read: their numbers are taken.
  std::uint64_t newest = 0;
  for (const std::string& record : HC_TRY(RecordDir(state_).list(kFolder)))
    newest = std::max<std::uint64_t>(newest, std::strtoull(record.c_str() + record.find('/') + 1, nullptr, 10));
  const std::vector<Job> jobs = HC_TRY(all());
  const auto open = std::count_if(jobs.begin(), jobs.end(), [](const Job& other) { return !ended(other.state); });
  if (static_cast<std::size_t>(open) >= kMostOpen) {
    return Error(Code::busy, "the queue is full: " + std::to_string(open) + " jobs wait")
        .with_hint("wait until some have ended, or cancel them: `hc-os jobs`, `hc-os cancel N`");
  }
  job.id = newest + 1;
  job.uid = random_uid();
  job.asked_at = clock_->wall_seconds();
  job.changed_at = job.asked_at;
  HC_TRY(write(job, job.state));
  return job;
}

Result<Job> JobQueue::change(std::uint64_t id, const std::function<Status(Job&)>& change) {
  const FileLock held = HC_TRY(lock());
  std::optional<Job> job = HC_TRY(find(id));
  if (!job) {
    return Error(Code::invalid, "there is no job " + std::to_string(id)).with_hint("`hc-os jobs` lists them");
  }
  const JobState before = job->state;
  if (ended(before)) return Error(Code::invalid, job->label() + " has ended already: " + std::string(name(before)));
  HC_TRY(change(*job));
  HC_TRY(write(*job, before));
  return std::move(*job);
}

Result<std::optional<Job>> JobQueue::take(const std::function<const Job*(const std::vector<Job>&)>& pick,
                                          const std::function<Status(Job&)>& change,
                                          const std::function<void()>& none) {
  const FileLock held = HC_TRY(lock());
  const std::vector<Job> jobs = HC_TRY(all());
  const Job* picked = pick(jobs);
  if (picked == nullptr) {
    none();
    return std::optional<Job>();
  }
  Job job = *picked;
  HC_TRY(change(job));
  HC_TRY(write(job, picked->state));
  return std::optional(std::move(job));
}

bool worker_runs(const JobQueue& queue) {
  const auto free = FileLock::take(queue.worker_lock());
  return !free && free.error().code() == Code::busy;
}

}  // namespace hc
