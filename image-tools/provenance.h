#pragma once

#include <string>
#include <vector>

#include "engine/payload/manifest.h"
#include "engine/payload/trust.h"
#include "image-tools/git_version.h"
#include "image-tools/signers.h"

// Where a payload comes from: an in-toto statement (v1) with SLSA's predicate (v1) in a DSSE envelope.
namespace hc {

struct Provenance {
  Manifest manifest;
  Commit commit;        // the subject: its id is the SHA-256 of the commit object
  std::string builder;  // a URI
  std::optional<GitVersion> source;
  std::string finished_at;  // iso_time()
};

// The envelope, one line of JSON, signed by each of `signers`.
Result<std::string> provenance_text(const Provenance& provenance, const std::vector<Signer>& signers);

// The names of those keys, trusted and not revoked, that signed the envelope `text` about `commit`. Code::untrusted
// where there is none or it speaks of another commit, Code::invalid where it is malformed.
Result<std::vector<std::string>> check_provenance(std::string_view text, const Commit& commit, const Keyring& keyring);

// Where a repository keeps it, so that it is published along: honeycomb/provenance/COMMIT.dsse.json.
fs::path provenance_path(const fs::path& repo, const Commit& commit);

}  // namespace hc
