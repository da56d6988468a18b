#include "engine/service/attempt.h"

#include <algorithm>

#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "engine/service/payload_file.h"
#include "engine/upgrade/inhibit.h"
#include "engine/upgrade/steps.h"

namespace hc {
namespace {

bool bears(const Transaction& t, const std::string& key) {
  return std::find(t.jobs.begin(), t.jobs.end(), key) != t.jobs.end();
}

Did with(Report report) {
  Did did;
  did.report = std::move(report);
  return did;
}
Did with(std::string text, Json data = Json::object()) {
  Did did;
  did.text = std::move(text);
  did.data = std::move(data);
  return did;
}
Did hold(Error why, std::int64_t seconds) {
  Did did;
  did.holds = std::move(why);
  did.hold_s = seconds;
  return did;
}

// How the attempt's transaction stands; nothing: there is none yet.
Result<std::optional<Did>> earlier(Upgrader& upgrader, const Job& job, const Listener& listener,
                                   const StopToken& stop) {
  for (Transaction& t : HC_TRY(upgrader.history()))
    if (bears(t, job.key())) return std::optional(with(Report{std::move(t), Ended::finished}));
  const NodeStatus status = HC_TRY(upgrader.status());
  if (!status.transaction || !bears(*status.transaction, job.key())) return std::optional<Did>();
  if (job.cancel && status.waits_for_reboot)
    return std::optional(with(HC_TRY(upgrader.rollback(status.transaction->target, job.by, listener, stop))));
  constexpr std::int64_t kPauseS = 15;
  // After the restart honeycomb-boot.service judges the version, and may restart the node for it: that is not for us.
  const Transaction& t = *status.transaction;
  const bool may_be_judged = switched(t) || t.direction == Direction::undo;
  if (may_be_judged && t.boot_id != upgrader.node().boot_id)
    return std::optional(hold(Error(Code::busy, "is judged by honeycomb-boot.service"), kPauseS));
  Result<std::optional<Report>> report = upgrader.resume(listener, stop);
  if (!report) return std::optional(hold(std::move(report).error(), kPauseS));
  if (!*report) return std::optional<Did>();
  return std::optional(with(std::move(*report.value())));
}

Result<Did> transaction(Result<Report> report) {
  if (!report) return std::move(report).error();
  return with(std::move(report).value());
}

Result<Did> pin(Upgrader& upgrader, const Job& job, const Target& target, const StopToken& stop) {
  const bool pinned = job.kind == JobKind::pin;
  HC_TRY(upgrader.pin(target, job.what, pinned, stop));
  return with(target.name() + " " + job.what +
              (pinned ? " is kept until it is unpinned" : " is kept only as long as keep_versions says"));
}

Result<Did> health(Upgrader& upgrader, const Listener& listener, const StopToken& stop) {
  const HealthReport report = HC_TRY(upgrader.health(listener, stop));
  return with(report.healthy ? "The node is healthy" : "The node is not healthy", to_json(report));
}

// Whether a queued upgrade may begin now; what is in its way otherwise, or that there is nothing to do. Whoever waits
// for the answer (one attempt) gets the engine's own refusal, and the windows are not for people at the keyboard.
Result<std::optional<Did>> in_the_way(Upgrader& upgrader, const Job& job, const Request& request,
                                      const Listener& listener, const StopToken& stop) {
  constexpr std::int64_t kInhibitedS = 30;
  const Status free = Inhibitors(upgrader.node().state).check();
  if (!free && job.attempts > 1) return std::optional(hold(free.error(), kInhibitedS));
  if (job.any_time) return std::optional<Did>();
  const Held held = HC_TRY(upgrader.held(request, stop));
  if (held == Held::in_use && !job.again && job.attempts > 1)
    return std::optional(with(request.target.name() + " runs " + request.what + " already"));
  const std::int64_t now = SystemClock().wall_seconds();
  const Settings& settings = upgrader.settings();
  const std::int64_t to_install = settings.install_windows.seconds_to_open(now);
  const std::int64_t to_download = settings.download_windows.seconds_to_open(now);
  if (to_install == 0 && to_download == 0) return std::optional<Did>();
  if (held == Held::no) {
    if (to_download > 0)
      return std::optional(hold(Error(Code::busy, "waits for the time in which downloads are allowed"), to_download));
    HC_TRY(upgrader.fetch_ahead(request, listener.progress, stop));
  }
  const std::int64_t still = settings.install_windows.seconds_to_open(SystemClock().wall_seconds());
  if (still == 0) return std::optional<Did>();
  return std::optional(hold(Error(Code::busy, "is downloaded and waits for the maintenance window"), still));
}

Result<std::string> what_of(const Upgrader& upgrader, const Job& job) {
  if (job.kind != JobKind::file) return job.what;
  const fs::path path = HC_TRY(find_payload_file(upgrader.node().state / "upgrades", job.what));
  return path.string();
}

Result<Did> begin(Upgrader& upgrader, const Job& job, const Listener& listener, const StopToken& stop) {
  const Target target = HC_TRY(Target::parse(job.target));
  switch (job.kind) {
    case JobKind::deploy:
    case JobKind::file: {
      const std::string what = HC_TRY(what_of(upgrader, job));
      const Request request{target, what, job.by, job.again};
      if (std::optional<Did> waits = HC_TRY(in_the_way(upgrader, job, request, listener, stop)))
        return std::move(*waits);
      return transaction(upgrader.deploy(request, listener, stop));
    }
    case JobKind::rollback:
      return transaction(upgrader.rollback(target, job.by, listener, stop));
    case JobKind::confirm:
      return transaction(upgrader.confirm(job.by, listener, stop));
    case JobKind::pin:
    case JobKind::unpin:
      return pin(upgrader, job, target, stop);
    case JobKind::collect: {
      const std::uint64_t freed = HC_TRY(upgrader.collect_garbage());
      return with("Freed " + human_bytes(freed), {{"bytes", freed}});
    }
    case JobKind::health:
      return health(upgrader, listener, stop);
  }
  return Error(Code::internal, "this engine cannot carry out jobs of the kind " + std::string(name(job.kind)));
}

// What trying again later may help with.
bool may_pass(Code code) { return code == Code::unavailable || code == Code::busy || code == Code::no_space; }

// A worker that was told to end took its transaction back before the switch. Nobody wanted the job to end.
bool only_interrupted(const Job& job, const Transaction& t) {
  if (job.cancel || !t.failure || job.kind == JobKind::rollback) return false;
  const auto place = step_index(t.failure->step);
  return place && *place <= *step_index("switch");
}

// A kill or a power cut in the middle of an install hook, which is taken back then. It is no fault of the job, unless
// it is the job that kills.
bool was_cut_off(const Job& job, const Transaction& t) {
  constexpr unsigned kMost = 10;
  const bool in_a_hook = t.failure && t.failure->code == Code::unavailable &&
                         (t.failure->step == "install" || t.failure->step == "peripherals");
  return in_a_hook && !job.cancel && job.cut_off < kMost;
}

void begin_anew(Job& job, const char* why) {
  job.state = JobState::queued;
  job.reason = why;
  ++job.attempt;
  ++job.attempts;
}

void fail_or_defer(Job& job, const Error& error, std::int64_t wall, const Patience& patience) {
  job.error = error;
  if (!may_pass(error.code()) || job.attempt >= job.attempts || job.cancel) {
    job.state = JobState::failed;
    return;
  }
  constexpr unsigned kMostDoublings = 20;
  const std::int64_t pause = std::min(patience.first_s << std::min(job.attempt - 1, kMostDoublings), patience.most_s);
  job.state = JobState::deferred;
  job.not_before = wall + pause;
  job.reason =
      "attempt " + std::to_string(job.attempt) + " of " + std::to_string(job.attempts) + " failed: " + error.text();
  ++job.attempt;
}

void settle_end(Job& job, const Transaction& t, std::int64_t wall, const Patience& patience) {
  const Outcome outcome = t.outcome.value_or(Outcome::failed);
  const Error why = t.failure
                        ? Error(t.failure->code, t.failure->step + ": " + t.failure->text).with_hint(t.failure->hint)
                        : Error(Code::internal, t.label() + " ended without a reason");
  if (outcome == Outcome::failed && was_cut_off(job, t)) {
    ++job.cut_off;
    begin_anew(job, "was cut off and begins anew");
  } else if (outcome == Outcome::failed || outcome == Outcome::rolled_back) {
    fail_or_defer(job, why, wall, patience);
  } else if (outcome != Outcome::cancelled || job.kind == JobKind::rollback) {
    job.state = JobState::done;
  } else if (only_interrupted(job, t)) {
    begin_anew(job, "was interrupted and begins anew");
  } else {
    job.state = JobState::cancelled;
    job.error = why;
  }
}

}  // namespace

Result<Did> attempt(Upgrader& upgrader, const Job& job, const Listener& listener, const StopToken& stop) {
  upgrader.work_for(job.key());
  if (std::optional<Did> did = HC_TRY(earlier(upgrader, job, listener, stop))) return std::move(*did);
  if (job.cancel) return Error(Code::cancelled, "cancelled before it began");
  return begin(upgrader, job, listener, stop);
}

void settle(Job& job, const Result<Did>& did, const std::string& boot_id, std::int64_t wall, const Patience& patience) {
  job.reason.clear();
  job.not_before = 0;
  job.error.reset();
  job.starts = 0;
  if (did && did->holds) {
    job.state = JobState::deferred;
    job.not_before = wall + did->hold_s;
    job.reason = did->holds->text();
    return;
  }
  if (!did) {
    if (did.error().code() != Code::cancelled) return fail_or_defer(job, did.error(), wall, patience);
    job.error = did.error();
    job.state = job.cancel ? JobState::cancelled : JobState::queued;
    return;
  }
  if (!did->report) {
    job.state = JobState::done;
    job.result = {{"text", did->text}, {"data", did->data}};
    return;
  }
  const Report& report = *did->report;
  job.transaction = report.transaction.id;
  if (report.ended == Ended::finished) return settle_end(job, report.transaction, wall, patience);
  if (report.ended == Ended::later) {
    job.state = JobState::queued;
    job.reason = "was interrupted and goes on";
    return;
  }
  job.state = JobState::restart;
  job.boot_id = boot_id;
  job.reason = "waits for the node to restart";
  // Should the restart not come, it is asked for again.
  constexpr std::int64_t kRestartS = 60;
  if (job.reboot) job.not_before = wall + kRestartS;
}

}  // namespace hc
