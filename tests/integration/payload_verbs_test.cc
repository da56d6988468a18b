#include <sys/stat.h>

#include "tests/integration/payload_tool.h"

namespace hc {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// keygen, sign, check, show and what all verbs have in common.
class PayloadVerbs : public PayloadTool {
 protected:
  // A signed peripheral in repo.
  std::string build() {
    make_key("release");
    make_peripheral_tree("tree");
    return build_peripheral("tree", "3")["commit"];
  }
  void trust(const std::string& key, const std::string& directory = "trust.d") const {
    ASSERT_TRUE(make_dirs(dir_ / "node" / directory));
    fs::copy(dir_ / (key + ".pub"), dir_ / "node" / directory / (key + ".pub"));
  }
};

TEST_F(PayloadVerbs, KeygenMakesAPair) {
  const Json made = hc_json({"keygen", "release", "--targets", "os,ptz-*"});
  EXPECT_EQ(made["private"], "release.key");
  struct stat info {};
  ASSERT_EQ(::stat((dir_ / "release.key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_THAT(read_file(dir_ / "release.pub").value(), HasSubstr("\ntargets=os;ptz-*;\n"));
  EXPECT_EQ(run({"openssl", "pkey", "-in", "release.key", "-noout"}).status, 0);
}

TEST_F(PayloadVerbs, KeygenOverwritesNothing) {
  make_key("release");
  const std::string key = read_file(dir_ / "release.key").value();
  EXPECT_THAT(hc_json({"keygen", "release"}, 3)["error"]["text"].get<std::string>(), HasSubstr("never overwritten"));
  fs::remove(dir_ / "release.pub");
  EXPECT_THAT(hc_json({"keygen", "release"}, 3)["error"]["text"].get<std::string>(), HasSubstr("never overwritten"));
  EXPECT_EQ(read_file(dir_ / "release.key").value(), key);
  EXPECT_FALSE(fs::exists(dir_ / "release.pub"));
}

TEST_F(PayloadVerbs, KeygenChecksTheTargets) {
  hc_json({"keygen", "release", "--targets", "os,P;X"}, 3);
  EXPECT_FALSE(fs::exists(dir_ / "release.key"));
}

TEST_F(PayloadVerbs, SignAddsSignaturesOfOtherKeys) {
  const std::string commit = build();
  make_key("second");
  EXPECT_EQ(hc_json({"show", "repo", commit})["signatures"], 1);
  hc_json({"sign", "repo", "ptz-camera/stable", "--key", "second.key"});
  EXPECT_EQ(hc_json({"show", "repo", commit})["signatures"], 2);
  hc_json({"sign", "repo", commit, "--key", "second.key", "--key", "release.key"});
  EXPECT_EQ(hc_json({"show", "repo", commit})["signatures"], 2);
  ostree({"fsck", "-q"});
}

TEST_F(PayloadVerbs, SignRefusesWhatIsNoPayload) {
  make_key("release");
  make_peripheral_tree("tree");
  ostree({"init", "--mode=archive"});
  ostree({"commit", "-b", "plain", "tree"});
  EXPECT_THAT(hc_json({"sign", "repo", "plain", "--key", "release.key"}, 3)["error"]["text"].get<std::string>(),
              HasSubstr("no Honeycomb payload"));
  ostree({"show", "plain", "--print-detached-metadata-key=ostree.sign.ed25519"}, 1);
}

TEST_F(PayloadVerbs, ShowTellsTheManifest) {
  const std::string commit = build();
  const CommandResult shown = hc({"show", "repo", "ptz-camera/1.2.0"});
  EXPECT_EQ(shown.status, 0);
  EXPECT_THAT(shown.output, HasSubstr("target      ptz-camera\nversion     1.2.0\nsequence    3\n"));
  EXPECT_THAT(shown.output, HasSubstr("commit      " + commit));
  EXPECT_THAT(shown.output, HasSubstr("built       2023-11-14T22:13:20Z"));
  EXPECT_EQ(hc_json({"show", "repo", commit})["sequence"], 3);
}

TEST_F(PayloadVerbs, ShowNamesTheSigners) {
  build();
  make_key("narrow", "os");
  make_key("old");
  for (const char* key : {"narrow.key", "old.key"})
    ASSERT_EQ(hc({"sign", "repo", "ptz-camera/stable", "--key", key}).status, 0);
  for (const char* key : {"release", "narrow", "old"}) trust(key);
  trust("old", "revoked.d");
  const Json shown = hc_json({"show", "repo", "ptz-camera/stable", "--keyring", "node"});
  EXPECT_EQ(shown["signers"], Json({"release"}));
  EXPECT_EQ(shown["not_allowed"], Json({"narrow (for os)"}));
  EXPECT_EQ(shown["revoked"], Json({"old"}));
  const CommandResult text = hc({"show", "repo", "ptz-camera/stable", "--keyring", "node"});
  EXPECT_THAT(text.output, HasSubstr("signed by   release\nnot allowed narrow (for os)\nrevoked     old\n"));
}

TEST_F(PayloadVerbs, UnknownNamesListWhatThereIs) {
  build();
  const Json error = hc_json({"show", "repo", "ptz-camera/9"}, 3)["error"];
  EXPECT_THAT(error["text"].get<std::string>(), HasSubstr("there is no ref `ptz-camera/9`"));
  EXPECT_EQ(error["hint"], "it has: ptz-camera/1.2.0, ptz-camera/stable");
  EXPECT_THAT(hc_json({"show", "repo", std::string(64, '0')}, 3)["error"]["text"].get<std::string>(),
              HasSubstr("there is no commit 000000000000 in this repository"));
  hc_json({"show", "repo", "../../etc/passwd"}, 3);
}

TEST_F(PayloadVerbs, CheckAcceptsGoodTrees) {
  make_peripheral_tree("tree");
  make_os_tree("os");
  EXPECT_EQ(hc_json({"check", "tree"})["ok"], true);
  EXPECT_EQ(hc_json({"check", "os"})["ok"], true);
  EXPECT_THAT(hc({"check", "tree"}).output, HasSubstr("tree: good\n"));
}

TEST_F(PayloadVerbs, CheckListsEverythingThatIsWrong) {
  make_peripheral_tree("tree");
  put("tree/metadata.json", metadata("1.2.0", ",\n  \"retry_install\": 3"));
  fs::remove(dir_ / "tree/hc_verify_upgrade.sh");
  put("tree/hc_install_upgrade.sh", kHook, 0644);
  const Json checked = hc_json({"check", "tree"}, 3);
  EXPECT_EQ(checked["ok"], false);
  ASSERT_EQ(checked["findings"].size(), 3u) << checked.dump();
  EXPECT_EQ(checked["findings"][0]["where"], "metadata.json");
  EXPECT_THAT(checked["findings"][0]["text"].get<std::string>(),
              HasSubstr("line 7, column 3 (byte 137): the key `retry_install` stands twice"));
  EXPECT_EQ(checked["findings"][1]["where"], "hc_install_upgrade.sh");
  EXPECT_EQ(checked["findings"][2]["where"], "hc_verify_upgrade.sh");
  const CommandResult text = hc({"check", "tree"});
  EXPECT_EQ(text.status, 3);
  EXPECT_THAT(text.output, HasSubstr("error: hc_verify_upgrade.sh: is missing"));
  EXPECT_THAT(text.output, HasSubstr("tree: 3 errors\n"));
}

TEST_F(PayloadVerbs, CheckRunsShellcheck) {
  make_peripheral_tree("tree");
  put("tree/hc_install_upgrade.sh", "#!/bin/sh\ncd $1\nexit 0\n", 0755);
  const Json warned = hc_json({"check", "tree"});
  EXPECT_THAT(warned["findings"].dump(), HasSubstr("hc_install_upgrade.sh:2:1"));
  put("tree/hc_install_upgrade.sh", "#!/bin/sh\nif true; then\n", 0755);
  const Json broken = hc_json({"check", "tree"}, 3);
  EXPECT_EQ(broken["findings"][0]["level"], "error");
}

TEST_F(PayloadVerbs, CheckWarnsOfWhatEveryNodeWouldShare) {
  make_os_tree("os");
  put("os/etc/ssh/ssh_host_ed25519_key", "secret", 0600);
  const std::string findings = hc_json({"check", "os"})["findings"].dump();
  EXPECT_THAT(findings, HasSubstr("etc/ssh/ssh_host_ed25519_key"));
  EXPECT_THAT(findings, HasSubstr("etc/machine-id"));
}

TEST_F(PayloadVerbs, CheckOfOtherPlaces) {
  ASSERT_TRUE(make_dirs(dir_ / "empty"));
  EXPECT_THAT(hc_json({"check", "empty"}, 3)["findings"].dump(), HasSubstr("is no payload's tree"));
  EXPECT_THAT(hc_json({"check", "nowhere"}, 3)["error"]["text"].get<std::string>(), HasSubstr("is no directory"));
}

TEST_F(PayloadVerbs, CheckReadsEveryObjectOfAPayload) {
  build();
  EXPECT_EQ(hc_json({"check", "repo", "ptz-camera/stable"})["ok"], true);
  const std::string list = ostree({"ls", "-C", "ptz-camera/stable", "/data/zoom.conf"});
  const std::string object = list.substr(list.find(" /") - 64, 64);
  const fs::path file = dir_ / "repo/objects" / object.substr(0, 2) / (object.substr(2) + ".filez");
  std::string bytes = read_file(file).value();
  bytes[bytes.size() - 3] = static_cast<char>(bytes[bytes.size() - 3] ^ 1);
  ASSERT_TRUE(write_atomically(file, bytes));
  const Json checked = hc_json({"check", "repo", "ptz-camera/stable"}, 3);
  EXPECT_EQ(checked["findings"][0]["where"], "objects");
}

TEST_F(PayloadVerbs, CheckMissesASignature) {
  const std::string commit = build();
  fs::remove(dir_ / "repo/objects" / commit.substr(0, 2) / (commit.substr(2) + ".commitmeta"));
  const Json checked = hc_json({"check", "repo", commit}, 3);
  EXPECT_EQ(checked["findings"][0]["where"], "signatures");
}

TEST_F(PayloadVerbs, UsageIsExplained) {
  EXPECT_EQ(hc({}).status, 2);
  EXPECT_EQ(hc({"build"}).status, 2);
  EXPECT_EQ(hc({"frobnicate"}).status, 2);
  EXPECT_EQ(hc({"build", "tree", "--sequence", "0", "--repo", "r", "--key", "k"}).status, 2);
  EXPECT_EQ(hc({"build", "tree", "--sequence", "-1", "--repo", "r", "--key", "k"}).status, 2);
  const CommandResult help = hc({"--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_THAT(help.output, HasSubstr("Exit status: 0 done"));
  EXPECT_THAT(hc({"build", "--help"}).output, HasSubstr("bit for bit"));
  EXPECT_THAT(hc({"--version"}).output, HasSubstr("hc-payload "));
}

TEST_F(PayloadVerbs, ErrorsGoToStandardErrorWithAHint) {
  const CommandResult result = hc({"show", "nowhere", "os/1"});
  EXPECT_THAT(result.errors, HasSubstr("error: "));
  EXPECT_THAT(result.errors, Not(HasSubstr("\x1b")));
  EXPECT_EQ(result.output, "");
  EXPECT_NE(result.status, 0);
}

}  // namespace
}  // namespace hc
