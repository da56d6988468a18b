#pragma once

#include "engine/archive/archive.h"
#include "engine/base/file.h"
#include "engine/base/stop.h"

namespace hc {

// unpack_archive() in a child process: where libarchive has a fault, it meets it without our rights, within limits of
// time, memory and file size, and we live on. The child is this very program, started again; it is the user `nobody`
// where we are root, and never comes to main().
Result<ArchiveContents> unpack_in_child(const fs::path& archive, const fs::path& tree, const ArchiveLimits& limits,
                                        const StopToken& stop);

}  // namespace hc
