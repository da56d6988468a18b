#include <csignal>
#include <thread>

#include "tests/integration/node_in_folder.h"

// Peripherals on a node in a folder: by themselves, and brought by an OS. A device is a file that the hooks set and
// read; it may be made to misbehave.
namespace hc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Peripheral : public NodeInFolder {
 protected:
  fs::path device(const std::string& name) const { return dir_ / ("device-" + name); }
  std::string device_says(const std::string& name) const {
    return read_file_if_exists(device(name)).value().value_or("");
  }
  void set_device(const std::string& name, const std::string& state) const { put("device-" + name, state); }

  // The folder of a payload that sets the device `name` to `version`.
  void folder(const fs::path& root, const std::string& name, const std::string& version, const std::string& more = "") {
    put(root / "metadata.json", "{\"peripheral_name\": \"" + name + "\", \"config_version\": \"" + version +
                                    "\", \"retry_state_check\": 0, \"retry_install\": 0, \"retry_verify\": 0" + more +
                                    "}");
    const std::string at = device(name).string();
    script(root, "hc_state_check.sh", "[ \"$(cat " + at + ")\" = " + version + " ] && exit 1; exit 0");
    script(root, "hc_install_upgrade.sh", "echo half > " + at + "; printf " + version + " > " + at);
    script(root, "hc_verify_upgrade.sh",
           "state=$(cat " + at + "); echo \"is $state\"; [ \"$state\" = " + version + " ]");
  }
  void script(const fs::path& root, const std::string& name, const std::string& body) const {
    put(root / name, "#!/bin/sh\n" + body + "\n", 0755);
  }
  // In the tree of an OS.
  fs::path carried(const std::string& os, const std::string& name, const std::string& version,
                   const std::string& more = "") {
    const fs::path root = tree(os) / "usr/lib/honeycomb/peripherals" / name;
    folder(root, name, version, more);
    return root;
  }
  // By itself.
  fs::path payload(const std::string& name, const std::string& version, const std::string& more = "") {
    const fs::path root = name + "-" + version;
    folder(root, name, version, more);
    return root;
  }
  void build_payload(const fs::path& root, int sequence) const {
    hc_json({"build", root.string(), "--sequence", std::to_string(sequence), "--repo", "repo", "--key", "release.key"});
  }
  Json deploy(const std::string& name, const std::string& version, int status = 0) const {
    return os_json({"deploy", "-t", name, version}, status);
  }
  Json history_of(const std::string& name) const { return os_json({"history", "-t", name})["transactions"]; }
  Json status_of(const std::string& name) const {
    const Json status = os_json({"status"});
    for (const Json& target : status["targets"])
      if (target["target"] == name) return target;
    return {};
  }
  std::string in_use(const std::string& name) const {
    const Json slots = status_of(name).value("slots", Json::array());
    for (const Json& slot : slots)
      if (slot["running"] == true) return slot["version"];
    return "none";
  }
  CommandResult reboot(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"reboot", "node"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return sandbox(arguments);
  }

  // The node runs that version of the OS, confirmed.
  void run_os(const std::string& version) const {
    os_json({"deploy", version});
    ASSERT_EQ(reboot().status, 0);
  }

  // A node with a camera and a switch at version 1, each deployed by itself.
  void two_devices() {
    for (const char* name : {"camera", "switch"}) build_payload(payload(name, "1"), 1);
    init_with_remote();
    for (const char* name : {"camera", "switch"}) ASSERT_EQ(deploy(name, "1")["outcome"], "confirmed");
  }
};

