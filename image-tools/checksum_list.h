#pragma once

#include "image-tools/findings.h"

namespace hc {

inline constexpr const char* kChecksumList = "md5sum.chk";

// The rules for md5sum.chk in the root of `tree`, as md5sum(1) writes it and the original Honeycomb wants it: every
// regular file but the list itself stands in it once, and has the checksum that stands there; nothing else does. The
// bytes in `tree` are what is read. MD5 finds accidents only: that a payload is to be trusted, its signature says.
Findings check_checksums(const fs::path& tree);

}  // namespace hc
