#include "bootloader/custom.h"

#include <map>

#include "bootloader/boot_dir.h"
#include "bootloader/rules.h"
#include "engine/base/process.h"
#include "engine/base/text.h"

namespace hc {
namespace {

constexpr std::int64_t kTimeLimitMs = 60'000;

}  // namespace

Result<BootState> parse_custom_state(std::string_view text) {
  std::map<std::string, std::string> values;
  for (const std::string& raw : split(text, '\n')) {
    const std::string line(trimmed(raw));
    const std::size_t equals = line.find('=');
    if (equals != std::string::npos) values[line.substr(0, equals)] = line.substr(equals + 1);
  }
  BootState state;
  state.confirmed = HC_TRY(parse_slot(values["confirmed"]).in("confirmed"));
  if (values["trial"].empty()) return state;
  const Slot trial = HC_TRY(parse_slot(values["trial"]).in("trial"));
  const std::string& tries = values["tries_left"];
  if (tries.size() != 1 || tries[0] < '0' || tries[0] > '9')
    return Error(Code::invalid, "tries_left must be 0 to 9, not " + quote(tries));
  if (trial == state.confirmed) return state;
  state.trial = trial;
  state.tries_left = static_cast<unsigned>(tries[0] - '0');
  return state;
}

Result<std::string> CustomBootControl::run(const std::vector<std::string>& arguments) const {
  std::vector<std::string> argv{program_.string()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  CommandOptions options;
  options.timeout_ms = kTimeLimitMs;
  options.environment["HC_BOOT"] = boot_.string();
  CommandResult result = HC_TRY(run_command(argv, options).in("the board's boot program"));
  if (result.status != 0)
    return Error(Code::io, "the board's boot program failed at `" + arguments.front() + "` with status " +
                               std::to_string(result.status) + ": " + printable(trimmed(result.errors)));
  return std::move(result.output);
}

Status CustomBootControl::change(const std::vector<std::string>& arguments, const BootState& wanted) {
  HC_TRY(run(arguments));
  const BootState now = HC_TRY(state());
  // A board may allow another number of tries than was asked for, but not none.
  const bool counted = !wanted.trial || now.tries_left > 0;
  if (now.confirmed != wanted.confirmed || now.trial != wanted.trial || !counted)
    return Error(Code::io, "the board's boot program says that `" + arguments.front() + "` was done, but it was not");
  return ok;
}

Status CustomBootControl::check() {
  Result<std::string> said = run({"check"}).in("boot attempts cannot be counted");
  return said ? Status(ok) : Status(std::move(said).error());
}

Result<BootState> CustomBootControl::state() {
  const std::string text = HC_TRY(run({"get-state"}));
  return parse_custom_state(text).in("the board's boot program gave no state");
}

Status CustomBootControl::install_entry(Slot slot, const BootEntry& entry) {
  HC_TRY(entries_.write(slot, entry));
  HC_TRY(run({"entry", std::string(name(slot)), entries_.path(slot).string()}));
  return settle(boot_);
}

Status CustomBootControl::remove_entry(Slot slot) {
  const BootState now = HC_TRY(state());
  HC_TRY(may_remove(now, slot));
  HC_TRY(entries_.remove(slot));
  HC_TRY(run({"entry", std::string(name(slot)), entries_.path(slot).string()}));
  return settle(boot_);
}

Status CustomBootControl::arm(Slot slot, unsigned tries) {
  const BootState now = HC_TRY(state());
  HC_TRY(may_arm(now, slot, tries));
  HC_TRY(entries_.bootable(slot));
  HC_TRY(settle(boot_));
  return change({"arm", std::string(name(slot)), std::to_string(tries)}, {now.confirmed, slot, tries});
}

Status CustomBootControl::confirm(Slot slot) {
  HC_TRY(entries_.bootable(slot));
  return change({"confirm", std::string(name(slot))}, {slot, std::nullopt, 0});
}

Status CustomBootControl::disarm() {
  const BootState now = HC_TRY(state());
  return change({"disarm"}, {now.confirmed, std::nullopt, 0});
}

}  // namespace hc
