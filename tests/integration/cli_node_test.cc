#include <csignal>

#include "tests/integration/node_in_folder.h"

// What an operator does with hc-os, on a node in a folder.
namespace hc {
namespace {

using ::testing::HasSubstr;

class Story : public NodeInFolder {};

TEST_F(Story, DeployRebootConfirmRollback) {
  init_with_remote();
  put("changes", "Fixes the modem.\n");
  build("2.0", 2, {"--changelog", "changes"});
  const Json deployed = os_json({"deploy", "2.0"});
  EXPECT_EQ(deployed["waits_for_reboot"], true);
  EXPECT_EQ(running_version(), "1.0");
  EXPECT_EQ(os_json({"status"})["targets"][0]["slots"][1]["trial"], true);

  EXPECT_EQ(sandbox({"reboot", "node"}).status, 0);
  EXPECT_EQ(running_version(), "2.0");
  EXPECT_EQ(in_slot('b', "usr/share/version"), "2.0\n");

  EXPECT_EQ(os({"rollback"}).status, 0);
  EXPECT_EQ(sandbox({"reboot", "node"}).status, 0);
  EXPECT_EQ(running_version(), "1.0");
  EXPECT_EQ(os({"rollback"}).status, 0) << "a rollback can be rolled back";
  EXPECT_EQ(sandbox({"reboot", "node"}).status, 0);
  EXPECT_EQ(running_version(), "2.0");
}

TEST_F(Story, HistoryTellsWhatEachStepDid) {
  hook("2.0", "hc_state_check.sh", "exit 0");
  hook("2.0", "hc_install_upgrade.sh", "echo installing into $HC_SLOT");
  hook("2.0", "hc_verify_upgrade.sh", "echo phase $HC_PHASE");
  build("2.0", 2);
  init_with_remote();
  os_json({"deploy", "2.0"});
  EXPECT_EQ(sandbox({"reboot", "node"}).status, 0);
  const Json history = os_json({"history"})["transactions"];
  ASSERT_EQ(history.size(), 2U);
  EXPECT_EQ(history[0]["to"]["version"], "1.0") << "the first installation is part of the history";
  const Json& t = history[1];
  EXPECT_EQ(t["outcome"], "confirmed");
  EXPECT_EQ(t["request"]["by"], "root");
  EXPECT_EQ(t["manifest"]["sequence"], 2);
  EXPECT_EQ(t["manifest"]["signers"], Json::array({"release"}));
  std::vector<std::string> names;
  for (const Json& step : t["steps"]) {
    names.push_back(step["name"]);
    EXPECT_TRUE(step["duration_ms"].is_number());
  }
  EXPECT_THAT(names, ::testing::ElementsAre("verify", "fetch", "state-check", "stage", "install", "verify-hooks",
                                            "check", "peripherals", "switch", "reboot", "health", "confirm"));
  ASSERT_EQ(t["hooks"].size(), 4U);
  EXPECT_EQ(t["hooks"][1]["output"], "installing into b\n");
  EXPECT_EQ(t["hooks"][2]["phase"], "pre-switch");
  EXPECT_EQ(t["hooks"][3]["phase"], "post-boot");
  EXPECT_EQ(t["hooks"][3]["exit_code"], 0);
}

TEST_F(Story, PlanChangesNothing) {
  build("2.0", 2);
  init_with_remote();
  const std::string before = picture();
  const Json plan = os_json({"deploy", "2.0", "--plan"});
  EXPECT_EQ(plan["version"], "2.0");
  EXPECT_EQ(plan["to_slot"], "b");
  EXPECT_GT(plan["download_bytes"], 0);
  EXPECT_EQ(picture(), before);
  EXPECT_FALSE(fs::exists(node() / "ostree/deploy/honeycomb/var/lib/honeycomb/history"));
}

TEST_F(Story, FailedHookLeavesTheNodeAsItWas) {
  hook("2.0", "hc_verify_upgrade.sh", "echo no good; exit 3");
  build("2.0", 2);
  init_with_remote();
  const std::string before = picture();
  const Json failed = os_json({"deploy", "2.0"}, 9);
  EXPECT_EQ(failed["outcome"], "failed");
  EXPECT_EQ(failed["failure"]["step"], "verify-hooks");
  EXPECT_EQ(picture(), before);
}

TEST_F(Story, TheReplacedVersionComesBackWhenADeployFails) {
  build("2.0", 2);
  hook("3.0", "hc_install_upgrade.sh", "exit 5");
  build("3.0", 3);
  init_with_remote();
  os_json({"deploy", "2.0"});
  sandbox({"reboot", "node"});
  const std::string before = picture();
  os_json({"deploy", "3.0"}, 9);
  EXPECT_EQ(picture(), before);
  EXPECT_EQ(in_slot('a', "usr/share/version"), "1.0\n");
}

TEST_F(Story, WhatAHookDamagedIsFetchedAnew) {
  const fs::path once = dir_ / "once";
  hook("2.0", "hc_install_upgrade.sh",
       "[ -e " + once.string() + " ] && exit 0; touch " + once.string() +
           "; f=$HC_SLOT_ROOT/usr/share/version; printf x > $f && exit 3; cd /; umount -l $HC_SLOT_ROOT/usr; printf x "
           "> $f");
  build("2.0", 2);
  init_with_remote();
  const std::string before = picture();
  EXPECT_EQ(os_json({"deploy", "2.0"}, 8)["failure"]["step"], "check");
  EXPECT_EQ(picture(), before);
  EXPECT_EQ(os_json({"deploy", "2.0", "--again"})["waits_for_reboot"], true);
  EXPECT_EQ(in_slot('b', "usr/share/version"), "2.0\n");
}

TEST_F(Story, KernelThatNeverStartsFallsBack) {
  build("2.0", 2);
  init_with_remote();
  const std::string before = picture();
  os_json({"deploy", "2.0"});
  EXPECT_EQ(sandbox({"reboot", "node", "--fail", "panic"}).status, 10);
  EXPECT_EQ(running_version(), "1.0");
  EXPECT_EQ(picture(), before);
  const Json t = os_json({"history"})["transactions"].back();
  EXPECT_EQ(t["outcome"], "rolled-back");
  EXPECT_EQ(t["failure"]["step"], "reboot");
  EXPECT_THAT(t["failure"]["text"], HasSubstr("fell back"));
}

TEST_F(Story, FailingHealthCheckRollsBackByItself) {
  put(tree("2.0") / "usr/lib/honeycomb/health.d/required/10-app", "#!/bin/sh\necho app is down; exit 1\n", 0755);
  build("2.0", 2);
  init_with_remote();
  const std::string before = picture();
  os_json({"deploy", "2.0"});
  EXPECT_EQ(sandbox({"reboot", "node"}).status, 10);
  EXPECT_EQ(picture(), before);
  const Json t = os_json({"history"})["transactions"].back();
  EXPECT_EQ(t["outcome"], "rolled-back");
  EXPECT_THAT(t["failure"]["text"], HasSubstr("app is down"));
}

TEST_F(Story, WhatWorkedBeforeMustWorkAfter) {
  put(tree("1.5") / "usr/lib/honeycomb/health.d/wanted/10-app",
      "#!/bin/sh\ngrep -q 1.5 \"$HC_SLOT_ROOT/usr/share/version\"\n", 0755);
  build("1.5", 2);
  put(tree("2.0") / "usr/lib/honeycomb/health.d/wanted/10-app", "#!/bin/sh\nexit 1\n", 0755);
  build("2.0", 3);
  init_with_remote();
  os_json({"deploy", "1.5"});
  sandbox({"reboot", "node"});
  ASSERT_EQ(running_version(), "1.5");
  os_json({"health"});
  os_json({"deploy", "2.0"});
  sandbox({"reboot", "node"});
  EXPECT_EQ(running_version(), "1.5");
}

TEST_F(Story, NotNeededIsNoFailure) {
  hook("2.0", "hc_state_check.sh", "exit 1");
  build("2.0", 2);
  init_with_remote();
  const std::string before = picture();
  EXPECT_EQ(os_json({"deploy", "2.0"})["outcome"], "not-needed");
  EXPECT_EQ(picture(), before);
}

TEST_F(Story, EtcAndKernelArgumentsFollow) {
  build("2.0", 2);
  init_with_remote();
  ASSERT_TRUE(write_atomically(node() / "ostree/slots/a/etc/app.conf", "mine\n"));
  ASSERT_TRUE(write_atomically(node() / "ostree/slots/a/etc/local.conf", "local\n"));
  os_json({"deploy", "2.0"});
  EXPECT_EQ(in_slot('b', "etc/app.conf"), "mine\n");
  EXPECT_EQ(in_slot('b', "etc/local.conf"), "local\n");
  EXPECT_EQ(in_slot('b', "usr/etc/app.conf"), "shipped with 2.0\n");
  EXPECT_EQ(sandbox({"reboot", "node"}).status, 0);
  const std::string line = read_file(node() / "run/honeycomb/cmdline").value();
  EXPECT_THAT(line, HasSubstr("default=2.0"));
  EXPECT_THAT(line, ::testing::Not(HasSubstr("default=1.0")));
  EXPECT_THAT(line, HasSubstr("root=LABEL=sandbox console=ttyS0"));
  EXPECT_THAT(line, HasSubstr("ostree=/ostree/slots/b"));
}

TEST_F(Story, RollbackBeforeTheRestartTakesTheDeployBack) {
  build("2.0", 2);
  init_with_remote();
  const std::string before = picture();
  os_json({"deploy", "2.0"});
  EXPECT_EQ(os_json({"deploy", "2.0"}, 7)["error"]["code"], "busy");
  EXPECT_EQ(os_json({"rollback"}, 130)["outcome"], "cancelled");
  EXPECT_EQ(picture(), before);
}

TEST_F(Story, OtherSlotChosenByHandCanBeConfirmed) {
  build("2.0", 2);
  build("3.0", 3);
  init_with_remote();
  os_json({"deploy", "2.0"});
  sandbox({"reboot", "node"});
  sandbox({"reboot", "node", "--slot", "a"});
  EXPECT_EQ(os_json({"deploy", "3.0"}, 7)["error"]["code"], "busy") << "the confirmed slot must not be replaced";
  EXPECT_EQ(os_json({"confirm"})["outcome"], "confirmed");
  EXPECT_EQ(running_version(), "1.0");
  os_json({"deploy", "3.0"});
  sandbox({"reboot", "node"});
  EXPECT_EQ(running_version(), "3.0");
}

TEST_F(Story, AnyVersionOfTheHistoryComesBackWithoutNetwork) {
  build("2.0", 2);
  build("3.0", 3);
  init_with_remote();
  for (const char* version : {"2.0", "3.0"}) {
    os_json({"deploy", version});
    sandbox({"reboot", "node"});
  }
  os_json({"gc"});
  ASSERT_EQ(os({"remote", "remove", "origin"}).status, 0);
  os_json({"deploy", "1.0"});
  sandbox({"reboot", "node"});
  EXPECT_EQ(running_version(), "1.0");
  os_json({"verify"});
}

TEST_F(Story, OnlyAsManyVersionsAreKeptAsTheSettingsSay) {
  for (const int n : {2, 3, 4, 5}) build(std::to_string(n) + ".0", n);
  init_with_remote();
  const fs::path conf = node() / "ostree/slots/a/etc/honeycomb/honeycomb.conf";
  ASSERT_TRUE(write_atomically(conf, read_file(conf).value() + "[slots]\nkeep_versions=2\n"));
  os_json({"deploy", "2.0"});
  sandbox({"reboot", "node"});
  ASSERT_EQ(os({"pin", "1.0"}).status, 0);
  for (const char* version : {"3.0", "4.0", "5.0"}) {
    os_json({"deploy", version});
    ASSERT_EQ(sandbox({"reboot", "node"}).status, 0);
  }
  ASSERT_EQ(os({"remote", "remove", "origin"}).status, 0);
  EXPECT_EQ(os_json({"show", "4.0"})["found_in"], "this node's history");
  EXPECT_EQ(os_json({"show", "1.0"})["found_in"], "this node's history") << "it is pinned";
  os_json({"show", "2.0"}, 3);
  EXPECT_EQ(os_json({"history"})["transactions"].size(), 5U) << "the record stays when the content has gone";
}

TEST_F(Story, AVersionThatFailedIsNotTriedAgainUnasked) {
  build("2.0", 2);
  init_with_remote();
  os_json({"deploy", "2.0"});
  sandbox({"reboot", "node", "--fail", "hang"});
  const Json refused = os_json({"deploy", "2.0"}, 3);
  EXPECT_THAT(error_of(refused), HasSubstr("failed on this node before"));
  os_json({"deploy", "2.0", "--again"});
  EXPECT_EQ(sandbox({"reboot", "node"}).status, 0);
  EXPECT_EQ(running_version(), "2.0");
}

// Killed at many moments; the next run carries it to an end, and nothing of it is left twice.
TEST_F(Story, KilledAtAnyMomentTheNextRunFinishes) {
  for (int i = 0; i < 3; ++i)
    put(tree("2.0") / ("usr/share/big" + std::to_string(i)), std::string(2 << 20, static_cast<char>('a' + i)));
  build("2.0", 2);
  init_with_remote();
  for (int delay_ms = 20; delay_ms <= 1000; delay_ms += 70) {
    const std::string seconds = std::to_string(delay_ms / 1000.0);
    run({"sh", "-c", "timeout -s KILL " + seconds + " '" HC_OS_PROGRAM "' --sysroot node deploy 2.0 --again; true"});
    if (os_json({"status"})["waits_for_reboot"] == true) os({"rollback"});
  }
  const Json resumed = os_json({"resume"}, 0);
  os({"rollback"});
  EXPECT_EQ(running_version(), "1.0");
  os_json({"deploy", "2.0", "--again"});
  EXPECT_EQ(sandbox({"reboot", "node"}).status, 0);
  EXPECT_EQ(running_version(), "2.0");
  os_json({"verify"});
  const std::string deployments = run({"sh", "-c", "ls -d node/ostree/deploy/honeycomb/deploy/*.? | wc -l"}).output;
  EXPECT_EQ(deployments, "2\n");
}

TEST_F(Story, InterruptedDeployIsUndone) {
  hook("2.0", "hc_install_upgrade.sh", "sleep 30");
  build("2.0", 2);
  init_with_remote();
  const std::string before = picture();
  const CommandResult result =
      run({"timeout", "-s", "INT", "--foreground", "4", HC_OS_PROGRAM, "--sysroot", "node", "deploy", "2.0"});
  EXPECT_THAT(result.errors, HasSubstr("Nothing was lost"));
  EXPECT_EQ(os_json({"history"})["transactions"].back()["outcome"], "cancelled");
  EXPECT_EQ(picture(), before);
}

// CASES.md BT-6: two stores, one truth. What booted has to prove itself even where the journal is gone.
TEST_F(Story, TrialWhoseJournalIsLostIsStillJudged) {
  put(tree("3.0") / "usr/lib/honeycomb/health.d/required/10-app", "#!/bin/sh\nexit 1\n", 0755);
  build("2.0", 2);
  build("3.0", 3);
  init_with_remote();
  const fs::path journal = node() / "ostree/deploy/honeycomb/var/lib/honeycomb/transaction.json";
  os_json({"deploy", "2.0"});
  ASSERT_TRUE(fs::remove(journal));
  fs::remove(journal.string() + ".last");
  EXPECT_EQ(sandbox({"reboot", "node"}).status, 0);
  EXPECT_EQ(running_version(), "2.0");
  os_json({"deploy", "3.0"});
  ASSERT_TRUE(fs::remove(journal));
  fs::remove(journal.string() + ".last");
  EXPECT_EQ(sandbox({"reboot", "node"}).status, 10);
  EXPECT_EQ(running_version(), "2.0");
  const Json last = os_json({"history"})["transactions"].back();
  EXPECT_EQ(last["outcome"], "rolled-back");
  EXPECT_THAT(last["notes"].dump(), HasSubstr("journal was lost"));
}

TEST_F(Story, DamagedJournalIsReplacedByItsLastCopy) {
  build("2.0", 2);
  init_with_remote();
  os_json({"deploy", "2.0"});
  const fs::path journal = node() / "ostree/deploy/honeycomb/var/lib/honeycomb/transaction.json";
  ASSERT_TRUE(write_atomically(journal, std::string(read_file(journal).value().substr(0, 100))));
  EXPECT_EQ(sandbox({"reboot", "node"}).status, 0);
  EXPECT_EQ(running_version(), "2.0");
}

TEST_F(Story, TrialWithoutAJournalThatDidNotBootIsEnded) {
  build("2.0", 2);
  init_with_remote();
  os_json({"deploy", "2.0"});
  const fs::path journal = node() / "ostree/deploy/honeycomb/var/lib/honeycomb/transaction.json";
  ASSERT_TRUE(fs::remove(journal));
  fs::remove(journal.string() + ".last");
  os_json({"resume"});
  EXPECT_EQ(os_json({"status"})["targets"][0]["slots"][1]["trial"], false);
  EXPECT_EQ(sandbox({"reboot", "node"}).status, 0);
  EXPECT_EQ(running_version(), "1.0");
  os_json({"deploy", "2.0"});
  EXPECT_EQ(sandbox({"reboot", "node"}).status, 0);
  EXPECT_EQ(running_version(), "2.0");
}

// CASES.md BT-1: a healthy system never loses its slot to short power cycles; a trial may use its tries.
TEST_F(Story, PowerCyclesDoNotUseUpAConfirmedSystem) {
  build("2.0", 2);
  init_with_remote();
  os_json({"deploy", "2.0"});
  EXPECT_EQ(sandbox({"reboot", "node"}).status, 0);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(sandbox({"reboot", "node"}).status, 0);
  EXPECT_EQ(running_version(), "2.0");
  const Json status = os_json({"status"});
  EXPECT_EQ(status["targets"][0]["tries_left"], 0);
}

// CASES.md ST-4: somebody made a file immutable. The upgrade counts, the clean-up waits.
TEST_F(Story, UndeletableOldVersionNeverBlocksTheNext) {
  for (const int n : {2, 3, 4}) build(std::to_string(n) + ".0", n);
  init_with_remote();
  put("node/ostree/slots/a/etc/mine", "do not touch");
  ASSERT_EQ(run({"chattr", "+i", "node/ostree/slots/a/etc/mine"}).status, 0);
  for (const char* version : {"2.0", "3.0", "4.0"}) {
    EXPECT_EQ(os({"deploy", version}).status, 0) << version;
    EXPECT_EQ(sandbox({"reboot", "node"}).status, 0) << version;
    EXPECT_EQ(running_version(), version);
  }
}

// CASES.md QU-2: nothing of one transaction is taken for another's.
TEST_F(Story, APeripheralIsUpgradedAndTakenBack) {
  const auto camera = [&](int version, const std::string& verify) {
    const fs::path root = "camera-" + std::to_string(version);
    put(root / "metadata.json", "{\"peripheral_name\": \"ptz-camera\", \"config_version\": \"" +
                                    std::to_string(version) +
                                    ".0\", \"retry_state_check\": 0, \"retry_install\": 0, \"retry_verify\": 0}");
    put(root / "hc_state_check.sh", "#!/bin/sh\nexit 0\n", 0755);
    put(root / "hc_install_upgrade.sh", "#!/bin/sh\necho " + std::to_string(version) + " > \"$HC_STATE_DIR/pan\"\n",
        0755);
    put(root / "hc_verify_upgrade.sh", "#!/bin/sh\n" + verify + "\n", 0755);
    hc_json({"build", root.string(), "--sequence", std::to_string(version), "--key", "release.key", "--repo", "repo"});
  };
  camera(1, "exit 0");
  camera(2, "grep -q 2 \"$HC_STATE_DIR/pan\"");
  camera(3, "exit 1");
  init_with_remote();
  const fs::path pan = node() / "ostree/deploy/honeycomb/var/lib/honeycomb/state/ptz-camera/pan";
  EXPECT_EQ(os_json({"deploy", "-t", "ptz-camera", "1.0"})["outcome"], "confirmed");
  EXPECT_EQ(os_json({"deploy", "-t", "ptz-camera", "2.0"})["outcome"], "confirmed");
  EXPECT_EQ(os_json({"deploy", "-t", "ptz-camera", "3.0"}, 9)["outcome"], "failed");
  EXPECT_EQ(read_file(pan).value(), "2\n") << "the camera is set back";
  EXPECT_EQ(os_json({"rollback", "ptz-camera"})["outcome"], "confirmed");
  EXPECT_EQ(read_file(pan).value(), "1\n");
}

TEST_F(Story, TwoDeploysAtOnceDoNotMix) {
  hook("2.0", "hc_install_upgrade.sh", "sleep 2");
  build("2.0", 2);
  init_with_remote();
  const CommandResult both =
      run({"sh", "-c",
           std::string("'") + HC_OS_PROGRAM + "' --sysroot node -q deploy 2.0 & sleep 1; '" + HC_OS_PROGRAM +
               "' --sysroot node -q deploy 2.0; echo second=$?; wait %1; echo first=$?"});
  EXPECT_THAT(both.output, HasSubstr("second=7"));
  EXPECT_THAT(both.output, HasSubstr("first=0"));
}

}  // namespace
}  // namespace hc