TEST_F(Peripheral, ComeWithTheOsAndAreConfirmedWithIt) {
  carried("2.0", "camera", "2");
  carried("2.0", "switch", "2");
  two_devices();
  build("2.0", 2);
  EXPECT_EQ(os_json({"deploy", "2.0", "--plan"})["manifest"]["carries"]["camera"], "2");
  EXPECT_THAT(os({"deploy", "2.0", "--plan"}).output, HasSubstr("brings       switch 2"));
  const Json deployed = os_json({"deploy", "2.0"});
  EXPECT_EQ(deployed["waits_for_reboot"], true);
  EXPECT_EQ(device_says("camera"), "2");
  EXPECT_EQ(in_use("camera"), "2");
  EXPECT_EQ(history_of("camera").size(), 1U) << "not confirmed yet";

  EXPECT_EQ(reboot().status, 0);
  EXPECT_EQ(running_version(), "2.0");
  const Json camera = history_of("camera").back();
  EXPECT_EQ(camera["outcome"], "confirmed");
  EXPECT_EQ(camera["part_of"], 4);
  EXPECT_EQ(camera["manifest"]["version"], "2");
  EXPECT_EQ(camera["hooks"].back()["phase"], "post-boot");
  std::vector<int> ids;
  const Json history = os_json({"history"});
  for (const Json& t : history["transactions"]) ids.push_back(t["id"]);
  EXPECT_THAT(ids, ElementsAre(1, 2, 3, 4, 5, 6)) << "no gaps";
  EXPECT_EQ(status_of("switch")["degraded"], false);
}

TEST_F(Peripheral, AnOsThatFallsBackAtBootLeavesAllThreeAsTheyWere) {
  carried("2.0", "camera", "2");
  carried("2.0", "switch", "2");
  two_devices();
  build("2.0", 2);
  const std::string before = picture();
  os_json({"deploy", "2.0"});
  EXPECT_EQ(device_says("camera") + device_says("switch"), "22");
  EXPECT_EQ(reboot({"--fail", "panic"}).status, 10);
  EXPECT_EQ(running_version(), "1.0");
  EXPECT_EQ(device_says("camera") + device_says("switch"), "11");
  EXPECT_EQ(picture(), before);
  for (const char* name : {"camera", "switch"}) {
    const Json t = history_of(name).back();
    EXPECT_EQ(t["outcome"], "rolled-back");
    EXPECT_THAT(t["failure"]["text"].get<std::string>(), HasSubstr("came with os 2.0"));
    EXPECT_THAT(t["failure"]["text"].get<std::string>(), HasSubstr("fell back"));
  }
}

TEST_F(Peripheral, OneThatFailsTakesTheOthersAndTheOsBack) {
  carried("2.0", "camera", "2");
  script(carried("2.0", "switch", "2"), "hc_verify_upgrade.sh", "echo port 3 is dead; exit 7");
  two_devices();
  build("2.0", 2);
  const std::string before = picture();
  const Json failed = os_json({"deploy", "2.0"}, 9);
  EXPECT_EQ(failed["failure"]["step"], "peripherals");
  EXPECT_THAT(error_of(failed), HasSubstr("switch 2: verify-hooks"));
  EXPECT_EQ(device_says("camera") + device_says("switch"), "11");
  EXPECT_EQ(picture(), before);
}

TEST_F(Peripheral, OneThatForgetsOverTheRestartTakesTheOsBack) {
  carried("2.0", "camera", "2");
  two_devices();
  build("2.0", 2);
  os_json({"deploy", "2.0"});
  set_device("camera", "factory");
  EXPECT_NE(reboot().status, 0);
  EXPECT_EQ(reboot().status, 0);
  EXPECT_EQ(running_version(), "1.0");
  EXPECT_EQ(device_says("camera"), "1");
  EXPECT_EQ(history_of("os").back()["outcome"], "rolled-back");
}

