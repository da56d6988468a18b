#!/usr/bin/env python3
"""A fault in place of every system call of a deploy that touches the node, one at a time: it ends with a clear error or
without noticing, and the node is old and clean, or new and good. Also: killed before each change, a clock that jumps,
and a /var that cannot be written.

usage: faults_test.py DIRECTORY-OF-PROGRAMS... [TEST]"""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from node import OnNode, in_namespace, unittest  # noqa: E402
from programs import remove, run  # noqa: E402

FULL = os.environ.get("HC_FULL") == "1"
# Of each kind of fault; the places move on with each kind, so that together they cover more.
POINTS = 1_000_000 if FULL else 5
STATE = "ostree/deploy/honeycomb/var/lib/honeycomb"


class Faults(OnNode):
    def setUp(self):
        super().setUp()
        self.sequence = 1
        tree = self.dir / "os"
        shutil.copytree(self.first / "os", tree, symlinks=True)
        (tree / "usr/share").mkdir()
        (tree / "usr/share/version").write_text("2.0\n")
        (tree / "usr/lib/os-release").write_text('ID=test\nPRETTY_NAME="Test OS"\nVERSION_ID=2.0\n')
        self.publish("os", "--target", "os", "--version", "2.0")
        self.trial = self.dir / "trial"

    def deploy(self, calls, at, fault, **more):
        """The deploy of a copy of the node, with a fault at one call. Gives how it ended, and how many calls there were."""
        remove(self.trial)
        subprocess.run(["cp", "-a", self.dir / "node", self.trial], check=True)
        counter = self.dir / "counter"
        counter.write_bytes(bytes(8))
        environment = {
            "LD_PRELOAD": shutil.which("honeycomb-faults.so"),
            "ASAN_OPTIONS": "verify_asan_link_order=0",
            "HC_FAULT_ROOT": str(self.trial),
            "HC_FAULT_COUNTER": str(counter),
            "HC_FAULT_CALLS": calls,
            "HC_FAULT_AT": str(at),
            "HC_FAULT_WITH": str(fault),
            **more,
        }
        done = run("hc-os", "--sysroot", self.trial, "--json", "deploy", "2.0", environment=environment)
        return done, int.from_bytes(counter.read_bytes(), "little")

    def judge(self, done, what):
        """Whatever happened: after the next start the node runs one whole version, and nothing is left over."""
        self.assertNotIn("Sanitizer", done.errors, what)
        self.assertIn(done.status, (*range(0, 40), -9), f"{what}: {done}")
        if done.status > 0:
            self.assertTrue(json.loads(done.output), f"{what}: {done}")
        restart = run("hc-sandbox", "--quiet", "reboot", self.trial)
        status = json.loads(run("hc-os", "--sysroot", self.trial, "--json", "status").output)
        running = [slot for slot in status["targets"][0]["slots"] if slot["running"]]
        self.assertEqual([slot["confirmed"] for slot in running], [True], f"{what}: {restart}")
        version = running[0]["version"]
        self.assertIn(version, ("1.0", "2.0"), what)
        if done.status == 0:
            self.assertEqual(version, "2.0", f"{what}: it was reported as done: {restart}")
        verified = run("hc-os", "--sysroot", self.trial, "verify")
        self.assertEqual(verified.status, 0, f"{what}: {verified}")
        self.assertFalse((self.trial / STATE / "transaction.json").exists(), what)
        self.assertLessEqual({path.name for path in (self.trial / "ostree/slots").iterdir()}, {"a", "b"}, what)
        return version

    def sweep(self, calls, fault, offset):
        done, count = self.deploy(calls, 0, 0)
        self.assertEqual(done.status, 0, done)
        self.assertGreater(count, 20)
        step = max(1, count // POINTS)
        ends = {}
        for at in range(1 + offset % step, count + 1, step):
            done, _ = self.deploy(calls, at, fault)
            version = self.judge(done, f"{calls} {at} of {count}: {fault}")
            ends[done.status, version] = ends.get((done.status, version), 0) + 1
        print(f"{calls} {fault}: {count} places, tried every {step}.: {ends}", flush=True)

    def test_changes_fail(self):
        for offset, fault in enumerate((errno.ENOSPC, errno.EIO, errno.EROFS, errno.EINTR)):
            self.sweep("change", fault, offset * 17)

    def test_opens_fail(self):
        for offset, fault in enumerate((errno.EMFILE, errno.ENOMEM)):
            self.sweep("open", fault, offset * 13)

    def test_reads_fail(self):
        self.sweep("read", errno.EIO, 3)

    def test_killed(self):
        self.sweep("change", "kill", 5)

    def test_clock_that_jumps(self):
        """Ten years ahead and ten years back, at every look."""
        done, _ = self.deploy("none", 0, 0, HC_FAULT_CLOCK=str(10 * 365 * 86400))
        self.judge(done, "a clock that jumps")
        self.assertEqual(done.status, 0, done)

    def test_read_only_var(self):
        var = self.dir / "node/ostree/deploy/honeycomb/var"
        before = self.os("status")
        subprocess.run(["mount", "--bind", var, var], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", var], check=True)
        done = run("hc-os", "--sysroot", self.dir / "node", "deploy", "2.0")
        subprocess.run(["umount", var], check=True)
        self.assertGreater(done.status, 0, done)
        self.assertIn("Read-only file system", done.errors)
        self.assertEqual(self.os("status"), before)
        self.os("deploy", "2.0")


if __name__ == "__main__":
    in_namespace()
    unittest.main()
