#include <gmock/gmock.h>

#include <cstdlib>
#include <string>

#include "engine/payload/keys.h"
#include "engine/payload/signature.h"
#include "engine/payload/trust.h"
#include "tests/unit/payload_testing.h"

namespace hc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_payload::commit_for;
using testing_payload::sample_manifest;
using testing_payload::TempDir;

constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kBuilt = 1'700'000'000;

// A node and what signs for it.
class Trust : public ::testing::Test {
 protected:
  Trust() {
    keyring_.keys = {{"release", release_.public_raw(), {"os", "ptz-*"}, {}},
                     {"second", second_.public_raw(), {"*"}, {}},
                     {"camera", camera_.public_raw(), {"ptz-*"}, {}}};
    facts_.model = "wsn-2";
    facts_.now = kBuilt + kDay;
    manifest_ = sample_manifest();
  }

  static std::string sign(const std::string& commit, const std::vector<const PrivateKey*>& keys) {
    std::string detached;
    for (const PrivateKey* key : keys) detached = append_signature(detached, key->sign(commit).value()).value();
    return detached;
  }

  Result<Verdict> verdict(const std::vector<const PrivateKey*>& keys) const {
    const std::string commit = commit_for(manifest_);
    return TrustPolicy(keyring_, facts_).verify(commit_of(commit), commit, sign(commit, keys));
  }
  Result<Verdict> verdict() const { return verdict({&release_}); }

  // "code: text"
  std::string refusal(const std::vector<const PrivateKey*>& keys) const { return words(verdict(keys)); }
  std::string refusal() const { return refusal({&release_}); }
  static std::string words(const Result<Verdict>& verdict) {
    if (verdict) return "accepted";
    EXPECT_FALSE(verdict.error().hint().empty()) << verdict.error().text();
    return std::string(name(verdict.error().code())) + ": " + verdict.error().text();
  }

  const PrivateKey release_ = PrivateKey::generate().value();
  const PrivateKey second_ = PrivateKey::generate().value();
  const PrivateKey camera_ = PrivateKey::generate().value();
  const PrivateKey stranger_ = PrivateKey::generate().value();
  Keyring keyring_;
  TrustFacts facts_;
  Manifest manifest_;
};

TEST_F(Trust, GoodPayloadIsVerified) {
  const auto good = verdict();
  ASSERT_TRUE(good) << good.error().text();
  EXPECT_EQ(good->payload.commit(), commit_of(commit_for(manifest_)));
  EXPECT_EQ(good->manifest.version.text(), "2.4.0");
  EXPECT_THAT(good->signers, ElementsAre("release"));
  EXPECT_THAT(good->warnings, IsEmpty());
}

TEST_F(Trust, OtherBytesThanAskedFor) {
  const std::string commit = commit_for(manifest_);
  const auto other = Commit::parse(std::string(64, '0')).value();
  EXPECT_THAT(words(TrustPolicy(keyring_, facts_).verify(other, commit, sign(commit, {&release_}))),
              HasSubstr("untrusted: payload 000000000000 is refused: the commit object that came is another one"));
}

TEST_F(Trust, BlockedCommit) {
  keyring_.blocked.insert(commit_of(commit_for(manifest_)));
  facts_.in_history = true;
  EXPECT_THAT(refusal(), HasSubstr("this version is blocked"));
}

TEST_F(Trust, ForeignCommit) {
  const Variant empty(g_variant_ref_sink(g_variant_new("a{sv}", nullptr)));
  const std::string commit = testing_payload::commit_with(empty.get());
  EXPECT_THAT(words(TrustPolicy(keyring_, facts_).verify(commit_of(commit), commit, sign(commit, {&release_}))),
              HasSubstr("invalid: "));
}

TEST_F(Trust, Unsigned) { EXPECT_THAT(refusal({}), HasSubstr("untrusted: ")); }

