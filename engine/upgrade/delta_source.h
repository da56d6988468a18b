#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/progress.h"
#include "engine/delta/head.h"
#include "engine/net/http.h"
#include "engine/store/repository.h"

// The ways to a payload's content that are shorter than its objects one by one: a delta beside a published repository,
// and a bundle, which is the same in one file.
namespace hc {

// What stands for a bundle in the place of a URL: "bundle:" and an absolute path.
inline constexpr std::string_view kBundleScheme = "bundle:";

struct Delta {
  Commit to;
  DeltaHead head;
  std::string place;          // URL of the data, or path of the bundle
  std::uint64_t data_at = 0;  // where the data begin in the bundle
};

class DeltaSource {
 public:
  DeltaSource(Repository& repository, HttpLimits limits) : repository_(repository), limits_(limits) {}

  // The delta from the first of `bases` for which the repository at `url` has one; nothing where there is none, or none
  // that is of use (which is logged).
  Result<std::optional<Delta>> look(const std::string& url, const Commit& to, const std::vector<Commit>& bases,
                                    const StopToken& stop) const;
  // Gets and applies it. What has arrived is kept, also on failure, and is where the next call goes on. True: the
  // payload is complete now.
  Result<bool> fetch(const Delta& delta, const VerifiedPayload& payload, const ProgressFn& progress,
                     const StopToken& stop) const;

  // Reads only what comes before the content. Fails with Code::invalid where it is no bundle, is cut off, or is a delta
  // from a version that is not on this node.
  Result<Delta> open_bundle(const fs::path& path) const;
  // Reads the whole bundle and finds it undamaged before anything is written; nothing is kept unless all is. Fails with
  // Code::invalid on damage, Code::io where the stick is gone.
  Status take_bundle(const Delta& bundle, const VerifiedPayload& payload, const ProgressFn& progress,
                     const StopToken& stop) const;

 private:
  CommitBytes commits() const;
  Result<std::optional<std::uint64_t>> allowance(const Delta& delta) const;

  Repository& repository_;
  HttpLimits limits_;
};

}  // namespace hc
