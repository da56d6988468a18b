#pragma once

#include "engine/archive/archive.h"
#include "engine/base/stop.h"
#include "image-tools/findings.h"

namespace hc {

// Unpacks `archive`, a regular file, in a child process to `tree`, which is made. The error names the archive.
Result<ArchiveContents> open_archive(const fs::path& archive, const fs::path& tree, const ArchiveLimits& limits,
                                     const StopToken& stop);

// The rules for the tree of an archive of the original Honeycomb: its checksum list, and all that holds for a
// peripheral's payload.
Findings archive_findings(const fs::path& tree);

}  // namespace hc
