#pragma once

#include "engine/upgrade/parts.h"

// Bringing the node into agreement with itself when no transaction is under way: after each boot, and from time to
// time.
namespace hc {

// Clears away what earlier transactions could not.
Status tidy_up(NodeParts& parts, const Listener& listener);

// Installs and verifies the version in use of each degraded peripheral that is due once more, or (`now`) of all. The
// reports of what was tried; one failure keeps none of the others from its try.
Result<std::vector<Report>> repair_degraded(NodeParts& parts, bool now, const Listener& listener,
                                            const StopToken& stop);

// Brings the peripherals in line with the OS that runs: one that another OS brought, or that has no version yet, gets
// what the running OS brings; where that brings none, one that a newer OS brought goes back to the version before. One
// that was deployed by itself is left alone. Does nothing while the running OS is not the confirmed one. A report that
// did not finish (a peripheral that wants a restart) is the last one.
Result<std::vector<Report>> reconcile_peripherals(NodeParts& parts, const Listener& listener, const StopToken& stop);

}  // namespace hc
