#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "engine/payload/trust.h"
#include "tests/integration/payload_tool.h"

namespace hc {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// hc-payload build on real trees, read back with ostree itself.
class PayloadBuild : public PayloadTool {
 protected:
  void SetUp() override { make_key("release"); }

  // Everything about a tree that a build could have changed.
  std::string fingerprint(const std::string& tree) const {
    const CommandResult list =
        run({"sh", "-c",
             "cd \"$0\" && find . -printf '%p %y %m %U:%G %s %T@ %l\\n' | LC_ALL=C sort && find . "
             "-type f -exec sha256sum {} + | LC_ALL=C sort",
             tree});
    EXPECT_EQ(list.status, 0) << list.errors;
    return list.output;
  }

  // The words of a refused build that has left no ref behind.
  std::string refusal(std::vector<std::string> arguments) const {
    const std::string before = refs();
    const Json json = hc_json(std::move(arguments), 3);
    EXPECT_EQ(refs(), before);
    return json.contains("error") ? json["error"]["text"].get<std::string>() : "accepted";
  }
  std::string os_refusal() const { return refusal(os_arguments("tree", "1.0", "1")); }
  std::string peripheral_refusal(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"build", "tree", "--sequence", "1", "--repo", "repo", "--key", "release.key"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return refusal(std::move(arguments));
  }
};

TEST_F(PayloadBuild, OsTreeBecomesASignedBootablePayload) {
  make_os_tree("tree");
  const std::string before = fingerprint("tree");
  const Json built = build_os("tree", "2.4.0", "12");
  EXPECT_EQ(built["refs"], Json({"os/2.4.0", "os/stable"}));
  EXPECT_EQ(built["signed_by"], Json({"release"}));
  EXPECT_EQ(ostree({"rev-parse", "os/2.4.0"}), built["commit"].get<std::string>() + "\n");
  EXPECT_EQ(ostree({"rev-parse", "os/stable"}), built["commit"].get<std::string>() + "\n");
  ostree({"fsck", "-q"});
  EXPECT_EQ(ostree({"show", "os/stable", "--print-metadata-key=ostree.linux"}), "'6.1.0-9'\n");
  EXPECT_EQ(ostree({"show", "os/stable", "--print-metadata-key=ostree.bootable"}), "true\n");
  EXPECT_EQ(ostree({"show", "os/stable", "--print-metadata-key=honeycomb.sequence"}), "uint64 12\n");
  EXPECT_NE(ostree({"show", "os/stable", "--print-metadata-key=ostree.sizes"}), "");
  EXPECT_NE(ostree({"show", "os/stable", "--print-detached-metadata-key=ostree.sign.ed25519"}), "");

  EXPECT_EQ(fingerprint("tree"), before);
  EXPECT_FALSE(fs::exists(dir_ / ".tree.hc-payload"));
}

TEST_F(PayloadBuild, OsTreeIsLaidOutForOstree) {
  make_os_tree("tree");
  build_os("tree", "2.4.0", "12");
  const std::string list = ostree({"ls", "-R", "os/stable"});
  for (const char* line : {"/home -> var/home", "/root -> var/roothome", "/opt -> var/opt", "/ostree -> sysroot/ostree",
                           "/tmp -> sysroot/tmp", "/usr/local -> ../var/usrlocal", "/bin -> usr/bin", "/usr/etc/motd",
                           "/usr/etc/os-release -> ../usr/lib/os-release", "/sysroot\n"})
    EXPECT_THAT(list, HasSubstr(line));
  EXPECT_THAT(list, Not(HasSubstr(" /etc")));
  EXPECT_THAT(list, Not(HasSubstr("/var/lib")));
  EXPECT_THAT(list, Not(HasSubstr(".profile")));
  EXPECT_EQ(ostree({"cat", "os/stable", "/usr/etc/machine-id"}), "");
  EXPECT_EQ(ostree({"cat", "os/stable", "/usr/etc/motd"}), "hello\n");
}

TEST_F(PayloadBuild, ATreeThatIsLaidOutAlreadyStaysAsItIs) {
  make_os_tree("tree");
  const Json plain = build_os("tree", "2.4.0", "12");
  ostree({"checkout", "-U", "os/stable", "laid-out"});
  fs::rename(dir_ / "repo", dir_ / "first");
  EXPECT_EQ(build_os("laid-out", "2.4.0", "12")["commit"], plain["commit"]);
}

TEST_F(PayloadBuild, PeripheralTakesNameAndVersionFromItsMetadata) {
  make_peripheral_tree("tree");
  put("tree/metadata.json", metadata("1.2.0", ",\n  \"compatible\": [\"wsn-*\"],\n  \"requires\": {\"os\": \"2.0\"}"));
  const Json built = build_peripheral("tree", "3");
  EXPECT_EQ(built["target"], "ptz-camera");
  EXPECT_EQ(built["version"], "1.2.0");
  EXPECT_EQ(built["kind"], "peripheral");
  EXPECT_EQ(built["compatible"], Json({"wsn-*"}));
  EXPECT_EQ(built["requires"]["os"], "2.0");
  EXPECT_EQ(built["refs"], Json({"ptz-camera/1.2.0", "ptz-camera/stable"}));
  ostree({"fsck", "-q"});
  EXPECT_THAT(ostree({"ls", "-R", "ptz-camera/stable"}), HasSubstr("-00755 0 0     17 /hc_install_upgrade.sh"));
  ostree({"show", "ptz-camera/stable", "--print-metadata-key=ostree.bootable"}, 1);
}

TEST_F(PayloadBuild, EveryOptionReachesTheManifest) {
  make_os_tree("tree");
  put("news.txt", "Zoom works again.\n");
  std::vector<std::string> arguments = os_arguments("tree", "2.4.0", "12");
  for (const char* more :
       {"--compatible", "wsn-*", "--compatible", "xr2", "--requires", "ptz-camera=1.2", "--requires",
        "network-switch=3", "--expires", "2099-01-31", "--changelog", "news.txt", "--branch", "testing"})
    arguments.emplace_back(more);
  const Json built = hc_json(arguments);
  EXPECT_EQ(built["compatible"], Json({"wsn-*", "xr2"}));
  EXPECT_EQ(built["requires"], Json({{"network-switch", "3"}, {"ptz-camera", "1.2"}}));
  EXPECT_EQ(built["expires"], 4'073'500'800);
  EXPECT_EQ(built["changelog"], "Zoom works again.\n");
  EXPECT_EQ(built["refs"], Json({"os/2.4.0", "os/testing"}));
  EXPECT_EQ(built["built_at"], 1'700'000'000);
}

TEST_F(PayloadBuild, TheNodeAcceptsWhatWasBuilt) {
  make_peripheral_tree("tree");
  const std::string hex = build_peripheral("tree", "3")["commit"];
  ASSERT_TRUE(make_dirs(dir_ / "node/trust.d"));
  fs::copy(dir_ / "release.pub", dir_ / "node/trust.d/release.pub");
  const fs::path object = dir_ / "repo/objects" / hex.substr(0, 2) / hex.substr(2);
  const std::string bytes = read_file(object.string() + ".commit").value();
  const std::string detached = read_file(object.string() + ".commitmeta").value();
  const TrustPolicy policy(Keyring::load({dir_ / "node"}).value(), TrustFacts{});
  const auto verdict = policy.verify(Commit::parse(hex).value(), bytes, detached);
  ASSERT_TRUE(verdict) << verdict.error().text();
  EXPECT_EQ(verdict->manifest.target.name(), "ptz-camera");
}

TEST_F(PayloadBuild, SamePeripheralGivesTheSameCommitBitForBit) {
  make_peripheral_tree("tree");
  const Json first = build_peripheral("tree", "3");
  EXPECT_EQ(build_peripheral("tree", "3")["commit"], first["commit"]);

  // Another order of files, umask, locale, owner, place and repository.
  put("elsewhere/copy/data/zoom.conf", "zoom=4\n", 0600);
  for (const char* hook : {"hc_verify_upgrade.sh", "hc_install_upgrade.sh", "hc_state_check.sh"})
    put("elsewhere/copy/" + std::string(hook), kHook, 0700);
  put("elsewhere/copy/metadata.json", metadata(), 0666);
  fs::permissions(dir_ / "elsewhere/copy/data", fs::perms::owner_all);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown((dir_ / "elsewhere/copy/metadata.json").c_str(), 4711, 4712), 0);
  }
  fs::rename(dir_ / "repo", dir_ / "first");
  environment_ = {{"LC_ALL", "C"}, {"TZ", "Asia/Kathmandu"}};
  const mode_t before = ::umask(077);
  const Json second = build_peripheral("elsewhere/copy", "3");
  ::umask(before);
  EXPECT_EQ(second["commit"], first["commit"]);
}

TEST_F(PayloadBuild, SameOsTreeGivesTheSameCommitBitForBit) {
  make_os_tree("tree");
  const Json first = build_os("tree", "2.4.0", "12");
  ASSERT_EQ(
      run({"sh", "-c", "mkdir other && cd tree && find . -print0 | LC_ALL=C sort -rz | cpio -0pdm --quiet ../other"})
          .status,
      0);
  fs::rename(dir_ / "repo", dir_ / "first");
  environment_ = {{"LC_ALL", "C"}};
  const mode_t before = ::umask(077);
  const Json second = build_os("other", "2.4.0", "12");
  ::umask(before);
  EXPECT_EQ(second["commit"], first["commit"]);
}

TEST_F(PayloadBuild, TimeOfTheBuildComesFromTheTreeOrTheEnvironment) {
  make_peripheral_tree("tree");
  const std::vector<std::string> arguments = {"build",  "tree", "--sequence", "1",
                                              "--repo", "repo", "--key",      "release.key"};
  for (const char* name :
       {"metadata.json", "hc_state_check.sh", "hc_install_upgrade.sh", "hc_verify_upgrade.sh", "data/zoom.conf"})
    ASSERT_EQ(run({"touch", "-d", "@1600000000", "tree/" + std::string(name)}).status, 0);
  ASSERT_EQ(run({"touch", "-d", "@1600000007", "tree/data/zoom.conf"}).status, 0);
  EXPECT_EQ(hc_json(arguments)["built_at"], 1'600'000'007);
  fs::rename(dir_ / "repo", dir_ / "first");
  environment_ = {{"SOURCE_DATE_EPOCH", "1650000000"}};
  EXPECT_EQ(hc_json(arguments)["built_at"], 1'650'000'000);
}

TEST_F(PayloadBuild, OwnersModesAndCapabilitiesOfAnOsAreKept) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can own files as somebody else";
  make_os_tree("tree");
  put("tree/usr/bin/ping", "x", 0755);
  put("tree/usr/bin/sudo", "y", 0755);
  ASSERT_EQ(::chown((dir_ / "tree/usr/bin/ping").c_str(), 12345, 23456), 0);
  ASSERT_EQ(::chmod((dir_ / "tree/usr/bin/sudo").c_str(), 04711), 0);
  ASSERT_TRUE(make_dirs(dir_ / "tree/usr/shared"));
  ASSERT_EQ(::chown((dir_ / "tree/usr/shared").c_str(), 5, 6), 0);
  ASSERT_EQ(::chmod((dir_ / "tree/usr/shared").c_str(), 01777), 0);
  const std::string capability("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  const bool has_capabilities = ::setxattr((dir_ / "tree/usr/bin/ping").c_str(), "security.capability",
                                           capability.data(), capability.size(), 0) == 0;
  const Json built = build_os("tree", "2.4.0", "12");
  const std::string list = ostree({"ls", "-R", "-X", "os/stable"});
  EXPECT_THAT(list, ::testing::ContainsRegex("-00755 12345 23456 +1 .*/usr/bin/ping"));
  EXPECT_THAT(list, ::testing::ContainsRegex("-04711 0 0 +1 .*/usr/bin/sudo"));
  EXPECT_THAT(list, ::testing::ContainsRegex("d01777 5 6 +0 .*/usr/shared"));
  if (has_capabilities) {
    EXPECT_THAT(list, HasSubstr("security.capability"));
  }
  EXPECT_THAT(built["findings"].dump(), HasSubstr("usr/bin/sudo"));
}

TEST_F(PayloadBuild, AVersionNeverChanges) {
  make_os_tree("tree");
  build_os("tree", "2.4.0", "12");
  put("tree/etc/motd", "changed\n");
  EXPECT_THAT(refusal(os_arguments("tree", "2.4.0", "12")), HasSubstr("in the repository already, with other content"));
  EXPECT_THAT(refusal(os_arguments("tree", "2.4.0", "13")), HasSubstr("in the repository already, with other content"));
  ostree({"refs", "--delete", "os/2.4.0"});
  ostree({"refs", "--delete", "os/stable"});
  EXPECT_EQ(build_os("tree", "2.4.0", "12")["version"], "2.4.0");
}

TEST_F(PayloadBuild, ASequenceAlwaysGrows) {
  make_os_tree("tree");
  build_os("tree", "2.4.0", "12");
  for (const char* sequence : {"11", "12"})
    EXPECT_THAT(refusal(os_arguments("tree", "2.5.0", sequence)),
                HasSubstr("is not larger than 12, which os/2.4.0 has"));
  build_os("tree", "2.5.0", "13");
  make_peripheral_tree("camera");
  EXPECT_EQ(build_peripheral("camera", "1")["target"], "ptz-camera");  // another target counts for itself
}

TEST_F(PayloadBuild, RepeatingAnOldBuildMovesNoBranchBack) {
  make_os_tree("tree");
  build_os("tree", "2.4.0", "12");
  const Json newer = build_os("tree", "2.5.0", "13");
  EXPECT_EQ(build_os("tree", "2.4.0", "12")["refs"], Json({"os/2.4.0"}));
  EXPECT_EQ(ostree({"rev-parse", "os/stable"}), newer["commit"].get<std::string>() + "\n");
}

TEST_F(PayloadBuild, ForeignRefsDoNotStandInTheWay) {
  make_os_tree("tree");
  ostree({"init", "--mode=archive"});
  ostree({"commit", "-b", "os/foreign", "tree"});
  EXPECT_EQ(build_os("tree", "2.4.0", "1")["version"], "2.4.0");
}

TEST_F(PayloadBuild, WhatAKilledBuildLeftIsRemoved) {
  make_os_tree("tree");
  put(".tree.hc-payload/tree/usr/junk", "junk");
  build_os("tree", "2.4.0", "12");
  EXPECT_THAT(ostree({"ls", "-R", "os/stable"}), Not(HasSubstr("junk")));
  EXPECT_FALSE(fs::exists(dir_ / ".tree.hc-payload"));
}

TEST_F(PayloadBuild, TwoBuildsOfOneTreeDoNotMix) {
  make_os_tree("tree");
  ASSERT_TRUE(make_dirs(dir_ / ".tree.hc-payload"));
  const UniqueFd other(::open((dir_ / ".tree.hc-payload").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(other.get(), LOCK_EX), 0);
  EXPECT_EQ(build_os("tree", "2.4.0", "12", 7)["error"]["code"], "busy");
  EXPECT_EQ(refs(), "");
}

TEST_F(PayloadBuild, OsTreeRulesAreEnforced) {
  make_os_tree("tree");
  const auto broken = [&](const std::string& command) {
    EXPECT_EQ(run({"sh", "-ec", "cp -a tree keep; cd tree; " + command}).status, 0);
    const std::string words = os_refusal();
    EXPECT_EQ(run({"sh", "-ec", "rm -rf tree; mv keep tree"}).status, 0);
    return words;
  };
  EXPECT_THAT(broken("rm usr/lib/os-release"), HasSubstr("usr/lib/os-release: is missing"));
  EXPECT_THAT(broken("echo NAME=x > usr/lib/os-release"), HasSubstr("says neither ID nor PRETTY_NAME"));
  EXPECT_THAT(broken("rm -r usr/lib/modules"), HasSubstr("usr/lib/modules: holds no kernel"));
  EXPECT_THAT(broken("cp -r usr/lib/modules/6.1.0-9 usr/lib/modules/6.1.0-10"), HasSubstr("holds 2 kernels"));
  EXPECT_THAT(broken("rm usr/lib/modules/*/vmlinuz"), HasSubstr("usr/lib/modules/6.1.0-9/vmlinuz: is missing"));
  EXPECT_THAT(broken("rm usr/lib/modules/*/initramfs.img"), HasSubstr("initramfs.img: is missing"));
  EXPECT_THAT(broken("echo 'Linux version 6.1.0-8 (x)' > usr/lib/modules/6.1.0-9/vmlinuz"),
              HasSubstr("is the kernel `6.1.0-8`, but the modules are those of `6.1.0-9`"));
  EXPECT_THAT(broken("echo '070701 lib/modules/6.1.0-8/x.ko' > usr/lib/modules/6.1.0-9/initramfs.img"),
              HasSubstr("holds the modules of `6.1.0-8`, the kernel is `6.1.0-9`"));
  EXPECT_THAT(broken("mkdir usr/etc"), HasSubstr("usr/etc: stands beside etc"));
  EXPECT_THAT(broken("rm -r etc"), HasSubstr("etc: is missing"));
  EXPECT_THAT(broken("echo x > opt/program"), HasSubstr("opt: holds 1 file, but becomes a link to var/opt"));
  EXPECT_THAT(broken("mkfifo usr/lib/pipe"), HasSubstr("usr/lib/pipe: is neither file, directory nor symlink"));
  EXPECT_THAT(broken("touch \"usr/$(printf 'b\\351d')\""), HasSubstr("usr/b\\xe9d: its name is no valid UTF-8"));
  EXPECT_EQ(build_os("tree", "1.0", "1")["version"], "1.0");
}

TEST_F(PayloadBuild, HooksAndPeripheralsThatAnOsCarriesAreChecked) {
  make_os_tree("tree");
  make_peripheral_tree("tree/usr/lib/honeycomb/peripherals/ptz-camera");
  put("tree/usr/lib/honeycomb/upgrade/hc_verify_upgrade.sh", kHook, 0644);
  EXPECT_THAT(os_refusal(), HasSubstr("usr/lib/honeycomb/upgrade/hc_verify_upgrade.sh: is not executable"));
  put("tree/usr/lib/honeycomb/upgrade/hc_verify_upgrade.sh", kHook, 0755);
  const fs::path peripherals = dir_ / "tree/usr/lib/honeycomb/peripherals";
  fs::rename(peripherals / "ptz-camera", peripherals / "camera");
  EXPECT_THAT(os_refusal(), HasSubstr("peripherals/camera: holds the payload of `ptz-camera`"));
  fs::rename(peripherals / "camera", peripherals / "ptz-camera");
  put("tree/usr/lib/honeycomb/peripherals/ptz-camera/metadata.json", "{}");
  EXPECT_THAT(os_refusal(), HasSubstr("peripherals/ptz-camera/metadata.json: the key `peripheral_name` is missing"));
  put("tree/usr/lib/honeycomb/peripherals/ptz-camera/metadata.json", metadata());
  EXPECT_EQ(build_os("tree", "1.0", "1")["version"], "1.0");
}

TEST_F(PayloadBuild, PeripheralRulesAreEnforced) {
  make_peripheral_tree("tree");
  const auto broken = [&](const std::string& command) {
    EXPECT_EQ(run({"sh", "-ec", "cp -a tree keep; cd tree; " + command}).status, 0);
    const std::string words = peripheral_refusal();
    EXPECT_EQ(run({"sh", "-ec", "rm -rf tree; mv keep tree"}).status, 0);
    return words;
  };
  EXPECT_THAT(broken("rm metadata.json"), HasSubstr("metadata.json: is missing"));
  EXPECT_THAT(broken("sed -i 's/: 2/: \"2\"/' metadata.json"),
              HasSubstr("metadata.json: line 5, column 3 (byte 94): `retry_install` must be a whole number"));
  EXPECT_THAT(broken("rm hc_verify_upgrade.sh"), HasSubstr("hc_verify_upgrade.sh: is missing"));
  EXPECT_THAT(broken("chmod 644 hc_install_upgrade.sh"), HasSubstr("hc_install_upgrade.sh: is not executable"));
  EXPECT_THAT(broken("printf 'exit 0' > hc_state_check.sh"), HasSubstr("hc_state_check.sh:1: begins with no `#!`"));
  EXPECT_THAT(broken("printf '#!/bin/sh\\r\\n' > hc_state_check.sh"), HasSubstr("Windows line ends"));
  EXPECT_THAT(broken("rm hc_state_check.sh; ln -s /bin/true hc_state_check.sh"), HasSubstr("is no regular file"));
  EXPECT_THAT(broken("ln -s ../../etc/shadow data/x"), HasSubstr("data/x: is a symlink that leaves the payload"));
  EXPECT_THAT(broken("ln -s /etc/shadow x"), HasSubstr("x: is a symlink that leaves the payload"));
  EXPECT_THAT(broken("mkfifo pipe"), HasSubstr("pipe: is neither file, directory nor symlink"));
  EXPECT_THAT(broken("printf '#!/bin/sh\\n' > hc_rollback_upgrade.sh"),
              HasSubstr("hc_rollback_upgrade.sh: is not exec"));
  EXPECT_EQ(build_peripheral("tree", "1")["target"], "ptz-camera");
}

TEST_F(PayloadBuild, OptionsAreChecked) {
  make_peripheral_tree("tree");
  EXPECT_THAT(peripheral_refusal({"--target", "camera"}),
              HasSubstr("--target is `camera`, but metadata.json says `ptz-camera`"));
  EXPECT_THAT(peripheral_refusal({"--version", "9"}), HasSubstr("--version is `9`, but metadata.json says `1.2.0`"));
  EXPECT_THAT(peripheral_refusal({"--expires", "soon"}), HasSubstr("`soon` is no time of expiry"));
  EXPECT_THAT(peripheral_refusal({"--expires", "2027-02-30"}), HasSubstr("no time of expiry"));
  EXPECT_THAT(peripheral_refusal({"--expires", "2001-01-01"}), HasSubstr("would be expired already"));
  EXPECT_THAT(peripheral_refusal({"--expires", "+5d", "--timestamp", "1000000000"}),
              HasSubstr("would be expired already"));
  EXPECT_THAT(peripheral_refusal({"--requires", "os"}), HasSubstr("`os` is no requirement"));
  EXPECT_THAT(peripheral_refusal({"--requires", "os=1", "--requires", "os=2"}), HasSubstr("names `os` twice"));
  EXPECT_THAT(peripheral_refusal({"--requires", "os=a b"}), HasSubstr("no version"));
  EXPECT_THAT(peripheral_refusal({"--branch", "1.2.0"}), HasSubstr("--branch and --version are the same"));
  EXPECT_THAT(peripheral_refusal({"--branch", "a/b"}), HasSubstr("--branch"));
  EXPECT_THAT(peripheral_refusal({"--key", "release.pub"}), HasSubstr("no unencrypted private key"));
  put("binary.txt", "\xff\xfe");
  EXPECT_THAT(peripheral_refusal({"--changelog", "binary.txt"}), HasSubstr("no valid UTF-8"));
  environment_ = {{"SOURCE_DATE_EPOCH", "yesterday"}};
  EXPECT_THAT(peripheral_refusal(), HasSubstr("SOURCE_DATE_EPOCH is `yesterday`"));
}

TEST_F(PayloadBuild, ABareRepositoryIsRefused) {
  make_peripheral_tree("tree");
  ostree({"init", "--mode=bare-user"});
  EXPECT_THAT(peripheral_refusal(), HasSubstr("another kind"));
}

}  // namespace
}  // namespace hc