TEST_F(Trust, EachWayToLackASignatureHasItsOwnWords) {
  EXPECT_THAT(refusal({}), HasSubstr("it is not signed"));
  EXPECT_THAT(refusal({&stranger_}), HasSubstr("none of its 1 signature(s) was made by a key that this node trusts"));
  EXPECT_THAT(refusal({&camera_}), HasSubstr("it is signed by camera (for ptz-*), which may not sign for `os`"));
  keyring_.revoked.insert(release_.public_raw());
  EXPECT_THAT(refusal(), HasSubstr("it is signed by the revoked key release only"));
  keyring_.keys.clear();
  EXPECT_THAT(refusal({&stranger_}), HasSubstr("this node trusts no key at all"));
}

TEST_F(Trust, SignatureOfAnotherCommitCountsNothing) {
  const std::string commit = commit_for(manifest_);
  Manifest other = manifest_;
  other.sequence = 13;
  const std::string detached = sign(commit_for(other), {&release_});
  EXPECT_THAT(words(TrustPolicy(keyring_, facts_).verify(commit_of(commit), commit, detached)),
              HasSubstr("none of its 1 signature(s)"));
}

TEST_F(Trust, MalformedSignatures) {
  const std::string commit = commit_for(manifest_);
  EXPECT_THAT(words(TrustPolicy(keyring_, facts_).verify(commit_of(commit), commit, "<html>")),
              HasSubstr("untrusted: payload " + commit_of(commit).brief() +
                        " is refused: what stands beside it as signatures is malformed"));
}

TEST_F(Trust, KeyForItsTargetIsAllowed) {
  manifest_.kind = PayloadKind::peripheral;
  manifest_.target = Target::parse("ptz-camera").value();
  EXPECT_THAT(verdict({&camera_})->signers, ElementsAre("camera"));
}

TEST_F(Trust, ARevokedKeyNeverCountsButOthersStillDo) {
  keyring_.revoked.insert(release_.public_raw());
  EXPECT_THAT(verdict({&release_, &second_})->signers, ElementsAre("second"));
}

TEST_F(Trust, ThresholdWantsDifferentKeys) {
  facts_.thresholds = {{"*", 1}, {"os", 2}};
  EXPECT_THAT(refusal({&release_}),
              HasSubstr("it has 1 good signature(s) (release), but `os` wants 2 by different keys"));
  EXPECT_THAT(refusal({&release_, &release_, &camera_, &stranger_}), HasSubstr("wants 2 by different keys"));
  EXPECT_THAT(verdict({&release_, &second_})->signers, ElementsAre("release", "second"));
}

TEST_F(Trust, OneKeyUnderTwoNamesCountsOnce) {
  keyring_.keys.push_back({"release-copy", release_.public_raw(), {"*"}, {}});
  facts_.thresholds = {{"os", 2}};
  EXPECT_THAT(refusal({&release_}), HasSubstr("wants 2 by different keys"));
}

TEST_F(Trust, OneSignatureListedTwiceCountsOnce) {
  facts_.thresholds = {{"os", 2}};
  const std::string commit = commit_for(manifest_);
  const std::string signature = release_.sign(commit).value();
  GVariantBuilder list;
  g_variant_builder_init(&list, G_VARIANT_TYPE("aay"));
  for (int i = 0; i < 2; ++i) g_variant_builder_add_value(&list, testing_payload::byte_array(signature));
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{sv}"));
  g_variant_builder_add(&builder, "{sv}", "ostree.sign.ed25519", g_variant_builder_end(&list));
  const std::string detached = testing_payload::serialized(g_variant_builder_end(&builder));
  EXPECT_THAT(words(TrustPolicy(keyring_, facts_).verify(commit_of(commit), commit, detached)),
              HasSubstr("wants 2 by different keys"));
}

TEST_F(Trust, AThresholdOfZeroStillWantsOne) {
  facts_.thresholds = {{"*", 0}};
  EXPECT_THAT(refusal({}), HasSubstr("it is not signed"));
}

