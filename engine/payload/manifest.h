#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/handle.h"
#include "engine/base/ids.h"
#include "engine/base/json.h"

namespace hc {

enum class PayloadKind { os, peripheral };
std::string_view name(PayloadKind kind);

// What a payload says of itself, inside the signed commit (keys `honeycomb.*` and `version` of the commit's metadata,
// a{sv}). Numbers are big-endian on every machine, as libostree's own in a commit are: so
// `ostree show --print-metadata-key` prints them right.
struct Manifest {
  static constexpr std::uint32_t kFormat = 1;

  std::uint32_t format = kFormat;
  PayloadKind kind = PayloadKind::os;
  Target target = Target::os();
  Version version;
  std::uint64_t sequence = 0;                            // grows with every release
  std::vector<std::string> compatible;                   // models it may run on, globs; empty: all
  std::optional<std::int64_t> expires;                   // seconds since 1970
  std::map<std::string, std::string> requires_versions;  // target -> least version
  std::map<std::string, std::string> carries;            // an OS's peripherals: target -> version; for people
  std::string changelog;                                 // optional text shown by --plan
  std::int64_t built_at = 0;                             // the commit's own timestamp, seconds since 1970

  // The commit's metadata dictionary (a{sv}). The keys that Honeycomb does not own pass through unread.
  Variant to_metadata() const;
};

// Reads the manifest from the bytes of a commit object (the GVariant (a{sv}aya(say)sstayay)) as they were signed. Total
// on any bytes: foreign or malformed ones fail with Code::invalid and the key that is wrong. A format number above
// kFormat is refused with the words that a newer engine is needed. What is read is bounded: at most 10 MiB in all, 256
// entries of `compatible`, of `requires` and of `carries`, 64 KiB of changelog, times up to the year 9999. A payload of
// kind `os` has the target `os` and no other has.
Result<Manifest> read_manifest(std::string_view commit_bytes);

Json to_json(const Manifest& manifest);

// The id of a commit object: the SHA-256 of its bytes.
Commit commit_of(std::string_view commit_bytes);

}  // namespace hc
