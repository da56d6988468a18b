#pragma once

#include <optional>
#include <set>
#include <string>

#include "engine/upgrade/delta_source.h"

// The short ways to a payload, as a node takes them: see DeltaSource.
namespace hc {

inline bool is_bundle(const std::string& url) { return url.starts_with(kBundleScheme); }

struct ShortWays {
  Repository& repository;
  HttpLimits limits;
  std::set<std::string> bases;  // commits that the target's slots hold

  // The commit object of `commit`, out of the bundle that `url` names or the head of a delta there; nothing where `url`
  // has no delta for this node.
  Result<std::optional<CommitObject>> object(const std::string& url, const Commit& commit, const StopToken& stop) const;
  // True: the payload is complete now. Nothing is lost where a delta is of no use: false, and there is another way. A
  // bundle is the only way there is: never false.
  Result<bool> fetch(const std::string& url, const VerifiedPayload& payload, const ProgressFn& progress,
                     const StopToken& stop) const;

 private:
  Result<std::optional<Delta>> delta_to(const std::string& url, const Commit& commit, const StopToken& stop) const;
  Result<Delta> bundle_of(const std::string& url, const Commit& commit) const;
};

}  // namespace hc
