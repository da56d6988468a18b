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

  // Reads `trust.d`, `revoked.d` and `blocked.d` below each directory in turn (/usr/lib/honeycomb, /etc/honeycomb). A
  // file that cannot be read is a warning, not a failure: one bad key file must not make every good payload
  // unacceptable.
  static Result<Keyring> load(const std::vector<fs::path>& directories);
};

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

struct Verdict {
  VerifiedPayload payload;
  Manifest manifest;
  std::vector<std::string> signers;   // names of the keys whose signatures count
  std::vector<std::string> warnings;  // "signed for 2 days more", clock doubts
};

// The one gate. Every road into a slot passes verify(), on the commit's own bytes, before any content is fetched and
// again before staging.
class TrustPolicy {
 public:
  TrustPolicy(Keyring keyring, TrustFacts facts) : keyring_(std::move(keyring)), facts_(std::move(facts)) {}

  // `commit_bytes`: the commit object; `detached`: the serialized a{sv} beside it (empty where there is none);
  // `expected`: the id that was asked for. Refuses with one clear sentence and a hint, in this order: bytes that are
  // not `expected`; blocked; malformed manifest; unsigned; no good signature of a trusted key; keys not allowed for
  // this target; too few; then policy: wrong model, downgrade (unless in_history), missing requirement, expired. A
  // clock earlier than built_at or known_good_time gives Code::unavailable and says that the clock is wrong, only where
  // time mattered (expiry); it never makes a signature bad.
  Result<Verdict> verify(const Commit& expected, std::string_view commit_bytes, std::string_view detached) const;

 private:
  Keyring keyring_;
  TrustFacts facts_;
};

}  // namespace hc