TEST_F(Trust, Model) {
  manifest_.compatible = {"dell-*", "wsn-?"};
  EXPECT_THAT(refusal(), HasSubstr("invalid: "));
  EXPECT_THAT(refusal(), HasSubstr("it is for the models dell-*, wsn-?; this node is a `wsn-2`"));
  manifest_.compatible = {"dell-*", "wsn-*"};
  EXPECT_TRUE(verdict());
  facts_.model.clear();
  EXPECT_THAT(refusal(), HasSubstr("this node does not know its own model"));
  manifest_.compatible.clear();
  EXPECT_TRUE(verdict());
}

TEST_F(Trust, Downgrade) {
  facts_.newest_sequence = 13;
  EXPECT_THAT(refusal(), HasSubstr("untrusted: "));
  EXPECT_THAT(refusal(), HasSubstr("it is a downgrade: its sequence is 12, this node has confirmed 13 already"));
  facts_.in_history = true;
  EXPECT_TRUE(verdict());
  facts_.in_history = false;
  facts_.newest_sequence = 12;
  EXPECT_TRUE(verdict());
}

TEST_F(Trust, Requirements) {
  manifest_.requires_versions = {{"network-switch", "1.10"}};
  EXPECT_THAT(refusal(), HasSubstr("invalid: "));
  EXPECT_THAT(refusal(),
              HasSubstr("requires `network-switch` at version 1.10 or later, which this node does not have"));
  facts_.versions = {{"network-switch", "1.9"}};
  EXPECT_THAT(refusal(), HasSubstr("version 1.10 or later; this node has `1.9`"));
  facts_.versions = {{"network-switch", "not a version"}};
  EXPECT_THAT(refusal(), HasSubstr("this node has `not a version`"));
  facts_.versions = {{"network-switch", "1.10"}};
  EXPECT_TRUE(verdict());
}

TEST_F(Trust, Expiry) {
  manifest_.expires = kBuilt + 100 * kDay;
  EXPECT_THAT(verdict()->warnings, IsEmpty());
  facts_.now = kBuilt + 98 * kDay;
  EXPECT_THAT(verdict()->warnings, ElementsAre("it expires in 2 days"));
  facts_.now = kBuilt + 100 * kDay;
  EXPECT_THAT(refusal(), HasSubstr("untrusted: "));
  EXPECT_THAT(refusal(),
              HasSubstr("it expired at 2024-02-22T22:13:20Z; this machine's clock says 2024-02-22T22:13:20Z"));
  facts_.in_history = true;
  EXPECT_THAT(verdict()->warnings, ElementsAre(HasSubstr("this node has run it before")));
}

TEST_F(Trust, WrongClockIsNotABadSignature) {
  manifest_.expires = kBuilt + 100 * kDay;
  for (const std::int64_t now : {std::int64_t{0}, std::int64_t{946'684'800}, kBuilt - 2 * kDay}) {
    facts_.now = now;
    EXPECT_THAT(refusal(), HasSubstr("unavailable: "));
    EXPECT_THAT(refusal(),
                HasSubstr("but the payload was built at 2023-11-14T22:13:20Z: with a wrong clock its expiry"));
  }
  facts_.now = 0;
  EXPECT_THAT(refusal(), HasSubstr("this machine's clock says 1970-01-01T00:00:00Z"));
  facts_.in_history = true;
  EXPECT_TRUE(verdict());
}

TEST_F(Trust, WrongClockDoesNotMatterWithoutExpiry) {
  facts_.now = 0;
  EXPECT_THAT(verdict()->warnings, ElementsAre(HasSubstr("clock says 1970-01-01T00:00:00Z")));
}

