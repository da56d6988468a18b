#include "engine/upgrade/degraded.h"

#include <algorithm>

#include "engine/base/json_field.h"
#include "engine/base/log.h"

namespace hc {
namespace {

constexpr std::int64_t kFirstPause = 300;
constexpr std::int64_t kLongestPause = 86'400;
constexpr const char* kFolder = "degraded";

std::string record_name(const Target& target) { return std::string(kFolder) + "/" + target.name(); }

Json to_json(const Degraded& entry) {
  return {{"format", 1},          {"target", entry.target.name()}, {"why", entry.why},
          {"since", entry.since}, {"first", entry.first},          {"transaction", entry.transaction},
          {"notes", entry.notes}, {"attempts", entry.attempts},    {"last_attempt", entry.last_attempt}};
}

Result<Degraded> degraded_from(const Json& json, const Target& target) {
  if (!json.is_object()) return Error(Code::invalid, "a record of a degraded target is a JSON object");
  Degraded entry;
  entry.target = target;
  std::uint64_t attempts = 0;
  HC_TRY(read_field(json, "why", entry.why));
  HC_TRY(read_field(json, "since", entry.since));
  HC_TRY(read_field(json, "first", entry.first));
  HC_TRY(read_field(json, "transaction", entry.transaction));
  HC_TRY(read_field(json, "notes", entry.notes));
  HC_TRY(read_field(json, "attempts", attempts));
  HC_TRY(read_field(json, "last_attempt", entry.last_attempt));
  entry.attempts = static_cast<unsigned>(std::min<std::uint64_t>(attempts, 1'000'000));
  return entry;
}

}  // namespace

std::int64_t Degraded::next_attempt() const {
  const std::int64_t pause = attempts > 16 ? kLongestPause : std::min(kFirstPause << attempts, kLongestPause);
  return std::max(since, last_attempt) + pause;
}

Status DegradedList::add(const Transaction& t, const std::string& why, std::int64_t now) {
  std::optional<Degraded> entry = HC_TRY(find(t.target));
  const bool repetition = entry && entry->transaction == t.id && entry->notes == t.notes.size();  // after a crash
  if (repetition) return ok;
  if (entry) {
    ++entry->attempts;
    entry->last_attempt = now;
  } else {
    entry = Degraded{t.target, "", now, t.id, t.id, 0, 0, now};
  }
  entry->why = why;
  entry->transaction = t.id;
  entry->notes = t.notes.size();
  return records_.write(record_name(t.target), to_json(*entry));
}

Status DegradedList::remove(const Target& target) {
  const std::optional<Json> there = HC_TRY(records_.read(record_name(target)));
  return there ? records_.remove(record_name(target)) : Status(ok);
}

Result<std::optional<Degraded>> DegradedList::find(const Target& target) const {
  const std::optional<Json> json = HC_TRY(records_.read(record_name(target)));
  if (!json) return std::optional<Degraded>();
  auto entry = degraded_from(*json, target);
  if (entry) return std::optional(std::move(entry).value());
  // A record that nobody can read must not keep transactions from their end.
  log(Level::warning, "the record " + record_name(target) + " is passed over: " + entry.error().text());
  return std::optional<Degraded>();
}

Result<std::vector<Degraded>> DegradedList::all() const {
  std::vector<Degraded> entries;
  for (const std::string& name : HC_TRY(records_.list(kFolder))) {
    const auto target = Target::parse(fs::path(name).filename().string());
    if (!target) continue;
    std::optional<Degraded> entry = HC_TRY(find(*target));
    if (entry) entries.push_back(std::move(*entry));
  }
  return entries;
}

}  // namespace hc
