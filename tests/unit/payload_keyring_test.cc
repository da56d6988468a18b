#include <gmock/gmock.h>

#include <string>

#include "engine/payload/keys.h"
#include "engine/payload/trust.h"
#include "tests/unit/payload_testing.h"

namespace hc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using testing_payload::TempDir;

// /usr/lib/honeycomb and /etc/honeycomb of a node.
class KeyringFiles : public ::testing::Test {
 protected:
  void put(const fs::path& name, std::string_view content) const {
    ASSERT_TRUE(make_dirs((dir_.path() / name).parent_path()));
    ASSERT_TRUE(write_atomically(dir_.path() / name, content));
  }
  Result<Keyring> load() const { return Keyring::load({dir_.path() / "usr", dir_.path() / "etc"}); }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const TrustedKey& key : load().value().keys) names.push_back(key.name);
    return names;
  }
  static PublicKey fresh(std::vector<std::string> targets = {"*"}) {
    return {PrivateKey::generate().value().public_raw(), std::move(targets)};
  }

  TempDir dir_;
};

TEST_F(KeyringFiles, NoDirectoryIsNoKey) {
  const auto keyring = load();
  ASSERT_TRUE(keyring);
  EXPECT_THAT(keyring->keys, IsEmpty());
  EXPECT_THAT(keyring->warnings, IsEmpty());
}

TEST_F(KeyringFiles, EveryDirectoryCounts) {
  const PublicKey vendor = fresh({"os"});
  const PublicKey old = fresh();
  put("usr/trust.d/vendor.pub", vendor.to_text());
  put("etc/trust.d/site.pub", fresh().to_text());
  put("etc/trust.d/README", "not a key");
  put("etc/trust.d/.hidden.pub", "not a key");
  put("usr/revoked.d/old.pub", old.to_text());
  put("etc/blocked.d/list",
      "# bad releases\n" + std::string(64, 'a') + "  # the first\n\n" + std::string(64, 'b') + "\n");
  const Keyring keyring = load().value();
  ASSERT_EQ(keyring.keys.size(), 2u);
  EXPECT_THAT(names(), UnorderedElementsAre("vendor", "site"));
  EXPECT_EQ(keyring.keys[1].raw, vendor.raw);
  EXPECT_THAT(keyring.keys[1].targets, ElementsAre("os"));
  EXPECT_EQ(keyring.keys[1].file, dir_.path() / "usr/trust.d/vendor.pub");
  EXPECT_THAT(keyring.revoked, ElementsAre(old.raw));
  EXPECT_EQ(keyring.blocked.size(), 2u);
  EXPECT_THAT(keyring.warnings, IsEmpty());
}

TEST_F(KeyringFiles, LaterFileOfTheSameNameWins) {
  const PublicKey ours = fresh();
  put("usr/trust.d/release.pub", fresh().to_text());
  put("etc/trust.d/release.pub", ours.to_text());
  const Keyring keyring = load().value();
  ASSERT_EQ(keyring.keys.size(), 1u);
  EXPECT_EQ(keyring.keys[0].raw, ours.raw);
}

TEST_F(KeyringFiles, EmptyFileAndDevNullHide) {
  put("usr/trust.d/one.pub", fresh().to_text());
  put("usr/trust.d/two.pub", fresh().to_text());
  put("etc/trust.d/one.pub", "");
  ASSERT_TRUE(replace_symlink(dir_.path() / "etc/trust.d/two.pub", "/dev/null"));
  const Keyring keyring = load().value();
  EXPECT_THAT(keyring.keys, IsEmpty());
  EXPECT_THAT(keyring.warnings, IsEmpty());
}

TEST_F(KeyringFiles, OneBadFileIsAWarningOnly) {
  put("etc/trust.d/good.pub", fresh().to_text());
  put("etc/trust.d/bad.pub", "rubbish\n\x1b[2J");
  put("etc/trust.d/big.pub", std::string(100'000, 'x'));
  ASSERT_TRUE(make_dirs(dir_.path() / "etc/trust.d/dir.pub"));
  ASSERT_TRUE(replace_symlink(dir_.path() / "etc/trust.d/loop.pub", "loop.pub"));
  EXPECT_THAT(names(), ElementsAre("good"));
  const auto warnings = load().value().warnings;
  ASSERT_EQ(warnings.size(), 4u);
  EXPECT_THAT(warnings, ::testing::Contains(HasSubstr("etc/trust.d/bad.pub: ")));
  for (const std::string& warning : warnings) EXPECT_EQ(warning.find('\x1b'), std::string::npos);
}

TEST_F(KeyringFiles, GoodLinesOfABlockListCountBesideABadOne) {
  put("etc/blocked.d/list", std::string(64, 'a') + "\nrubbish\n" + std::string(64, 'b') + "\n");
  const Keyring keyring = load().value();
  EXPECT_EQ(keyring.blocked.size(), 2u);
  EXPECT_THAT(keyring.warnings, ElementsAre(HasSubstr("line 2: `rubbish` is no commit")));
}

TEST_F(KeyringFiles, ADirectoryThatCannotBeListedIsAFailure) {
  put("etc/revoked.d", "a file in its place");
  const auto keyring = load();
  ASSERT_FALSE(keyring);
  EXPECT_THAT(keyring.error().text(), HasSubstr("revoked.d"));
}

}  // namespace
}  // namespace hc
