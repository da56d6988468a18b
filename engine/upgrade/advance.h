#pragma once

#include "engine/upgrade/steps.h"

namespace hc {

inline constexpr std::string_view kJournal = "transaction";

enum class Ended { finished, reboot, later };

// Carries `t` on from where its journal says, to its end or to a reboot. The one loop of the engine: a fresh
// transaction, one after a crash, after a reboot or after SIGTERM all come through here.
//
// The journal is saved before each step and nowhere else. A failing step turns the direction round: everything is
// undone from the failed step itself backwards. A stop request counts as a failure until the switch was made and is
// refused afterwards. No step is begun more often than kMostEntries times, so nothing loops for ever.
//
// Ok(finished): the transaction is in the history with its outcome and the journal is gone. An error: the machine could
// not even be brought back (the text says what is in the way); the journal stays and the next call tries again.
Result<Ended> advance(Transaction& t, Machine& m, const StopToken& stop);

// Makes a transaction that goes forward go back from here on, because of `error`.
void turn_round(Transaction& t, const Error& error);

// Clears away what transactions of t.target have left behind: installations that no slot points to, the pending ref.
// Done at the end of each and, because it may fail then (a file that nobody can delete), once more after each boot. The
// paths that are still stuck. REQUIRES: no transaction of that target is under way.
Result<std::vector<std::string>> tidy(Machine& m, const Transaction& t);

inline constexpr int kMostEntries = 5;

// The transaction that is under way, if there is one.
Result<std::optional<Transaction>> read_journal(Records& records);

}  // namespace hc