TEST_F(Peripheral, GoBackWithAnOsThatIsRolledBackLater) {
  carried("2.0", "camera", "2");
  two_devices();
  build("2.0", 2);
  ASSERT_NO_FATAL_FAILURE(run_os("2.0"));
  ASSERT_EQ(os({"rollback"}).status, 0);
  ASSERT_EQ(reboot().status, 0);
  EXPECT_EQ(running_version(), "1.0");
  EXPECT_EQ(in_use("camera"), "1");
  EXPECT_EQ(device_says("camera"), "1");
  EXPECT_THAT(history_of("camera").back()["notes"].back().get<std::string>(), HasSubstr("newer OS than 1.0"));
  ASSERT_EQ(reboot().status, 0);
  EXPECT_EQ(history_of("camera").size(), 3U) << "done once";
}

TEST_F(Peripheral, ComeForwardAgainWithTheOsThatBroughtThem) {
  carried("2.0", "camera", "2");
  two_devices();
  build("2.0", 2);
  ASSERT_NO_FATAL_FAILURE(run_os("2.0"));
  for (const char* version : {"1", "2"}) {
    ASSERT_EQ(os({"rollback"}).status, 0);
    ASSERT_EQ(reboot().status, 0);
    EXPECT_EQ(device_says("camera"), version);
    EXPECT_EQ(in_use("camera"), version);
  }
}

TEST_F(Peripheral, OfOneOsMayRequireOneAnother) {
  carried("2.0", "camera", "2", ", \"requires\": {\"switch\": \"2\", \"os\": \"2.0\"}");
  carried("2.0", "switch", "2");
  two_devices();
  build("2.0", 2);
  EXPECT_EQ(os_json({"deploy", "2.0"})["waits_for_reboot"], true);
  ASSERT_EQ(reboot().status, 0);
  EXPECT_EQ(in_use("camera"), "2");
  EXPECT_LT(history_of("switch").back()["id"], history_of("camera").back()["id"]);
}

TEST_F(Peripheral, OfTheFirstOsMayWantARestart) {
  carried("1.5", "camera", "1", ", \"reboot\": true");
  build("1.5", 2);
  ASSERT_EQ(sandbox({"init", "node", "--repo", "repo", "--version", "1.5", "--trust", "release.pub"}).status, 0);
  ASSERT_EQ(reboot().status, 0);
  EXPECT_EQ(history_of("camera").back()["outcome"], "confirmed");
  EXPECT_EQ(history_of("camera").back()["hooks"].back()["phase"], "post-boot");
}

TEST_F(Peripheral, ThatIsDamagedKeepsNoOsFromBeingConfirmed) {
  two_devices();
  build("2.0", 2);
  os_json({"deploy", "2.0"});
  const fs::path active = node() / "ostree/deploy/honeycomb/var/lib/honeycomb/peripherals/camera/active";
  fs::remove(active);
  fs::create_symlink("nonsense", active);
  EXPECT_EQ(reboot().status, 0);
  EXPECT_EQ(running_version(), "2.0");
  EXPECT_THAT(status_of("camera")["problem"].get<std::string>(), HasSubstr("active"));
  EXPECT_EQ(status_of("switch")["degraded"], false);
}

TEST_F(Peripheral, AJournalOfANewerEngineIsSetAside) {
  two_devices();
  put("node/ostree/deploy/honeycomb/var/lib/honeycomb/transaction.json",
      R"({"format": 1, "id": 9, "kind": "teleport", "target": "os", "direction": "forward"})");
  EXPECT_EQ(os({"resume"}).status, 0);
  EXPECT_EQ(os({"status", "--check"}).status, 0);
  EXPECT_FALSE(fs::exists(node() / "ostree/deploy/honeycomb/var/lib/honeycomb/transaction.json"));
  EXPECT_FALSE(fs::is_empty(node() / "ostree/deploy/honeycomb/var/lib/honeycomb/unreadable"));
}

TEST_F(Peripheral, DeployedByItselfStaysWhateverTheOsDoes) {
  carried("2.0", "camera", "2");
  two_devices();
  build_payload(payload("camera", "3"), 3);
  build("2.0", 2);
  ASSERT_NO_FATAL_FAILURE(run_os("2.0"));
  deploy("camera", "3");
  ASSERT_EQ(os({"rollback"}).status, 0);
  ASSERT_EQ(reboot().status, 0);
  EXPECT_EQ(device_says("camera"), "3");
}