TEST_F(Trust, BadSignatureIsSaidToBeBadWhateverTheClock) {
  manifest_.expires = kBuilt + 100 * kDay;
  facts_.now = 0;
  EXPECT_THAT(refusal({&stranger_}), HasSubstr("untrusted: "));
}

TEST_F(Trust, ATimeThatHasSurelyPassedExpiresEvenWithAWrongClock) {
  manifest_.expires = kBuilt + 100 * kDay;
  facts_.known_good_time = kBuilt + 200 * kDay;
  facts_.now = 0;
  EXPECT_THAT(refusal(), HasSubstr("untrusted: "));
  facts_.known_good_time = kBuilt + 50 * kDay;
  EXPECT_THAT(refusal(), HasSubstr("this node has confirmed a version built at 2024-01-03T22:13:20Z"));
}

TEST_F(Trust, SlightlySlowClockIsForgiven) {
  manifest_.expires = kBuilt + 100 * kDay;
  facts_.now = kBuilt - kDay / 2;
  EXPECT_THAT(verdict()->warnings, IsEmpty());
}

TEST_F(Trust, NoFlippedBitIsAccepted) {
  const std::string commit = commit_for(manifest_);
  const std::string detached = sign(commit, {&release_});
  const TrustPolicy policy(keyring_, facts_);
  ASSERT_TRUE(policy.verify(commit_of(commit), commit, detached));
  for (std::size_t at = 0; at < commit.size(); ++at) {
    std::string flipped = commit;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
    EXPECT_FALSE(policy.verify(commit_of(commit), flipped, detached)) << at;
    EXPECT_FALSE(policy.verify(commit_of(flipped), flipped, detached)) << at;
  }
}

TEST_F(Trust, NoFlippedBitOfTheSignatureIsAccepted) {
  const std::string commit = commit_for(manifest_);
  const std::string signature = release_.sign(commit).value();
  const std::string detached = append_signature("", signature).value();
  const std::size_t start = detached.find(signature);
  ASSERT_NE(start, std::string::npos);
  const TrustPolicy policy(keyring_, facts_);
  for (std::size_t at = 0; at < detached.size(); ++at) {
    std::string flipped = detached;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
    const auto verdict = policy.verify(commit_of(commit), commit, flipped);
    if (at >= start && at < start + kSignatureSize) {
      EXPECT_FALSE(verdict) << at;
    }
  }
  for (std::size_t size = 0; size < detached.size(); ++size)
    EXPECT_FALSE(policy.verify(commit_of(commit), commit, detached.substr(0, size))) << size;
}

TEST_F(Trust, OpensslAgrees) {
  const TempDir dir;
  const std::string commit = commit_for(manifest_);
  ASSERT_TRUE(release_.save(dir.path() / "key"));
  ASSERT_TRUE(write_atomically(dir.path() / "commit", commit));
  ASSERT_TRUE(write_atomically(dir.path() / "signature", release_.sign(commit).value()));
  const std::string at = "cd " + dir.path().string() + " && ";
  ASSERT_EQ(std::system((at + "openssl pkey -in key -pubout -out public").c_str()), 0);
  const std::string verify = "openssl pkeyutl -verify -pubin -inkey public -rawin -in commit -sigfile ";
  EXPECT_EQ(std::system((at + verify + "signature >/dev/null").c_str()), 0);
  // And the other way round: what openssl signs, we verify.
  ASSERT_EQ(std::system((at + "openssl pkeyutl -sign -inkey key -rawin -in commit -out theirs").c_str()), 0);
  const std::string detached = append_signature("", read_file(dir.path() / "theirs").value()).value();
  EXPECT_TRUE(TrustPolicy(keyring_, facts_).verify(commit_of(commit), commit, detached));
}

TEST_F(Trust, KeyringWarningsReachTheVerdict) {
  keyring_.warnings = {"passed over: x"};
  EXPECT_THAT(verdict()->warnings, ElementsAre("passed over: x"));
}

}  // namespace
}  // namespace hc
