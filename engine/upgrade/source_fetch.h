#pragma once

#include <optional>
#include <set>
#include <string>

#include "engine/upgrade/delta_source.h"
#include "engine/upgrade/source.h"

// The ways to a payload beside its objects one by one, as a node takes them: deltas (see DeltaSource), bundles, and
// archives of the original Honeycomb (see SignedArchive).
namespace hc {

// What stands for an archive in the place of a URL: "archive:" and an absolute path.
inline constexpr std::string_view kArchiveScheme = "archive:";
inline bool is_payload_file(const std::string& url) {
  return url.starts_with(kBundleScheme) || url.starts_with(kArchiveScheme);
}

struct ShortWays {
  Repository& repository;
  HttpLimits limits;
  fs::path scratch;             // where an archive is unpacked; nothing stays there
  std::set<std::string> bases;  // commits that the target's slots hold

  // What the file `path` is (its name ends as names_payload_file() says), and whom it is for. Nothing of it is trusted
  // yet.
  Result<Found> find_file(const fs::path& path) const;
  // The commit object of `commit`, out of the file that `url` names or the head of a delta there; nothing where `url`
  // has no delta for this node.
  Result<std::optional<CommitObject>> object(const std::string& url, const Commit& commit, const StopToken& stop) const;
  // True: the payload is complete now. Nothing is lost where a delta is of no use: false, and there is another way. A
  // file is the only way there is: never false.
  Result<bool> fetch(const std::string& url, const VerifiedPayload& payload, const ProgressFn& progress,
                     const StopToken& stop) const;

 private:
  Result<std::optional<Delta>> delta_to(const std::string& url, const Commit& commit, const StopToken& stop) const;
  Result<Delta> bundle_of(const std::string& url, const Commit& commit) const;
  Result<bool> unpack(const std::string& url, const VerifiedPayload& payload, const ProgressFn& progress,
                      const StopToken& stop) const;
};

}  // namespace hc