TEST_F(Peripheral, OfTheFirstOsAreInstalledAtItsFirstBoot) {
  carried("1.5", "camera", "1");
  build("1.5", 2);
  ASSERT_EQ(sandbox({"init", "node", "--repo", "repo", "--version", "1.5", "--trust", "release.pub"}).status, 0);
  ASSERT_EQ(reboot().status, 0);
  EXPECT_EQ(device_says("camera"), "1");
  EXPECT_EQ(in_use("camera"), "1");
  ASSERT_EQ(reboot().status, 0);
  EXPECT_EQ(history_of("camera").size(), 1U);
}

TEST_F(Peripheral, SameContentInTheNextOsIsLeftAlone) {
  carried("2.0", "camera", "2");
  carried("3.0", "camera", "2");
  two_devices();
  build("2.0", 2);
  build("3.0", 3);
  ASSERT_NO_FATAL_FAILURE(run_os("2.0"));
  ASSERT_NO_FATAL_FAILURE(run_os("3.0"));
  EXPECT_EQ(history_of("camera").size(), 2U);
  ASSERT_EQ(os({"rollback"}).status, 0);
  ASSERT_EQ(reboot().status, 0);
  EXPECT_EQ(in_use("camera"), "2");
}

TEST_F(Peripheral, AVersionThatCameWithAnOsCanBeDeployedAgainByItself) {
  carried("2.0", "camera", "2");
  two_devices();
  build_payload(payload("camera", "3"), 3);
  build("2.0", 2);
  ASSERT_NO_FATAL_FAILURE(run_os("2.0"));
  deploy("camera", "3");
  EXPECT_EQ(deploy("camera", "2")["outcome"], "confirmed");
  EXPECT_EQ(device_says("camera"), "2");
}

TEST_F(Peripheral, ThatCannotBeTakenBackIsDegradedAndBlocksNoOther) {
  build_payload(payload("camera", "1"), 1);
  script(payload("camera", "2"), "hc_verify_upgrade.sh", "touch " + device("camera").string() + ".stuck; exit 1");
  build_payload("camera-2", 2);
  const std::string stuck = device("camera").string() + ".stuck";
  script("camera-1", "hc_install_upgrade.sh",
         "[ -e " + stuck + " ] && { echo no answer; exit 4; }; printf 1 > " + device("camera").string());
  put("camera-1/metadata.json",
      "{\"peripheral_name\": \"camera\", \"config_version\": \"1.1\", \"retry_state_check\": 0,"
      "\"retry_install\": 0, \"retry_verify\": 0}");
  script("camera-1", "hc_verify_upgrade.sh", "grep -q 1 " + device("camera").string());
  build_payload("camera-1", 3);
  build_payload(payload("switch", "1"), 1);
  init_with_remote();
  ASSERT_EQ(deploy("camera", "1.1")["outcome"], "confirmed");

  build_payload(payload("camera", "4"), 4);
  script("camera-4", "hc_verify_upgrade.sh", "touch " + stuck + "; exit 1");
  put("camera-4/metadata.json",
      "{\"peripheral_name\": \"camera\", \"config_version\": \"5\", \"retry_state_check\": 0,"
      "\"retry_install\": 0, \"retry_verify\": 0}");
  build_payload("camera-4", 5);
  const CommandResult failed = os({"deploy", "-t", "camera", "5"});
  EXPECT_EQ(failed.status, 9);
  EXPECT_THAT(failed.errors, HasSubstr("could not be brought back to 1.1: it is degraded"));
  EXPECT_EQ(status_of("camera")["degraded"], true);
  EXPECT_THAT(status_of("camera")["problem"].get<std::string>(), HasSubstr("said no (exit status 4)"));
  EXPECT_THAT(os({"status"}).output, HasSubstr("degraded: "));

  EXPECT_EQ(deploy("switch", "1")["outcome"], "confirmed") << "the others are not blocked";
  EXPECT_EQ(os({"resume"}).status, 0);
  EXPECT_EQ(os({"repair", "--due"}).status, 0);
  EXPECT_EQ(history_of("camera").size(), 2U) << "it waits before it tries again";

  EXPECT_EQ(os({"repair"}).status, 9);
  EXPECT_EQ(status_of("camera")["degraded"], true);
  fs::remove(stuck);
  EXPECT_EQ(os({"repair"}).status, 0);
  EXPECT_EQ(status_of("camera")["degraded"], false);
  EXPECT_EQ(device_says("camera"), "1");
  EXPECT_EQ(in_use("camera"), "1.1");
}

