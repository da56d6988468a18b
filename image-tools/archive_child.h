#pragma once

#include "engine/base/file.h"
#include "engine/base/stop.h"
#include "image-tools/archive.h"

namespace hc {

// unpack_archive() in a child process: where libarchive has a fault, it meets it without our rights, within limits of
// time, memory and file size, and we live on. The child is this very program, started again with kUnpackChild as its
// first argument, and as the user `nobody` where we are root. REQUIRES: main() hands that over to run_unpack_child().
Result<ArchiveContents> unpack_in_child(const fs::path& archive, const fs::path& tree, const ArchiveLimits& limits,
                                        const StopToken& stop);

inline constexpr const char* kUnpackChild = "unpack-archive-child";
// The child's whole life. `argv`: program, kUnpackChild, archive, tree, bytes, members, "setuid" or "".
[[noreturn]] void run_unpack_child(int argc, char** argv);

}  // namespace hc
