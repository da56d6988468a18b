#include "engine/upgrade/history.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace hc {
namespace {

std::string record_name(std::uint64_t id) {
  std::array<char, 40> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "history/%08llu", static_cast<unsigned long long>(id));
  return buffer.data();
}

bool about(const Transaction& t, const Target& target, const Commit& commit) {
  return t.target == target && t.to.commit == commit.hex();
}

}  // namespace

Status History::put(const Transaction& t) {
  return records_.write(record_name(t.id), to_json(t)).in("writing the history");
}

Result<std::vector<Transaction>> History::all() const {
  std::vector<Transaction> transactions;
  for (const std::string& name : HC_TRY(records_.list("history"))) {
    const auto json = records_.read(name);
    if (!json || !*json) continue;
    auto t = transaction_from(**json);
    if (t) transactions.push_back(std::move(t).value());
  }
  std::sort(transactions.begin(), transactions.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return transactions;
}

Result<std::optional<Transaction>> History::find(std::uint64_t id) const {
  const std::optional<Json> json = HC_TRY(records_.read(record_name(id)));
  if (!json) return std::optional<Transaction>();
  Transaction t = HC_TRY(transaction_from(*json));
  return std::optional(std::move(t));
}

Result<std::uint64_t> History::next_id(const std::optional<Transaction>& running) const {
  std::uint64_t newest = running ? running->id : 0;
  for (const std::string& name : HC_TRY(records_.list("history"))) {
    const std::size_t slash = name.find('/');
    newest = std::max<std::uint64_t>(newest, std::strtoull(name.c_str() + slash + 1, nullptr, 10));
  }
  return newest + 1;
}

std::vector<Transaction> newest_of(std::vector<Transaction> history, const std::string& target, std::size_t most) {
  if (!target.empty()) std::erase_if(history, [&](const Transaction& t) { return t.target.name() != target; });
  if (most != 0 && history.size() > most)
    history.erase(history.begin(), history.end() - static_cast<std::ptrdiff_t>(most));
  return history;
}

std::uint64_t newest_confirmed_sequence(const std::vector<Transaction>& history, const Target& target) {
  std::uint64_t newest = 0;
  for (const Transaction& t : history)
    if (t.target == target && t.outcome == Outcome::confirmed) newest = std::max(newest, t.to.sequence);
  return newest;
}

bool was_confirmed(const std::vector<Transaction>& history, const Target& target, const Commit& commit) {
  return std::any_of(history.begin(), history.end(),
                     [&](const Transaction& t) { return about(t, target, commit) && t.outcome == Outcome::confirmed; });
}

const Transaction* last_own_failure(const std::vector<Transaction>& history, const Target& target,
                                    const Commit& commit) {
  for (auto it = history.rbegin(); it != history.rend(); ++it) {
    if (!about(*it, target, commit) || it->kind == TransactionKind::repair) continue;
    if (it->outcome == Outcome::confirmed) return nullptr;
    if (it->failure && (it->failure->code == Code::unhealthy || it->failure->code == Code::hook_failed)) return &*it;
  }
  return nullptr;
}

}  // namespace hc
