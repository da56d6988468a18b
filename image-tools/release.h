#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/payload/manifest.h"
#include "engine/store/repository.h"

// The refs of a repository of payloads, and the rules they keep: TARGET/VERSION never changes, sequences grow, and no
// ref but unsigned/TARGET/VERSION stands for a payload without a signature.
namespace hc {

std::string version_ref(const Manifest& manifest);
// Where a payload waits for its signature.
std::string unsigned_ref(const Manifest& manifest);

// One hc-payload at a time changes a repository.
Result<FileLock> lock_repository(const fs::path& repo);

// Fails where `branch` cannot stand beside the version.
Status check_branch(const Manifest& manifest, const std::string& branch);
// Fails with Code::invalid where nodes would refuse the sequence of a new version as a downgrade.
Status check_sequence(const Repository& repository, const Manifest& manifest);
// Fails with Code::invalid where the version is in the repository with other content than `commit`.
Status check_same(const Repository& repository, const Manifest& manifest, const Commit& commit);

// Points TARGET/VERSION, and TARGET/BRANCH where the payload is the newest of its target, to a commit that is signed;
// removes its unsigned ref and writes the summary. Returns the refs. May be repeated.
Result<std::vector<std::string>> point_refs(Repository& repository, const Manifest& manifest, const Commit& commit,
                                            const std::string& branch);

}  // namespace hc
