#include <gmock/gmock.h>
#include <stdlib.h>

#include "engine/base/process.h"
#include "engine/payload/trust.h"
#include "engine/upgrade/signed_archive.h"

namespace hc {
namespace {

using ::testing::HasSubstr;

// An archive and its signature as a node finds them, made by the real programs.
class SignedArchives : public ::testing::Test {
 protected:
  SignedArchives() {
    std::string pattern = fs::temp_directory_path() / "hc-archive-test-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
  }
  ~SignedArchives() override { static_cast<void>(remove_tree(dir_)); }

  void SetUp() override {
    make_archive("good", "a.tar.gz");
    run({HC_PAYLOAD_PROGRAM, "keygen", "release"});
    run({HC_PAYLOAD_PROGRAM, "sign-archive", "a.tar.gz", "--sequence", "7", "--key", "release.key"});
    run({HC_PAYLOAD_PROGRAM, "import", "a.tar.gz", "--sequence", "7", "--key", "release.key", "--repo", "built"});
  }
  std::string run(const std::vector<std::string>& words, int status = 0) const {
    CommandOptions options;
    options.directory = dir_;
    const auto done = run_command(words, options);
    EXPECT_TRUE(done) << done.error().text();
    if (done) {
      EXPECT_EQ(done->status, status) << done->output << done->errors;
    }
    return done ? done->output : std::string();
  }
  void make_archive(const std::string& kind, const std::string& name) const {
    run({"python3", "-B", HC_MAKE_ARCHIVE, kind, (dir_ / name).string()});
  }

  fs::path dir_;
};

TEST_F(SignedArchives, ItBecomesASourceWithTheVeryCommitThatWasSigned) {
  const auto opened = SignedArchive::open(dir_ / "a.tar.gz");
  ASSERT_TRUE(opened) << opened.error().text();
  EXPECT_EQ(opened->manifest.sequence, 7U);
  ASSERT_TRUE(make_dirs(dir_ / "node/trust.d"));
  fs::copy(dir_ / "release.pub", dir_ / "node/trust.d/release.pub");
  const TrustPolicy policy(Keyring::load({dir_ / "node"}).value(), TrustFacts{});
  const auto verdict = policy.verify(opened->commit, opened->object.bytes, opened->object.detached);
  ASSERT_TRUE(verdict) << verdict.error().text();

  for (int times = 0; times < 2; ++times) {
    const Status done = unpack_signed_archive(*opened, dir_ / "source", StopToken());
    ASSERT_TRUE(done) << done.error().text();
  }
  const std::string ref = run({"ostree", "--repo=source", "rev-parse", "ubiquiti-edgeswitch/1.0.0"});
  EXPECT_EQ(ref, opened->commit.hex() + "\n");
  EXPECT_EQ(ref, run({"ostree", "--repo=built", "rev-parse", "ubiquiti-edgeswitch/1.0.0"}));
  run({"ostree", "--repo=source", "fsck", "-q"});

  // A node's own repository is of another mode: there it is the same commit, too.
  auto node = Repository::create(dir_ / "bare", "bare-user");
  ASSERT_TRUE(node) << node.error().text();
  ASSERT_TRUE(node->put_commit(verdict->payload, opened->object));
  const Status pulled = node->pull((dir_ / "source").string(), verdict->payload, {}, {}, StopToken());
  ASSERT_TRUE(pulled) << pulled.error().text();
  EXPECT_TRUE(node->fsck(opened->commit, {}, StopToken()));
}

TEST_F(SignedArchives, AnotherArchiveUnderTheSameSignatureIsRefused) {
  const auto opened = SignedArchive::open(dir_ / "a.tar.gz");
  ASSERT_TRUE(opened) << opened.error().text();
  run({"sh", "-ec",
       "mkdir x; tar -xzf a.tar.gz -C x; echo '# more' >> x/hc_install_upgrade.sh; tar -czf a.tar.gz -C x ."});
  const Status done = unpack_signed_archive(*opened, dir_ / "source", StopToken());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Code::untrusted);
  EXPECT_THAT(done.error().text(), HasSubstr("a.tar.gz is not the archive that a.tar.gz.sig signs"));
  EXPECT_EQ(run({"ostree", "--repo=source", "refs"}), "");
  EXPECT_FALSE(Repository::open(dir_ / "source").value().has_commit(opened->commit).value());
}

TEST_F(SignedArchives, WhatIsMissingCutOrForeignIsSaid) {
  const auto refusal = [this](const std::string& content) {
    EXPECT_TRUE(write_atomically(dir_ / "a.tar.gz.sig", content));
    const auto opened = SignedArchive::open(dir_ / "a.tar.gz");
    return opened ? std::string("accepted") : opened.error().text();
  };
  const std::string good = read_file(dir_ / "a.tar.gz.sig").value();
  EXPECT_THAT(refusal(good.substr(0, good.size() / 2)), HasSubstr("a.tar.gz.sig: line"));
  EXPECT_THAT(refusal("{}"), HasSubstr("`format` is not 1"));
  EXPECT_THAT(refusal(R"({"format": 1, "commit": "aGk=", "signatures": []})"), HasSubstr("1 to 64"));
  EXPECT_THAT(refusal(R"({"format": 1, "commit": "a b", "signatures": []})"), HasSubstr("no base64"));
  EXPECT_THAT(refusal(R"({"format": 1, "commit": "aGk=", "signatures": ["aGk="]})"), HasSubstr("2 bytes instead"));
  EXPECT_EQ(refusal(good), "accepted");
  fs::remove(dir_ / "a.tar.gz.sig");
  const auto unsigned_archive = SignedArchive::open(dir_ / "a.tar.gz");
  ASSERT_FALSE(unsigned_archive);
  EXPECT_EQ(unsigned_archive.error().code(), Code::untrusted);
  EXPECT_THAT(unsigned_archive.error().hint(), HasSubstr("hc-payload sign-archive"));
}

TEST_F(SignedArchives, ATruncatedArchiveLeavesNothing) {
  const auto opened = SignedArchive::open(dir_ / "a.tar.gz");
  ASSERT_TRUE(opened) << opened.error().text();
  fs::resize_file(dir_ / "a.tar.gz", fs::file_size(dir_ / "a.tar.gz") / 2);
  const Status done = unpack_signed_archive(*opened, dir_ / "source", StopToken());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Code::invalid);
  EXPECT_FALSE(fs::exists(dir_ / ".source.hc-payload"));
}

}  // namespace
}  // namespace hc
