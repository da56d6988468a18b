#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

// Archives that come from outside: a tar, plain or compressed by gzip, whose every trick is a refusal. libarchive reads
// it; what it may do with a file system is decided here.
namespace hc {

struct ArchiveLimits {
  std::uint64_t bytes = std::uint64_t{2} << 30;  // of all members together
  std::uint64_t members = 20'000;                // with the directories that no member names
  bool allow_setuid = false;
};

struct ArchiveContents {
  std::uint64_t members = 0;
  std::uint64_t bytes = 0;
};

// Unpacks the archive behind the descriptor `file`, from its begin to its end, into the empty directory `tree`: regular
// files, directories and symlinks that stay inside. Nothing outside `tree` is written or even looked at. Files get the
// modes 0755 or 0644 (and setuid and setgid where allowed) and their times; owners and sticky bits are not kept.
//
// Refused with the member's name: absolute paths, `..`, names that are no UTF-8 or too long, a path that comes twice or
// lies below a file or link, links that leave the tree, hard links to what is not there yet, devices, pipes, sockets,
// sparse files, extended attributes and access lists, setuid and setgid files (unless allowed). Refused with the byte
// where it was seen: a damaged or cut archive, and anything after its end. Refused: what unpacks to more than `limits`.
// Tells apart by its first bytes what it is; ends soon whatever it reads. After a failure `tree` holds rubbish.
Result<ArchiveContents> unpack_archive(int file, int tree, const ArchiveLimits& limits);

// A member's name as a path below the root: `./` before and `/` behind are dropped; empty for the root itself. Fails
// for every name that could mean something else than it says.
Result<std::string> member_path(std::string_view name);

}  // namespace hc
