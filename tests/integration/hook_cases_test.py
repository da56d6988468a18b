#!/usr/bin/env python3
"""The cases of the kind "hooks", seen from the outside: what hc-os makes of hooks that wait, flood, leave things behind,
fail once or die. What the hook runner does about each is in hooks_runner_test.cc.

hook_cases_test.py PROGRAM_DIRECTORY...
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from node import OnNode, in_namespace, unittest  # noqa: E402

HOOKS = ("hc_state_check.sh", "hc_install_upgrade.sh", "hc_verify_upgrade.sh")


class HookCases(OnNode):
    def setUp(self):
        super().setUp()
        self.version = 0
        self.state = self.dir / "node/ostree/deploy/honeycomb/var/lib/honeycomb/state/sensor"

    def build(self, timeout_s=60, **scripts):
        """The next version of a peripheral `sensor`; hooks that are not named pass."""
        self.version += 1
        tree = self.dir / f"sensor-{self.version}"
        tree.mkdir()
        for hook in (*HOOKS, "hc_rollback_upgrade.sh"):
            script = scripts.get(hook.removeprefix("hc_").removesuffix(".sh"), "exit 0")
            (tree / hook).write_text("#!/bin/sh\n" + script + "\n")
            (tree / hook).chmod(0o755)
        limits = {f"timeout_{hook}_s": timeout_s for hook in ("state_check", "install", "verify")}
        retries = {f"retry_{hook}": 0 for hook in ("state_check", "install", "verify")}
        metadata = {"peripheral_name": "sensor", "config_version": str(self.version), **limits, **retries}
        (tree / "metadata.json").write_text(json.dumps(metadata))
        self.publish(tree)

    def deploy(self, outcome, *more):
        report = self.os("deploy", "-t", "sensor", str(self.version), *more, status=9 if outcome == "failed" else 0)
        self.assertEqual(report["outcome"], outcome, report)
        return report

    def transactions(self):
        return [transaction for transaction in self.history() if transaction["target"] == "sensor"]

    def next_one_works(self):
        """Whatever the last one was: the next good payload installs, and nothing of the last is left."""
        self.build()
        self.deploy("confirmed")
        self.assertEqual(self.mounts(), self.mounts_before)
        self.assertEqual(self.os("status")["waits_for_reboot"], False)

    def mounts(self):
        return Path("/proc/self/mounts").read_text()

    def run(self, result=None):
        self.mounts_before = self.mounts()
        return super().run(result)

    def test_hk1_hooks_that_wait(self):
        for name, script in (
            ("state_check", "sleep infinity"),
            ("install_upgrade", "trap '' TERM; sleep 1000"),
            ("verify_upgrade", "while :; do :; done"),
        ):
            with self.subTest(hook=name):
                self.build(timeout_s=1, **{name: script})
                report = self.deploy("failed")
                self.assertIn(f"hc_{name}.sh did not end within 1.0 s", report["failure"]["text"])
                hook = next(hook for hook in self.transactions()[-1]["hooks"] if hook["hook"] == f"hc_{name}.sh")
                self.assertEqual(hook["end"], "timed-out")
        self.next_one_works()

    def test_hk1_a_question_gets_no_answer(self):
        self.build(install_upgrade="read answer || exit 5; exit 0")
        self.deploy("failed")
        self.assertEqual(self.transactions()[-1]["hooks"][1]["exit_code"], 5)
        self.next_one_works()

    def test_hk2_processes_left_behind_are_named_and_gone(self):
        self.build(install_upgrade='setsid sleep 4711 & echo $! > "$HC_STATE_DIR/pid"; exit 0')
        self.deploy("confirmed")
        leftovers = self.transactions()[-1]["hooks"][1]["leftovers"]
        self.assertEqual(len(leftovers), 1)
        self.assertIn("sleep 4711", leftovers[0])
        pid = (self.state / "pid").read_text().strip()
        self.assertFalse(Path("/proc", pid).exists())
        self.next_one_works()

    def test_hk2_hooks_get_no_descriptor_of_the_engine(self):
        self.build(install_upgrade="exec ls -1 /proc/self/fd")
        self.deploy("confirmed")
        # 3 is the directory that ls itself reads.
        self.assertEqual(self.transactions()[-1]["hooks"][1]["output"].split(), ["0", "1", "2", "3"])

    def test_hk4_rubbish_and_floods_leave_a_history_that_can_be_read(self):
        self.build(
            state_check="printf 'a\\000\\377\\033[2J\\nforged: all is well\\n'; exit 0",
            install_upgrade="head -c 20000000 /dev/urandom; yes | head -c 50000000",
            verify_upgrade="head -c 30000000 /dev/zero | tr '\\0' x; echo only errors >&2; exec >&- 2>&-; exit 0",
        )
        self.deploy("confirmed")
        check, install, verify = self.transactions()[-1]["hooks"]
        self.assertEqual(check["output"], "a\\x00\\xff\\x1b[2J\nforged: all is well\n")
        self.assertGreater(install["dropped_bytes"], 60_000_000)
        self.assertTrue(verify["output"].endswith("only errors\n"))
        told = self.run_in("hc-os", "--sysroot", "node", "history").output
        self.assertNotIn("\x1b", told)
        on_disk = sum(file.stat().st_size for file in self.state.parents[1].glob("history/**/*") if file.is_file())
        self.assertLess(on_disk, 2_000_000)
        self.next_one_works()

    def test_hk5_a_second_try_runs_every_step_again(self):
        """Failing, and dying, in each of the three hooks: nothing of the first try makes the second one skip."""
        for hook in HOOKS:
            for how in ("exit 3", "kill -9 $$"):
                with self.subTest(hook=hook, how=how):
                    name = hook.removeprefix("hc_").removesuffix(".sh")
                    count = {n: f'echo {n} >> "$HC_STATE_DIR/ran"; ' for n in ("state_check", "install_upgrade", "verify_upgrade")}
                    scripts = {n: text + "exit 0" for n, text in count.items()}
                    scripts[name] = count[name] + f'[ -e "$HC_STATE_DIR/seen" ] || {{ : > "$HC_STATE_DIR/seen"; {how}; }}'
                    self.build(**scripts)
                    self.deploy("failed")
                    self.assertNotIn(str(self.version), self.installed())
                    (self.state / "ran").unlink()
                    self.deploy("confirmed", "--again")
                    ran = (self.state / "ran").read_text().split()
                    self.assertEqual(ran[:3], ["state_check", "install_upgrade", "verify_upgrade"])
                    self.assertIn(str(self.version), self.installed())
                    (self.state / "seen").unlink()
                    (self.state / "ran").unlink()

    def installed(self):
        targets = [target for target in self.os("status")["targets"] if target["target"] == "sensor"]
        return [slot["version"] for target in targets for slot in target["slots"] if slot.get("running")]

    def test_hk7_mounts_and_places_of_a_hook_that_dies_are_its_own(self):
        mnt = self.dir / "mnt"
        mnt.mkdir()
        self.build(install_upgrade=f"mount -t tmpfs none {mnt} || exit 9; mount --bind / {mnt}; kill -9 $$")
        self.deploy("failed")
        self.assertEqual(self.transactions()[-1]["hooks"][1]["end"], "killed")
        self.build(install_upgrade='cd "$HC_SLOT_ROOT"; setsid sleep 4712 & kill -9 $$')
        self.deploy("failed")
        self.build(install_upgrade="cd /; umask 000; ulimit -n 3; exit 0")
        self.deploy("confirmed")
        self.next_one_works()

    def test_hk7_the_engine_is_killed_while_a_hook_has_something_mounted(self):
        mnt = self.dir / "mnt"
        mnt.mkdir()
        self.build(
            install_upgrade=f'mount -t tmpfs none {mnt} || exit 9; echo $$ > "$HC_STATE_DIR/pid"; sleep 1000 & wait'
        )
        with self.start_os("deploy", "-t", "sensor", str(self.version)) as deploy:
            while not (self.state / "pid").exists() or not (self.state / "pid").read_text().endswith("\n"):
                self.assertIsNone(deploy.poll(), "it ended before its hook began")
                time.sleep(0.02)
            os.kill(deploy.pid, signal.SIGKILL)
        pid = int((self.state / "pid").read_text())
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.02)  # its guard sees that the engine has gone
        self.assertEqual(self.mounts(), self.mounts_before)
        self.os("resume", status=None)
        self.assertEqual(self.transactions()[-1]["outcome"], "failed")
        self.next_one_works()


if __name__ == "__main__":
    in_namespace()
    unittest.main(verbosity=2)
