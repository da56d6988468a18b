#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/upgrade/records.h"
#include "engine/upgrade/transaction.h"

namespace hc {

// Every transaction that ended, one document each, numbered without gaps in the order they began. Order is by number,
// never by time: clocks jump.
class History {
 public:
  explicit History(Records& records) : records_(records) {}

  Status put(const Transaction& t);
  // Oldest first. A damaged record is passed over: one bad file must not hide the rest.
  Result<std::vector<Transaction>> all() const;
  Result<std::optional<Transaction>> find(std::uint64_t id) const;

  // A number that no ended transaction and not `running` has.
  Result<std::uint64_t> next_id(const std::optional<Transaction>& running) const;

 private:
  Records& records_;
};

// The newest `most` (0: all) of one target (empty: of all), oldest first.
std::vector<Transaction> newest_of(std::vector<Transaction> history, const std::string& target, std::size_t most);

// Questions about one target that several layers ask.
std::uint64_t newest_confirmed_sequence(const std::vector<Transaction>& history, const Target& target);
bool was_confirmed(const std::vector<Transaction>& history, const Target& target, const Commit& commit);
// The last time this commit ended in a failure that is the payload's own, unless it was confirmed later.
const Transaction* last_own_failure(const std::vector<Transaction>& history, const Target& target,
                                    const Commit& commit);

}  // namespace hc
