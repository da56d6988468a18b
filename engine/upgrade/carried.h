#pragma once

#include "engine/upgrade/steps.h"

// The peripherals that an OS payload brings (usr/lib/honeycomb/peripherals/NAME). Each has a transaction of its own
// inside that of the OS, with the same table, the same loop and its own record in the history. They are installed after
// the OS is staged and before the switch, wait with their `confirm` for that of the OS, and are taken back with it,
// whoever finds the fault: a hook, the bootloader or a health check.
namespace hc {

Result<Next> run_carried(Transaction& os, Machine& m, const StopToken& stop);
Result<Next> undo_carried(Transaction& os, Machine& m, const StopToken& stop);

// After the boot: the verify hook of each once more, HC_PHASE=post-boot.
Status verify_carried(Transaction& os, Machine& m, const StopToken& stop);

// The OS is confirmed, so they are: ends each of them. A part of the end of the OS's own transaction, and repeated with
// it until all is on the disk.
Status end_carried(Transaction& os, Machine& m);

}  // namespace hc
