#include "engine/upgrade/carried.h"

#include "engine/upgrade/advance.h"
#include "engine/upgrade/run_hook.h"

namespace hc {
namespace {

// The journal of a carried transaction is a part of the OS's own.
class OsJournal final : public Records {
 public:
  OsJournal(Records& records, const Transaction& os) : records_(records), os_(os) {}

  Result<std::optional<Json>> read(const std::string& name) override { return records_.read(name); }
  Status write(const std::string& name, const Json& document) override {
    return records_.write(name, name == kJournal ? to_json(os_) : document);
  }
  Status remove(const std::string& name) override { return name == kJournal ? Status(ok) : records_.remove(name); }
  Result<std::vector<std::string>> list(const std::string& folder) override { return records_.list(folder); }

 private:
  Records& records_;
  const Transaction& os_;
};

std::string title(const Transaction& t) { return t.target.name() + " " + t.to.version; }

bool begun(const Transaction& t) { return !t.steps.empty() || t.entries > 0; }

Status install(Transaction& t, Machine& m, Records& journal, const StopToken& stop) {
  if (!t.ended()) {
    Machine own = HC_TRY(m.machine_of(t.target, journal));
    own.held = true;
    HC_TRY(advance(t, own, stop).in(title(t)));
  }
  if (!t.failure) return ok;
  return Error(t.failure->code, title(t) + ": " + t.failure->step + ": " + t.failure->text)
      .with_hint("`hc-os log " + std::to_string(t.id) + "` tells what its hooks said");
}

}  // namespace

Result<Next> run_carried(Transaction& os, Machine& m, const StopToken& stop) {
  if (!m.carried) return Next::go_on;
  if (os.carried.empty()) {
    if (!m.verdict) m.verdict = HC_TRY(m.source.verify(os, stop));
    os.carried = HC_TRY(m.carried(os, m.verdict->payload));
  }
  OsJournal journal(m.records, os);
  std::uint64_t id = os.id;
  for (Transaction& t : os.carried) {
    // Numbered as they begin, so that the history has no gaps.
    t.id = ++id;
    HC_TRY(install(t, m, journal, stop));
  }
  return Next::go_on;
}

Result<Next> undo_carried(Transaction& os, Machine& m, const StopToken& /*stop*/) {
  const StopToken never;
  OsJournal journal(m.records, os);
  Status all = ok;
  for (auto t = os.carried.rbegin(); t != os.carried.rend(); ++t) {
    if (t->ended() || !begun(*t)) continue;
    if (t->direction == Direction::forward) {
      const std::string why = os.failure ? os.failure->step + ": " + os.failure->text : "it was not needed";
      turn_round(*t,
                 Error(Code::cancelled, "it came with os " + os.to.version + ", which was taken back (" + why + ")"));
    }
    Machine own = HC_TRY(m.machine_of(t->target, journal));
    if (auto end = advance(*t, own, never); !end) all = std::move(end).error().in(title(*t));
  }
  if (!all) return std::move(all).error();
  return Next::go_on;
}

Status verify_carried(Transaction& os, Machine& m, const StopToken& stop) {
  OsJournal journal(m.records, os);
  for (Transaction& t : os.carried) {
    if (t.ended()) continue;
    Machine own = HC_TRY(m.machine_of(t.target, journal));
    HC_TRY(must_pass(t, own, {HookKind::verify, "post-boot", t.to}, stop).in(title(t)));
  }
  return ok;
}

Status end_carried(Transaction& os, Machine& m) {
  const StopToken never;
  OsJournal journal(m.records, os);
  for (Transaction& t : os.carried) {
    if (t.ended()) continue;
    // Their switch was made before that of the OS: nothing is left but to write it down.
    if (t.direction == Direction::forward) {
      t.direction = Direction::done;
      t.outcome = Outcome::confirmed;
      t.steps.push_back({t.step, "run", "ok", m.clock.wall_seconds(), 0, ""});
    }
    Machine own = HC_TRY(m.machine_of(t.target, journal));
    HC_TRY(advance(t, own, never).in(title(t)));
  }
  return ok;
}

}  // namespace hc
