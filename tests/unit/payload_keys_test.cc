#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstdlib>
#include <string>

#include "engine/payload/keys.h"
#include "engine/payload/signature.h"
#include "tests/unit/payload_testing.h"

namespace hc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_payload::TempDir;

// Test 1 and 2 of RFC 8032, section 7.1.
constexpr const char* kRfcPublic = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
constexpr const char* kRfcSignature =
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2465"
    "5141438e7a100b";

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::strtol(std::string(hex.substr(i, 2)).c_str(), nullptr, 16));
  return bytes;
}

int run(const std::string& command) { return std::system(command.c_str()); }

TEST(Keys, AgreeWithRfc8032) {
  EXPECT_TRUE(signature_is_good(from_hex(kRfcPublic), "", from_hex(kRfcSignature)));
  EXPECT_FALSE(signature_is_good(from_hex(kRfcPublic), "x", from_hex(kRfcSignature)));
}

TEST(Keys, SignAndVerify) {
  const PrivateKey key = PrivateKey::generate().value();
  const PrivateKey other = PrivateKey::generate().value();
  const std::string signature = key.sign("the bytes").value();
  EXPECT_EQ(signature.size(), kSignatureSize);
  EXPECT_EQ(key.sign("the bytes").value(), signature);
  EXPECT_TRUE(signature_is_good(key.public_raw(), "the bytes", signature));
  EXPECT_FALSE(signature_is_good(key.public_raw(), "the byte", signature));
  EXPECT_FALSE(signature_is_good(other.public_raw(), "the bytes", signature));
}

TEST(Keys, NoMalformedKeyOrSignatureIsGood) {
  const PrivateKey key = PrivateKey::generate().value();
  const std::string signature = key.sign("x").value();
  EXPECT_FALSE(signature_is_good("", "x", signature));
  EXPECT_FALSE(signature_is_good(key.public_raw() + "a", "x", signature));
  EXPECT_FALSE(signature_is_good(key.public_raw(), "x", ""));
  EXPECT_FALSE(signature_is_good(key.public_raw(), "x", signature + "a"));
  EXPECT_FALSE(signature_is_good(std::string(32, '\xff'), "x", signature));
  for (std::size_t bit = 0; bit < signature.size() * 8; ++bit) {
    std::string flipped = signature;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(signature_is_good(key.public_raw(), "x", flipped)) << bit;
  }
}

TEST(Keys, PrivateFileIsSafeAndReadBack) {
  const TempDir dir;
  const fs::path file = dir.path() / "release.key";
  const PrivateKey key = PrivateKey::generate().value();
  ASSERT_TRUE(key.save(file));
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  const auto loaded = PrivateKey::load(file);
  ASSERT_TRUE(loaded) << loaded.error().text();
  EXPECT_EQ(loaded->public_raw(), key.public_raw());
  EXPECT_EQ(loaded->sign("x").value(), key.sign("x").value());
}

TEST(Keys, NoFileIsEverOverwritten) {
  const TempDir dir;
  const fs::path file = dir.path() / "release.key";
  const PrivateKey key = PrivateKey::generate().value();
  ASSERT_TRUE(key.save(file));
  const Status again = PrivateKey::generate().value().save(file);
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().text(), HasSubstr("never overwritten"));
  EXPECT_EQ(PrivateKey::load(file)->public_raw(), key.public_raw());
}

TEST(Keys, OtherFilesAreRefused) {
  const TempDir dir;
  const auto refusal = [](const fs::path& file) {
    const auto key = PrivateKey::load(file);
    return key ? "accepted" : key.error().text();
  };
  EXPECT_THAT(refusal(dir.path() / "none"), HasSubstr("No such file"));
  ASSERT_TRUE(write_atomically(dir.path() / "junk", "junk"));
  EXPECT_THAT(refusal(dir.path() / "junk"), HasSubstr("no unencrypted private key"));

  const std::string rsa = (dir.path() / "rsa").string();
  ASSERT_EQ(run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out " + rsa + " 2>/dev/null"), 0);
  EXPECT_THAT(refusal(rsa), HasSubstr("another kind"));

  const std::string locked = (dir.path() / "locked").string();
  ASSERT_EQ(run("openssl genpkey -algorithm ed25519 -aes256 -pass pass:secret -out " + locked + " 2>/dev/null"), 0);
  EXPECT_THAT(refusal(locked), HasSubstr("no unencrypted private key"));
}

TEST(Keys, OpensslKeysWork) {
  const TempDir dir;
  const std::string file = (dir.path() / "key").string();
  ASSERT_EQ(run("openssl genpkey -algorithm ed25519 -out " + file), 0);
  EXPECT_TRUE(PrivateKey::load(file));
}

TEST(PublicKeyFile, IsReadAsItWasWritten) {
  const PublicKey key{PrivateKey::generate().value().public_raw(), {"os", "ptz-*"}};
  const auto read = PublicKey::parse(key.to_text());
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->raw, key.raw);
  EXPECT_THAT(read->targets, ElementsAre("os", "ptz-*"));
}

TEST(PublicKeyFile, OneBareLineIsUpstreamsForm) {
  const auto read = PublicKey::parse("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n");
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->raw, from_hex(kRfcPublic));
  EXPECT_THAT(read->targets, ElementsAre("*"));
}

TEST(PublicKeyFile, IsStrict) {
  const std::string good = "public=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n";
  for (const std::string& text :
       {std::string(), std::string("AAAA"), std::string("not base64 at all!"), "[key]\n" + good,
        std::string("[key]\ntargets=os;\n"), "[key]\n" + good + "targets=;\n", "[key]\n" + good + "target=os;\n",
        "[key]\n" + good + "targets=os;\nx=1\n", "[key]\n" + good + "targets=os;\n[more]\n",
        "[keys]\n" + good + "targets=os;\n",
        std::string("[key]\npublic=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo\ntargets=os;\n"),
        std::string("[key]\npublic=11qY*AYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\ntargets=os;\n"),
        std::string("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo= extra"), std::string(1000, '\0')}) {
    const auto key = PublicKey::parse(text);
    ASSERT_FALSE(key) << text;
    EXPECT_EQ(key.error().code(), Code::invalid);
  }
}

}  // namespace
}  // namespace hc