TEST_F(Peripheral, AFirstVersionThatCannotBeTakenBackIsKeptForAnotherTry) {
  const fs::path root = payload("camera", "1");
  const std::string at = device("camera").string();
  script(root, "hc_install_upgrade.sh", "printf half > " + at + "; exit 5");
  script(root, "hc_rollback_upgrade.sh",
         "[ -e " + at + ".on ] || { echo no answer; exit 4; }; printf \"factory $HC_TRANSACTION\" > " + at);
  build_payload(root, 1);
  init_with_remote();
  EXPECT_EQ(deploy("camera", "1", 9)["outcome"], "failed");
  EXPECT_EQ(status_of("camera")["degraded"], true);
  EXPECT_EQ(in_use("camera"), "none");
  EXPECT_EQ(os({"repair"}).status, 9);
  EXPECT_EQ(status_of("camera")["degraded"], true);
  EXPECT_EQ(device_says("camera"), "half");
  put("device-camera.on", "");
  EXPECT_EQ(os({"repair"}).status, 0);
  EXPECT_EQ(device_says("camera"), "factory 1") << "its own rollback hook, in its own transaction";
  EXPECT_EQ(status_of("camera")["degraded"], false);
  EXPECT_EQ(history_of("camera").size(), 1U);
  EXPECT_EQ(status_of("camera")["slots"][0]["version"], nullptr);
}

