#include "engine/upgrade/steps.h"

#include <algorithm>
#include <array>

#include "engine/base/text.h"
#include "engine/upgrade/carried.h"
#include "engine/upgrade/degraded.h"
#include "engine/upgrade/run_hook.h"
#include "engine/upgrade/snapshots.h"

namespace hc {
namespace {

constexpr std::string_view kNothingChanged = "nothing on this node was changed";

// The verdict of this run. After a crash the payload is judged again: a verdict is never read from a file.
Result<VerifiedPayload> verified(Transaction& t, Machine& m, const StopToken& stop) {
  if (!m.verdict) m.verdict = HC_TRY(m.source.verify(t, stop));
  return m.verdict->payload;
}

Status enough_space(const SlotSpace& space) {
  for (const SlotSpace::Need& need : space.needs) {
    const auto lacks = [&](std::string_view what, const std::string& wanted, const std::string& have) {
      std::string text = "not enough ";
      text.append(what).append(" at ").append(need.where.string()).append(": need ").append(wanted);
      return Error(Code::no_space, text.append(", have ").append(have))
          .with_hint("free some (`hc-os gc` removes versions no longer kept), then deploy again; " +
                     std::string(kNothingChanged));
    };
    if (need.bytes > need.free.bytes) return lacks("space", human_bytes(need.bytes), human_bytes(need.free.bytes));
    if (need.inodes > need.free.inodes)
      return lacks("free inodes", std::to_string(need.inodes), std::to_string(need.free.inodes));
  }
  return ok;
}

Result<Next> run_verify(Transaction& t, Machine& m, const StopToken& stop) {
  if (m.fitted && !HC_TRY(m.fitted())) {
    t.outcome = Outcome::not_fitted;
    return Next::ended;
  }
  m.verdict = HC_TRY(m.source.verify(t, stop));
  t.to.version = m.verdict->manifest.version.text();
  t.to.sequence = m.verdict->manifest.sequence;
  t.manifest = to_json(m.verdict->manifest);
  t.manifest["signers"] = m.verdict->signers;
  for (const std::string& warning : m.verdict->warnings) t.notes.push_back(warning);
  return Next::go_on;
}

// What was fetched stays until gc: a later try goes on from there.
Result<Next> let_go(Transaction& t, Machine& m, const StopToken& /*stop*/) {
  HC_TRY(m.source.drop(t));
  return Next::go_on;
}

Result<Next> run_fetch(Transaction& t, Machine& m, const StopToken& stop) {
  const VerifiedPayload payload = HC_TRY(verified(t, m, stop));
  HC_TRY(m.source.fetch(t, payload, m.listener.progress, stop));
  const SlotSpace space = HC_TRY(m.slots.space_for(payload));
  HC_TRY(enough_space(space));
  for (const std::string& note : HC_TRY(m.slots.rehearse(*t.to.slot, payload))) t.notes.push_back(note);
  // One that came with an OS is judged after the OS's own restart.
  if (m.metadata && t.part_of == 0) t.restart = HC_TRY(m.metadata(t.to)).reboot;
  return Next::go_on;
}

Result<Next> run_state_check(Transaction& t, Machine& m, const StopToken& stop) {
  const std::optional<HookResult> result = HC_TRY(run_hook(t, m, {HookKind::state_check, "state-check", t.to}, stop));
  if (result && result->end == HookEnd::said_no && result->exit_code == 1) {
    t.outcome = Outcome::not_needed;
    return Next::ended;
  }
  if (result && !result->passed()) return hook_error(*result);
  if (t.restarts()) {
    // What fails already now cannot be blamed on the new version.
    t.passed_before.clear();
    for (const CheckResult& check : m.health(t, stop).checks)
      if (check.passed()) t.passed_before.push_back(check.name);
  }
  return Next::go_on;
}

Result<Next> run_stage(Transaction& t, Machine& m, const StopToken& stop) {
  const VerifiedPayload payload = HC_TRY(verified(t, m, stop));
  HC_TRY(m.slots.stage(*t.to.slot, payload, m.listener.progress, stop));
  return Next::go_on;
}

Result<Next> undo_stage(Transaction& t, Machine& m, const StopToken& /*stop*/) {
  // A first version that could not be taken back: only its own rollback hook knows how the device was. See
  // repair_degraded().
  if (!t.degraded.empty() && !t.from.slot) return Next::go_on;
  HC_TRY(m.slots.restore(*t.to.slot, t.replaced));
  return Next::go_on;
}

Status keep_data(const Transaction& t, Machine& m) {
  if (m.snapshots == nullptr || t.target.is_os()) return ok;
  const SnapshotPlan plan = HC_TRY(snapshot_plan(t, m));
  // Of a degraded target the data may be those of the version that failed: the snapshot made then is the good one.
  const std::optional<Degraded> degraded = HC_TRY(DegradedList(m.records).find(t.target));
  if (degraded) return m.snapshots->bring_back(t.target, plan.from, degraded->first);
  HC_TRY(m.snapshots->keep(t.target, plan.from, plan.paths, t.id));
  // A version that is returned to meets its data as it left them.
  if (t.kind != TransactionKind::rollback) return ok;
  return m.snapshots->bring_back(t.target, plan.to, std::nullopt);
}

Status bring_data_back(const Transaction& t, Machine& m) {
  if (m.snapshots == nullptr || t.target.is_os()) return ok;
  const SnapshotPlan plan = HC_TRY(snapshot_plan(t, m));
  return m.snapshots->bring_back(t.target, plan.from, t.id);
}

Result<Next> run_install(Transaction& t, Machine& m, const StopToken& stop) {
  const HookQuestion question{HookKind::install, "install", t.to};
  const std::optional<HookCall> hook = HC_TRY(m.hook_call(t, question));
  if (!hook) return Next::go_on;
  // A hook that was cut off left something half done. The way back is known to be good, the way on is not.
  if (t.entries > 1) {
    return Error(Code::unavailable, "its install hook was cut off before its end (power cut or kill)")
        .with_hint("deploy it again");
  }
  HC_TRY(keep_data(t, m));
  HC_TRY(must_pass(t, m, question, stop));
  return Next::go_on;
}

// Takes a peripheral back: by the new payload's own rollback hook, else by installing the version in use once more. An
// OS slot that is thrown away needs this only where its payload brought a rollback hook.
Result<Next> undo_install(Transaction& t, Machine& m, const StopToken& /*stop*/) {
  // A repair installs what is in use: there is nothing else to go back to.
  if (t.kind == TransactionKind::repair) return Next::go_on;
  const StopToken never;  // what was begun must be taken back, whoever asks to stop
  const std::optional<HookResult> result = HC_TRY(run_hook(t, m, {HookKind::rollback, "rollback", t.to}, never));
  HC_TRY(bring_data_back(t, m));  // also where the hook said no: the data are not the device's
  if (result && !result->passed()) return hook_error(*result);
  if (result || t.target.is_os() || !t.from.slot) return Next::go_on;
  HC_TRY(must_pass(t, m, {HookKind::install, "rollback", t.from}, never));
  HC_TRY(must_pass(t, m, {HookKind::verify, "rollback", t.from}, never));
  return Next::go_on;
}

Result<Next> run_verify_hooks(Transaction& t, Machine& m, const StopToken& stop) {
  HC_TRY(must_pass(t, m, {HookKind::verify, "pre-switch", t.to}, stop));
  return Next::go_on;
}

Result<Next> run_check(Transaction& t, Machine& m, const StopToken& stop) {
  const Commit commit = HC_TRY(Commit::parse(t.to.commit));
  HC_TRY(m.slots.check(*t.to.slot, commit, m.listener.progress, stop));
  return Next::go_on;
}

bool in_target_slot(const Transaction& t, const Machine& m) { return !t.target.is_os() || m.now.booted == t.to.slot; }
bool rebooted(const Transaction& t, const Machine& m) { return m.now.boot_id != t.boot_id; }

Result<Next> run_switch(Transaction& t, Machine& m, const StopToken& /*stop*/) {
  // A restart between the switch and its record: what booted says the rest.
  if (t.target.is_os() && rebooted(t, m)) return Next::go_on;
  HC_TRY(m.choice.arm(*t.to.slot));
  return Next::go_on;
}

Result<Next> undo_switch(Transaction& t, Machine& m, const StopToken& /*stop*/) {
  HC_TRY(m.choice.back(t.from.slot));
  const bool running_new = t.target.is_os() && m.now.booted == t.to.slot && m.now.booted != t.from.slot;
  return running_new ? Next::reboot : Next::go_on;
}

Status still_on_trial(const Transaction& t, const Machine& m) {
  if (in_target_slot(t, m)) return ok;
  const std::string came_up =
      m.now.booted ? "slot " + std::string(name(*m.now.booted)) : std::string("a foreign system");
  return Error(Code::unhealthy, "the node came up in " + came_up + " instead of slot " + std::string(name(*t.to.slot)) +
                                    ": the bootloader fell back because version " + t.to.version + " did not start");
}

Result<Next> run_reboot(Transaction& t, Machine& m, const StopToken& /*stop*/) {
  if (!rebooted(t, m)) return Next::reboot;
  HC_TRY(still_on_trial(t, m));
  return Next::go_on;
}

Result<Next> run_health(Transaction& t, Machine& m, const StopToken& stop) {
  HC_TRY(still_on_trial(t, m));
  const Status verified_again = must_pass(t, m, {HookKind::verify, "post-boot", t.to}, stop);
  if (stop.requested()) return Next::later;
  if (!verified_again) return verified_again.error();
  const Status carried = verify_carried(t, m, stop);
  if (stop.requested()) return Next::later;
  if (!carried) return carried.error();
  const HealthReport report = m.health(t, stop);
  if (stop.requested()) return Next::later;
  t.health = to_json(report);
  if (!report.healthy) return Error(Code::unhealthy, report.why);
  return Next::go_on;
}

Result<Next> run_confirm(Transaction& t, Machine& m, const StopToken& /*stop*/) {
  if (m.held) return Next::later;
  HC_TRY(still_on_trial(t, m));
  HC_TRY(m.choice.confirm(*t.to.slot));
  return Next::go_on;
}

constexpr std::array kSteps = {
    Step{"verify", run_verify, let_go},
    Step{"fetch", run_fetch, nullptr},
    Step{"state-check", run_state_check, nullptr},
    Step{"stage", run_stage, undo_stage},
    Step{"install", run_install, undo_install},
    Step{"verify-hooks", run_verify_hooks, nullptr},
    Step{"check", run_check, nullptr},
    Step{"peripherals", run_carried, undo_carried, Where::os},
    Step{"switch", run_switch, undo_switch},
    Step{"reboot", run_reboot, nullptr, Where::restart},
    Step{"health", run_health, nullptr, Where::restart},
    Step{"confirm", run_confirm, nullptr},
};

}  // namespace

std::string_view file_name(HookKind kind) {
  switch (kind) {
    case HookKind::state_check:
      return "hc_state_check.sh";
    case HookKind::install:
      return "hc_install_upgrade.sh";
    case HookKind::verify:
      return "hc_verify_upgrade.sh";
    case HookKind::rollback:
      return "hc_rollback_upgrade.sh";
  }
  return "";
}

std::span<const Step> steps() { return kSteps; }

std::optional<std::size_t> step_index(std::string_view name) {
  const auto it = std::find_if(kSteps.begin(), kSteps.end(), [&](const Step& step) { return step.name == name; });
  if (it == kSteps.end()) return std::nullopt;
  return static_cast<std::size_t>(it - kSteps.begin());
}

std::string_view first_step(TransactionKind kind, const Target& target) {
  if (kind == TransactionKind::deploy) return "verify";
  if (kind == TransactionKind::confirm) return "confirm";
  return target.is_os() ? "switch" : "install";
}

bool applies(const Step& step, const Transaction& t) {
  if (step.where == Where::os) return t.target.is_os();
  return step.where == Where::everywhere || t.restarts();
}

bool switched(const Transaction& t) {
  const auto index = step_index(t.step);
  return index && *index > *step_index("switch");
}

}  // namespace hc
