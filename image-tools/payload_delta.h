#pragma once

#include "image-tools/payload_verbs.h"

namespace hc {

struct DeltaArgs {
  fs::path repo;
  std::string from;  // refs or commits
  std::string to;
};
// Writes into the repository what a node that has `from` needs to make `to`. Nodes find it by themselves.
Result<Report> delta(const DeltaArgs& args, const Work& work);

// Where a repository keeps all deltas to one commit.
fs::path delta_folder(const fs::path& repo, const Commit& to);
// Whether there is one already.
bool has_delta(const fs::path& repo, const Commit& from, const Commit& to);

struct BundleArgs {
  fs::path repo;
  std::string what;  // a ref or a commit
  std::string from;  // the same; empty: complete in itself
  fs::path out;      // ends in .hcb
};
// Writes a payload as one file for nodes without a network.
Result<Report> bundle(const BundleArgs& args, const Work& work);

}  // namespace hc
