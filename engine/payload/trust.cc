#include "engine/payload/trust.h"

#include <algorithm>

#include "engine/base/text.h"
#include "engine/payload/base64.h"
#include "engine/payload/keys.h"
#include "engine/payload/signature.h"

namespace hc {
namespace {

constexpr std::int64_t kDay = 86'400;
// The clocks of the machine that builds and of the node may differ by this much.
constexpr std::int64_t kClockSlack = kDay;
constexpr std::int64_t kWarnBeforeExpiry = 7 * kDay;

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string days(std::int64_t seconds) {
  const std::int64_t count = seconds / kDay;
  return count == 1 ? "1 day" : std::to_string(count) + " days";
}

bool matches_any(const std::vector<std::string>& patterns, std::string_view text) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& p) { return glob_match(p, text); });
}

void add_once(std::vector<std::string>& names, const std::string& name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

std::string name_of(const Keyring& keyring, const std::string& raw) {
  for (const TrustedKey& key : keyring.keys)
    if (key.raw == raw) return key.name;
  return encode_base64(raw);
}

bool signed_by(const std::string& raw, std::string_view commit_bytes, const std::vector<std::string>& signatures) {
  return std::any_of(signatures.begin(), signatures.end(),
                     [&](const std::string& signature) { return signature_is_good(raw, commit_bytes, signature); });
}

unsigned wanted_signatures(const TrustFacts& facts, const Target& target) {
  unsigned wanted = 1;
  for (const auto& [pattern, count] : facts.thresholds)
    if (glob_match(pattern, target.name())) wanted = std::max(wanted, count);
  return wanted;
}

Error untrusted(std::string text, std::string hint) {
  return Error(Code::untrusted, std::move(text)).with_hint(std::move(hint));
}

// REQUIRES: fewer signers than wanted. Says why, the first reason that applies.
Error too_few(const SignatureCheck& check, const Target& target, const Keyring& keyring, unsigned wanted) {
  constexpr const char* kAddKey = "if you trust whoever made it, put its public key into /etc/honeycomb/trust.d";
  if (check.found == 0)
    return untrusted("it is not signed", "sign it where it was built: hc-payload sign REPO COMMIT --key KEY");
  if (!check.signers.empty())
    return untrusted("it has " + std::to_string(check.signers.size()) + " good signature(s) (" + joined(check.signers) +
                         "), but " + quote(target.name()) + " wants " + std::to_string(wanted) + " by different keys",
                     "have it signed by one more of the trusted keys");
  if (!check.not_allowed.empty())
    return untrusted(
        "it is signed by " + joined(check.not_allowed) + ", which may not sign for " + quote(target.name()),
        "sign it with a key for this target, or widen `targets` in that key's file in trust.d");
  if (!check.revoked.empty())
    return untrusted("it is signed by the revoked key " + joined(check.revoked) + " only",
                     "sign it again with a key that is in use");
  if (keyring.keys.empty()) return untrusted("this node trusts no key at all, so nothing can be verified", kAddKey);
  return untrusted(
      "none of its " + std::to_string(check.found) + " signature(s) was made by a key that this node trusts", kAddKey);
}

Status check_model(const Manifest& manifest, const TrustFacts& facts) {
  if (manifest.compatible.empty()) return ok;
  if (facts.model.empty())
    return Error(Code::invalid, "it is for the models " + printable(joined(manifest.compatible)) +
                                    ", but this node does not know its own model")
        .with_hint("set `model` in /etc/honeycomb/honeycomb.conf");
  if (matches_any(manifest.compatible, facts.model)) return ok;
  return Error(Code::invalid, "it is for the models " + printable(joined(manifest.compatible)) + "; this node is a " +
                                  quote(facts.model))
      .with_hint("deploy the payload that was built for this model");
}

Status check_sequence(const Manifest& manifest, const TrustFacts& facts) {
  if (manifest.sequence >= facts.newest_sequence || facts.in_history) return ok;
  return untrusted("it is a downgrade: its sequence is " + std::to_string(manifest.sequence) +
                       ", this node has confirmed " + std::to_string(facts.newest_sequence) + " already",
                   "only versions in this node's own history can be returned to: see `hc-os history`");
}

Status check_requirements(const Manifest& manifest, const TrustFacts& facts) {
  for (const auto& [target, version] : manifest.requires_versions) {
    const auto has = facts.versions.find(target);
    const std::string need = "it requires " + quote(target) + " at version " + version + " or later";
    if (has == facts.versions.end())
      return Error(Code::invalid, need + ", which this node does not have").with_hint("deploy " + target + " first");
    const auto have = Version::parse(has->second);
    const auto least = Version::parse(version);
    if (!have || !least || *have < *least)
      return Error(Code::invalid, need + "; this node has " + quote(has->second))
          .with_hint("upgrade " + target + " first");
  }
  return ok;
}

std::string clock_doubt(const Manifest& manifest, const TrustFacts& facts) {
  const std::string says = "this machine's clock says " + iso_time(facts.now);
  if (manifest.built_at >= facts.known_good_time)
    return says + ", but the payload was built at " + iso_time(manifest.built_at);
  return says + ", but this node has confirmed a version built at " + iso_time(facts.known_good_time);
}

// Judges the time only where the payload has an expiry; adds doubts to `warnings`.
Status check_time(const Manifest& manifest, const TrustFacts& facts, std::vector<std::string>& warnings) {
  const std::int64_t surely_passed = std::max(manifest.built_at, facts.known_good_time);
  const bool clock_behind = facts.now < surely_passed - kClockSlack;
  if (clock_behind) warnings.push_back(clock_doubt(manifest, facts) + ": set the clock");
  if (!manifest.expires) return ok;
  const std::string until = "it expired at " + iso_time(*manifest.expires);
  if (std::max(facts.now, surely_passed) >= *manifest.expires) {
    if (!facts.in_history)
      return untrusted(until + "; this machine's clock says " + iso_time(facts.now),
                       "deploy a newer release; if the clock is wrong, set it and try again");
    warnings.push_back(until + ", but this node has run it before");
    return ok;
  }
  if (clock_behind && !facts.in_history)
    return Error(Code::unavailable, clock_doubt(manifest, facts) + ": with a wrong clock its expiry cannot be judged")
        .with_hint(
            "set the clock (`timedatectl` shows whether it is synchronised), then try again; the payload is not "
            "to blame");
  if (*manifest.expires - facts.now < kWarnBeforeExpiry)
    warnings.push_back("it expires in " + days(*manifest.expires - facts.now));
  return ok;
}

Status check_identity(const Keyring& keyring, const Commit& expected, std::string_view commit_bytes) {
  const Commit actual = commit_of(commit_bytes);
  if (actual != expected)
    return untrusted("the commit object that came is another one: its checksum is " + actual.brief(),
                     "it was damaged or changed on the way: fetch it again from a source you trust");
  if (keyring.blocked.contains(expected))
    return untrusted("this version is blocked: it must never run again", "see blocked.d in /etc/honeycomb");
  return ok;
}

}  // namespace

