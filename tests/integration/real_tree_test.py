#!/usr/bin/env python3
"""A real Debian node in a folder: upgraded, downgraded, and broken in every way that a version can break it.

real_tree_test.py TREES PROGRAM_DIRECTORY...: TREES holds two trees that `hc-image tree` made, `released` and `updated`.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TREES = None

# Says no where the node's state says so, so that one version can fail at will.
VERIFY_HOOK = """#!/bin/sh
echo "phase $HC_PHASE"
[ "$(cat "$HC_STATE_DIR/refuse" 2>/dev/null)" != "$HC_PHASE" ] || { echo "told to refuse"; exit 7; }
"""


def run(*command, status=0, cwd=None):
    """Runs a program that must end with `status`; what it printed on standard output."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != status:
        raise AssertionError(
            f"{' '.join(map(str, command))}: exit status {done.returncode}, not {status}\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def remove(folder):
    """Deployments carry the immutable flag."""
    subprocess.run(["chattr", "-R", "-f", "-i", str(folder)], capture_output=True, check=False)
    shutil.rmtree(folder)


def content(folder, below=("",)):
    """Every entry: type, mode, owner, size or link, and for files which inode and when it was written."""
    found = {}
    for start in below:
        for path, directories, files in os.walk(folder / start):
            for name in directories + files:
                full = os.path.join(path, name)
                entry = os.lstat(full)
                told = [oct(entry.st_mode), entry.st_uid, entry.st_gid]
                if stat.S_ISLNK(entry.st_mode):
                    told.append(os.readlink(full))
                elif stat.S_ISREG(entry.st_mode):
                    told += [entry.st_size, entry.st_ino, entry.st_mtime_ns]
                found[os.path.relpath(full, folder)] = told
    return found


class RealNode(unittest.TestCase):
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        cls.work = Path(tempfile.mkdtemp(prefix="honeycomb-real-"))
        cls.addClassCleanup(remove, cls.work)
        run("hc-payload", "keygen", cls.work / "release")
        cls.build(TREES / "released", "1.0", 1)
        cls.build(TREES / "updated", "2.0", 2)
        broken = cls.work / "broken"
        run("cp", "-a", TREES / "updated", broken)
        hook = broken / "usr/lib/honeycomb/upgrade/hc_verify_upgrade.sh"
        hook.parent.mkdir(parents=True)
        hook.write_text(VERIFY_HOOK, encoding="utf-8")
        hook.chmod(0o755)
        cls.build(broken, "3.0", 3)

    @classmethod
    def build(cls, tree, version, sequence):
        run("hc-payload", "--quiet", "build", tree, "--target", "os", "--version", version, "--sequence", sequence,
            "--key", cls.work / "release.key", "--repo", cls.work / "repo")

    def setUp(self):
        self.node = Path(tempfile.mkdtemp(prefix="node-", dir=self.work))
        self.node.rmdir()
        run("hc-sandbox", "init", self.node, "--repo", self.work / "repo", "--version", "1.0",
            "--trust", self.work / "release.pub")
        self.addCleanup(remove, self.node)
        self.os("remote", "add", "origin", self.work / "repo")

    def os(self, *words, status=0):
        return json.loads(run("hc-os", "--sysroot", self.node, "--json", *words, status=status))

    def reboot(self, *words, status=0):
        run("hc-sandbox", "reboot", self.node, *words, status=status)

    def running(self):
        slots = self.os("status")["targets"][0]["slots"]
        return next(slot for slot in slots if slot["running"])

    def root(self):
        return self.node / "ostree/slots" / self.running()["slot"]

    def last(self):
        return self.os("history")["transactions"][-1]

    def state(self):
        """What must be the same after a failure: the slots, what starts the node, and every file of what runs."""
        status = self.os("status")
        root = self.root().resolve()
        return {
            "targets": status["targets"],
            "transaction": status["transaction"],
            "links": {slot: os.readlink(self.node / "ostree/slots" / slot)
                      for slot in ("a", "b") if (self.node / "ostree/slots" / slot).is_symlink()},
            "running": content(root),
            "entry": content(self.node / "boot/honeycomb" / self.running()["slot"]),
        }

    def upgraded(self):
        """A node on 2.0 that came from 1.0."""
        self.os("deploy", "2.0")
        self.reboot()
        self.assertEqual((self.running()["version"], self.running()["confirmed"]), ("2.0", True))

    def assert_as_before(self, before):
        after = self.state()
        for key, value in before.items():
            self.assertEqual(after[key], value, key)

    def test_both_ways_and_what_the_node_changed_stays(self):
        etc = self.root() / "etc"
        (etc / "honeycomb-was-here").write_text("local\n", encoding="utf-8")
        (etc / "hosts").write_text("127.0.0.1 localhost camera\n", encoding="utf-8")
        kernels = {os.listdir(self.root() / "usr/lib/modules")[0]}
        for version in ("2.0", "1.0"):
            self.os("deploy", version)
            self.reboot()
            running = self.running()
            self.assertEqual((running["version"], running["confirmed"]), (version, True))
            etc = self.root() / "etc"
            self.assertEqual((etc / "honeycomb-was-here").read_text(encoding="utf-8"), "local\n")
            self.assertIn("camera", (etc / "hosts").read_text(encoding="utf-8"))
            kernels.add(os.listdir(self.root() / "usr/lib/modules")[0])
        self.assertEqual(len(kernels), 2, "the update brings another kernel")
        self.os("verify")
        outcomes = [(t["to"]["version"], t["outcome"]) for t in self.os("history")["transactions"]]
        self.assertEqual(outcomes, [("1.0", "confirmed"), ("2.0", "confirmed"), ("1.0", "confirmed")])

    def test_history_says_it_all(self):
        self.upgraded()
        t = self.last()
        for key in ("id", "target", "request", "from", "to", "manifest", "steps", "hooks", "health", "outcome"):
            self.assertIn(key, t)
        self.assertEqual(t["request"]["what"], "2.0")
        self.assertEqual(t["from"]["version"], "1.0")
        self.assertEqual(len(t["to"]["commit"]), 64)
        for step in t["steps"]:
            self.assertEqual(step["outcome"], "reboot" if step["name"] == "reboot" and step is not t["steps"][-1]
                             and step["outcome"] == "reboot" else "ok")
            self.assertGreaterEqual(step["duration_ms"], 0)

    def refuse(self, phase):
        state = self.node / "ostree/deploy" / self.stateroot() / "var/lib/honeycomb/state/os"
        state.mkdir(parents=True, exist_ok=True)
        (state / "refuse").write_text(phase + "\n", encoding="utf-8")

    def stateroot(self):
        return os.listdir(self.node / "ostree/deploy")[0]

    def test_a_verify_hook_that_says_no_before_the_switch(self):
        self.upgraded()
        self.refuse("pre-switch")
        before = self.state()
        self.os("deploy", "3.0", status=9)
        self.assert_as_before(before)
        t = self.last()
        self.assertEqual((t["outcome"], t["failure"]["step"]), ("failed", "verify-hooks"))
        self.assertIn("exit status 7", t["failure"]["text"])
        self.assertIn("told to refuse", t["hooks"][-1]["output"])
        self.reboot()
        self.assertEqual(self.running()["version"], "2.0")

    def test_a_verify_hook_that_says_no_after_the_boot(self):
        self.upgraded()
        self.refuse("post-boot")
        before = self.state()
        self.os("deploy", "3.0")
        self.reboot(status=9)
        self.assert_as_before(before)
        t = self.last()
        self.assertEqual((t["outcome"], t["failure"]["step"]), ("rolled-back", "health"))
        self.assertEqual(t["hooks"][-1]["phase"], "post-boot")

    def test_a_version_that_does_not_start(self):
        self.upgraded()
        for fault in ("panic", "hang"):
            with self.subTest(fault):
                before = self.state()
                self.os("deploy", "3.0", "--again")
                self.reboot("--fail", fault, status=10)
                self.assert_as_before(before)
                t = self.last()
                self.assertEqual(t["outcome"], "rolled-back")
                self.assertIn("did not start", t["failure"]["text"])

    def test_a_health_check_that_fails(self):
        self.upgraded()
        check = self.root() / "etc/honeycomb/health.d/required/10-release"
        check.parent.mkdir(parents=True, exist_ok=True)
        check.write_text('#!/bin/sh\n[ "$HC_STATE_DIR" != "" ] && [ ! -e "$HC_STATE_DIR/sick" ]\n', encoding="utf-8")
        check.chmod(0o755)
        before = self.state()
        self.os("deploy", "3.0")
        sick = self.node / "ostree/deploy" / self.stateroot() / "var/lib/honeycomb/sick"
        sick.write_text("", encoding="utf-8")
        self.reboot(status=10)
        sick.unlink()
        self.assert_as_before(before)
        t = self.last()
        self.assertEqual((t["outcome"], t["failure"]["step"]), ("rolled-back", "health"))
        self.assertIn("10-release", t["failure"]["text"])

    def test_taken_back_before_the_restart(self):
        self.upgraded()
        before = self.state()
        self.os("deploy", "3.0")
        self.assertTrue(self.os("status")["waits_for_reboot"])
        self.os("rollback", status=130)
        self.assert_as_before(before)
        self.assertEqual(self.last()["outcome"], "cancelled")

    def test_a_plan_changes_nothing(self):
        before = self.state()
        plan = self.os("deploy", "2.0", "--plan")
        self.assertEqual((plan["version"], plan["signers"]), ("2.0", ["release"]))
        self.assert_as_before(before)


if __name__ == "__main__":
    TREES = Path(sys.argv[1])
    os.environ["PATH"] = os.pathsep.join(sys.argv[2:] + [os.environ["PATH"]])
    unittest.main(argv=sys.argv[:1])
