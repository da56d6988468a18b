#pragma once

#include "engine/base/file.h"

// The boot directory (<sysroot>/boot), whatever the bootloader.
namespace hc {

// True for a throw-away node that no machine starts from: honeycomb/sandbox is there. It works on any file system.
bool is_sandbox(const fs::path& boot);
Status make_sandbox(const fs::path& boot);

// Writes everything on the file system of `boot` to its final place. Bootloaders read ext4 without replaying the
// journal, so a file that is durable for the kernel may not be there for them yet; after Ok it is. (A sync does not
// promise that: a block that another change holds in the journal stays there.) Needs Linux 5.14 and root on a file
// system with a journal. Does nothing in a sandbox.
Status settle(const fs::path& boot);

}  // namespace hc