Result<SignatureCheck> check_signatures(const Keyring& keyring, const Target& target, std::string_view commit_bytes,
                                        std::string_view detached) {
  auto read = read_signatures(detached);
  if (!read)
    return Error(Code::untrusted, "what stands beside it as signatures is malformed: " + read.error().text())
        .with_hint("it was damaged or changed on the way: fetch it again from a source you trust");
  const std::vector<std::string>& signatures = *read;
  SignatureCheck check;
  check.found = signatures.size();
  std::set<std::string> counted;
  for (const TrustedKey& key : keyring.keys) {
    if (keyring.revoked.contains(key.raw) || !signed_by(key.raw, commit_bytes, signatures)) continue;
    if (!matches_any(key.targets, target.name())) {
      add_once(check.not_allowed, key.name + " (for " + joined(key.targets) + ")");
    } else if (counted.insert(key.raw).second) {
      check.signers.push_back(key.name);
    }
  }
  for (const std::string& raw : keyring.revoked)
    if (signed_by(raw, commit_bytes, signatures)) add_once(check.revoked, name_of(keyring, raw));
  return check;
}

Status check_fits(const Manifest& manifest, const TrustFacts& facts) {
  HC_TRY(check_model(manifest, facts));
  return check_requirements(manifest, facts);
}

Result<Verdict> TrustPolicy::verify(const Commit& expected, std::string_view commit_bytes,
                                    std::string_view detached) const {
  const std::string subject = "payload " + expected.brief() + " is refused";
  HC_TRY(check_identity(keyring_, expected, commit_bytes).in(subject));
  Manifest manifest = HC_TRY(read_manifest(commit_bytes).in(subject));
  SignatureCheck check = HC_TRY(check_signatures(keyring_, manifest.target, commit_bytes, detached).in(subject));
  const unsigned wanted = wanted_signatures(facts_, manifest.target);
  if (check.signers.size() < wanted) return too_few(check, manifest.target, keyring_, wanted).in(subject);

  std::vector<std::string> warnings = keyring_.warnings;
  HC_TRY(check_model(manifest, facts_).in(subject));
  HC_TRY(check_sequence(manifest, facts_).in(subject));
  HC_TRY(check_requirements(manifest, facts_).in(subject));
  HC_TRY(check_time(manifest, facts_, warnings).in(subject));
  return Verdict{VerifiedPayload(expected), std::move(manifest), std::move(check.signers), std::move(warnings)};
}

}  // namespace hc