TEST_F(Peripheral, CutOffInTheMiddleOfItsInstallHookIsTakenBack) {
  two_devices();
  const std::string at = device("camera").string();
  script(payload("camera", "2-cut"), "hc_install_upgrade.sh",
         "printf half > " + at + "; touch " + at + ".begun; sleep 60");
  build_payload("camera-2-cut", 2);
  std::thread killer([&] {
    for (int i = 0; i < 600 && !fs::exists(at + ".begun"); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    // The name is this test's own: others run beside it.
    run({"pkill", "-KILL", "-f", "hc-os --sysroot node deploy -t camera 2-cut"});
  });
  CommandOptions options;
  options.directory = dir_;
  const auto killed = run_command({HC_OS_PROGRAM, "--sysroot", "node", "deploy", "-t", "camera", "2-cut"}, options);
  killer.join();
  ASSERT_FALSE(killed && killed->status == 0);
  EXPECT_EQ(device_says("camera"), "half");
  EXPECT_NE(os({"resume"}).status, 0);
  EXPECT_EQ(device_says("camera"), "1");
  EXPECT_EQ(in_use("camera"), "1");
  const Json t = history_of("camera").back();
  EXPECT_EQ(t["outcome"], "failed");
  EXPECT_THAT(t["failure"]["text"].get<std::string>(), HasSubstr("cut off"));
  EXPECT_EQ(t["hooks"].back()["phase"], "rollback");
  EXPECT_EQ(history_of("camera").size(), 2U);
}

TEST_F(Peripheral, ThatIsNotFittedEndsSoAndIsNoFailure) {
  carried("2.0", "camera", "2");
  carried("2.0", "switch", "2");
  build_payload(payload("camera", "1"), 1);
  build_payload(payload("switch", "1"), 1);
  init_with_remote();
  put("node/ostree/slots/a/etc/honeycomb/node.json",
      "{\"peripherals\": {\"switch\": {}, \"camera\": {\"fitted\": false}}}");
  EXPECT_EQ(deploy("camera", "1")["outcome"], "not-fitted");
  EXPECT_EQ(deploy("switch", "1")["outcome"], "confirmed");
  build("2.0", 2);
  const Json t = os_json({"deploy", "2.0"});
  EXPECT_THAT(t["notes"].dump(), HasSubstr("camera 2 is left out: not fitted"));
  ASSERT_EQ(reboot().status, 0);
  EXPECT_EQ(device_says("camera"), "");
  EXPECT_EQ(device_says("switch"), "2");
  EXPECT_EQ(history_of("camera").size(), 1U);

  put("node/ostree/slots/b/etc/honeycomb/node.json", "{\"peripherals\": {\"switch\": 3}}");
  const Json bad = deploy("switch", "1", 3);
  EXPECT_THAT(error_of(bad), HasSubstr("node.json"));
  EXPECT_EQ(reboot().status, 0) << "a mistake in it does not stop the node";
}

TEST_F(Peripheral, DriftIsSeenOnDemand) {
  two_devices();
  EXPECT_EQ(os({"status", "--check"}).status, 0);
  set_device("switch", "somebody was here");
  const Json checked = os_json({"status", "--check"}, 10)["peripherals"];
  ASSERT_EQ(checked.size(), 2U);
  EXPECT_EQ(checked[0]["drifted"], false);
  EXPECT_EQ(checked[1]["target"], "switch");
  EXPECT_EQ(checked[1]["drifted"], true);
  EXPECT_THAT(os({"status", "--check"}).output, HasSubstr("is somebody was here"));
  EXPECT_EQ(os_json({"deploy", "-t", "switch", "1", "--again"})["outcome"], "confirmed");
  EXPECT_EQ(os({"status", "--check"}).status, 0);
}

TEST_F(Peripheral, DataNamedInASnapshotComeBackWithTheOldVersion) {
  two_devices();
  const fs::path var = node() / "ostree/deploy/honeycomb/var";
  const fs::path data = var / "lib/camera-db";
  ASSERT_TRUE(make_dirs(data));
  ASSERT_TRUE(write_atomically(data / "schema", "old"));
  const std::string more = ", \"snapshot\": [\"/var/lib/camera-db\", \"/var/lib/camera-new\"]";
  const std::string migrate = "printf new > " + (data / "schema").string() + "; touch " + (data / "extra").string() +
                              "; mkdir -p " + (var / "lib/camera-new").string() + "; printf 2 > " +
                              device("camera").string();
  script(payload("camera", "2", more), "hc_install_upgrade.sh", migrate + "; exit 1");
  build_payload("camera-2", 2);
  EXPECT_EQ(deploy("camera", "2", 9)["outcome"], "failed");
  EXPECT_EQ(read_file(data / "schema").value(), "old");
  EXPECT_FALSE(fs::exists(data / "extra"));
  EXPECT_FALSE(fs::exists(var / "lib/camera-new"));

  script(payload("camera", "3", more), "hc_install_upgrade.sh", migrate + "; printf 3 > " + device("camera").string());
  build_payload("camera-3", 3);
  EXPECT_EQ(deploy("camera", "3")["outcome"], "confirmed");
  EXPECT_EQ(read_file(data / "schema").value(), "new");
  ASSERT_TRUE(write_atomically(data / "schema", "newer"));
  EXPECT_EQ(os({"rollback", "camera"}).status, 0);
  EXPECT_EQ(read_file(data / "schema").value(), "old") << "version 1 meets its own data";
  EXPECT_EQ(os({"rollback", "camera"}).status, 0);
  EXPECT_EQ(read_file(data / "schema").value(), "new") << "the install hook ran once more";
  EXPECT_TRUE(fs::exists(var / "lib/camera-new"));
}

TEST_F(Peripheral, ThatWantsARestartIsJudgedAfterIt) {
  two_devices();
  build_payload(payload("camera", "2", ", \"reboot\": true"), 2);
  const Json t = deploy("camera", "2");
  EXPECT_EQ(t["waits_for_reboot"], true);
  EXPECT_EQ(os_json({"status"})["waits_for_reboot"], true);
  EXPECT_EQ(reboot().status, 0);
  EXPECT_EQ(history_of("camera").back()["outcome"], "confirmed");
  EXPECT_EQ(history_of("camera").back()["hooks"].back()["phase"], "post-boot");

  build_payload(payload("camera", "3", ", \"reboot\": true"), 3);
  deploy("camera", "3");
  set_device("camera", "forgot");
  EXPECT_NE(reboot().status, 0);
  EXPECT_EQ(history_of("camera").back()["outcome"], "rolled-back");
  EXPECT_EQ(device_says("camera"), "2");
  EXPECT_EQ(in_use("camera"), "2");
}

TEST_F(Peripheral, HooksMeetTheirOwnSecretsOnlyAndNobodyReadsThemInTheHistory) {
  two_devices();
  const fs::path secrets = "node/ostree/slots/a/etc/honeycomb/secrets";
  put(secrets / "camera/password", "open-sesame-1\n", 0600);
  put(secrets / "switch/password", "another-one-2\n", 0600);
  script(payload("camera", "2"), "hc_install_upgrade.sh",
         "echo \"login $(cat $HC_CREDENTIALS_DIR/password)\"; ls -A " + (dir_ / secrets).string() +
             " | wc -l; printf 2 > " + device("camera").string());
  build_payload("camera-2", 2);
  const Json t = deploy("camera", "2");
  EXPECT_EQ(t["hooks"][1]["output"], "login ***\n0\n");
  EXPECT_THAT(t.dump(), ::testing::Not(HasSubstr("sesame")));
}

TEST_F(Peripheral, HooksRunAsTheUserThatTheMetadataName) {
  two_devices();
  put("device-camera", "1");
  ASSERT_EQ(run({"sh", "-c", "chmod 777 . && chmod 666 device-camera"}).status, 0);
  const fs::path root =
      payload("camera", "2", ", \"user\": \"nobody\", \"network\": \"none\", \"devices\": [\"/dev/null\"]");
  script(root, "hc_install_upgrade.sh",
         "id -un; touch $HC_STATE_DIR/mine; [ -e /dev/sda ] || [ -e /dev/vda ] || echo no disks; printf 2 > " +
             device("camera").string());
  build_payload(root, 2);
  const Json t = deploy("camera", "2");
  EXPECT_EQ(t["outcome"], "confirmed") << t.dump(1);
  EXPECT_EQ(t["hooks"][1]["output"], "nobody\nno disks\n");
}

TEST_F(Peripheral, DiffNamesTheFiles) {
  two_devices();
  put(payload("camera", "2") / "extra.conf", "more\n");
  build_payload("camera-2", 2);
  deploy("camera", "2");
  const Json diff = os_json({"diff", "a", "b", "-t", "camera"});
  EXPECT_EQ(diff["from"]["version"], "1");
  EXPECT_EQ(diff["added"], Json::array({"extra.conf"}));
  EXPECT_THAT(diff["changed"].dump(), HasSubstr("metadata.json"));
  EXPECT_EQ(os_json({"diff", "1", "2", "-t", "camera"})["added"].size(), 1U);
  EXPECT_EQ(os_json({"diff", "1.0", "a"})["added"].size(), 0U) << "a version that was never deployed, only installed";
  const CommandResult unknown = os({"diff", "1", "9", "-t", "camera"});
  EXPECT_EQ(unknown.status, 3) << unknown.errors;
}

}  // namespace
}  // namespace hc
