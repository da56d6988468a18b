#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/file.h"
#include "engine/payload/manifest.h"

namespace hc {

// One public key that this node trusts, from a *.pub file.
struct TrustedKey {
  std::string name;                  // the file's name without `.pub`
  std::string raw;                   // 32 bytes
  std::vector<std::string> targets;  // globs: which targets it may sign for
  fs::path file;
};

struct Keyring {
  std::vector<TrustedKey> keys;
  std::set<std::string> revoked;      // raw public keys
  std::set<Commit> blocked;           // commits that must never run again
  std::vector<std::string> warnings;  // files that were passed over and why

  // Reads `trust.d/*.pub`, `revoked.d/*.pub` (PublicKey, engine/payload/keys.h) and `blocked.d/*` (one commit a line;
  // `#` begins a comment) below each directory in turn (/usr/lib/honeycomb, /etc/honeycomb). A file hides the one of
  // the same name in an earlier directory; an empty file or a symlink to /dev/null only hides. A file that cannot be
  // read is a warning, not a failure: one bad key file must not make every good payload unacceptable. A directory that
  // is there but cannot be listed is a failure: revocations could go unseen.
  static Result<Keyring> load(const std::vector<fs::path>& directories);
};

// Whose signatures stand beside a commit.
struct SignatureCheck {
  std::vector<std::string> signers;      // names of trusted keys that may sign for the target, each key once
  std::vector<std::string> not_allowed;  // names of trusted keys that may not: "ptz (for ptz-*)"
  std::vector<std::string> revoked;      // names of revoked keys, or the key in base64 where none has a name
  std::size_t found = 0;                 // signatures, good or not
};
// Code::untrusted where `detached` is malformed.
Result<SignatureCheck> check_signatures(const Keyring& keyring, const Target& target, std::string_view commit_bytes,
                                        std::string_view detached);

// What this node knows that decides whether a payload may run here.
struct TrustFacts {
  std::string model;                  // for `compatible`; empty: not set, then only payloads without `compatible` pass
  std::int64_t now = 0;               // wall clock, seconds
  std::int64_t known_good_time = 0;   // a time that has surely passed (newest confirmed build time)
  std::uint64_t newest_sequence = 0;  // newest confirmed sequence of this target; 0: none
  bool in_history = false;            // this very commit was confirmed on this node before
  std::map<std::string, std::string> versions;  // target -> version in its active slot
  std::map<std::string, unsigned>
      thresholds;  // target glob -> signatures wanted; 1 where none matches (the largest match counts)
};

// Whether a payload that says this of itself may run on this node: its models and what it requires. Says nothing of
// signatures.
Status check_fits(const Manifest& manifest, const TrustFacts& facts);

struct Verdict {
  VerifiedPayload payload;
  Manifest manifest;
  std::vector<std::string> signers;   // names of the keys whose signatures count
  std::vector<std::string> warnings;  // "expires in 2 days", clock doubts, the keyring's own
};

// The one gate. Every road into a slot passes verify(), on the commit's own bytes, before any content is fetched and
// again before staging.
class TrustPolicy {
 public:
  TrustPolicy(Keyring keyring, TrustFacts facts) : keyring_(std::move(keyring)), facts_(std::move(facts)) {}

  // `commit_bytes`: the commit object; `detached`: the serialized a{sv} beside it (empty where there is none);
  // `expected`: the id that was asked for. Refuses with one clear sentence and a hint, in this order:
  //   untrusted: bytes that are not `expected`; a blocked commit
  //   invalid:   a malformed manifest, a format of a newer engine
  //   untrusted: unsigned; no good signature of a trusted key; only revoked keys; keys not allowed for this target; too
  //   few invalid:   wrong model untrusted: a downgrade (unless in_history) invalid:   a missing requirement untrusted:
  //   expired (in_history: a warning, so that an old version can always be returned to)
  // Signatures carry no time, so no clock makes one bad. Only where `expires` is set does the clock matter: one that is
  // more than a day behind built_at or known_good_time cannot judge it, which is Code::unavailable with the words that
  // the clock is wrong. Elsewhere such a clock is a warning.
  Result<Verdict> verify(const Commit& expected, std::string_view commit_bytes, std::string_view detached) const;

 private:
  Keyring keyring_;
  TrustFacts facts_;
};

}  // namespace hc
