#pragma once

#include "engine/upgrade/parts.h"

// How the engine's face begins and runs transactions on the real parts of a node.
namespace hc {

// One at its first step, without a number: what is carried by an OS gets it when its turn comes.
Result<Transaction> new_transaction(NodeParts& parts, TransactionKind kind, const Request& request, Side from, Side to);

// The same with the next number, and told. Nothing is saved yet.
Result<Transaction> begin_transaction(NodeParts& parts, TransactionKind kind, const Request& request, Side from,
                                      Side to);

// Carries it as far as it goes, see advance().
Result<Report> run_transaction(NodeParts& parts, Transaction t, const Listener& listener, const StopToken& stop);

// Whether the next thing that must happen is a restart of the node.
bool waits_for_reboot(const Transaction& t, const Node& node);

}  // namespace hc
