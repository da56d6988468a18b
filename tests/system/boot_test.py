#!/usr/bin/env python3
"""What a node does when it really starts: boot_test.py FOLDER TEST...: FOLDER is what make_payloads made."""

import os
import random
import sys
import time
import unittest
from pathlib import Path

from node import Node, Repository

FOLDER = None
FULL = bool(os.environ.get("HC_FULL"))


class Scenario(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.repository = Repository(FOLDER / "repo")
        self.addCleanup(self.repository.close)

    def node(self, tries=3, uefi=False, fresh=False):
        """A new node on a disk of its own, started once, with version 1.0; where it need not be fresh, by others."""
        node = Node(FOLDER / "disk.img", uefi, None if uefi or fresh else FOLDER / "asleep")
        self.addCleanup(node.close)
        node.set_up(self.repository, tries)
        return node

    def deploy(self, node, version, status=0):
        return node.os("deploy", version, status=status)

    def assert_runs(self, node, version, status=None):
        self.assertEqual(node.running(status)[1:], (version, True))

    def assert_fell_back(self, node, before, version):
        """On 1.0 as before, and the history says that `version` was taken back; its last transaction."""
        status = node.os("status")
        self.assertEqual(status["targets"], before["targets"])
        last = node.last()
        self.assertEqual((last["to"]["version"], last["outcome"]), (version, "rolled-back"))
        return last

    def failing_boot(self, version, tries, starts):
        """A version that does not come up: the bootloader ends it, and nobody touches the console."""
        node = self.node(tries)
        before = node.os("status")
        self.deploy(node, version)
        node.restart()
        self.assertEqual(node.starts(), ["confirmed", *starts])
        last = self.assert_fell_back(node, before, version)
        self.assertIn("did not start", last["failure"]["text"])
        return node, last


class Upgrade(Scenario):
    def test_bios(self):
        node = self.node(fresh=True)
        self.assert_runs(node, "1.0")
        self.assertEqual(node.must("systemctl --failed --no-legend"), "")
        # What must never be writable, and what must.
        self.assertIn(",ro," , "," + node.must("findmnt -no OPTIONS /sysroot") + ",")
        node.must("touch /usr/x || touch /sysroot/x", status=1)
        node.must("touch /etc/x /var/x /tmp/x && rm /etc/x /var/x /tmp/x")

        before = node.os("status")
        self.deploy(node, "1.0-verify", status=9)
        self.assertEqual(node.os("status")["targets"], before["targets"])
        failed = node.last()
        self.assertEqual((failed["outcome"], failed["failure"]["step"]), ("failed", "verify-hooks"))
        self.assertIn("told to refuse", failed["hooks"][-1]["output"])

        node.must("echo local >/etc/was-here; sed -i 's/localhost/localhost camera/' /etc/hosts")
        kernel = node.must("uname -r")
        self.deploy(node, "2.0")
        self.assertTrue(node.os("status")["waits_for_reboot"])
        self.assert_runs(node, "2.0", node.restart())
        self.assertEqual(node.starts(), ["confirmed", "trial-2"])
        self.assertNotEqual(node.must("uname -r"), kernel)
        self.assertIn("camera", node.must("cat /etc/was-here /etc/hosts"))
        node.os("verify")

        # Back, and back again: a rollback is a trial too.
        for version in ("1.0", "2.0"):
            node.os("rollback")
            self.assert_runs(node, version, node.restart())
        self.assertEqual(node.must("uname -r") == kernel, False)
        self.assertEqual(node.starts()[2:], ["trial-2", "trial-2"])
        self.assertEqual(node.outcomes(), [("1.0", "confirmed"), ("1.0-verify", "failed"), ("2.0", "confirmed"),
                                           ("1.0", "confirmed"), ("2.0", "confirmed")])

    def test_uefi(self):
        node = self.node(uefi=True)
        node.must("test -d /sys/firmware/efi")
        self.deploy(node, "2.0")
        self.assert_runs(node, "2.0", node.restart())
        self.assertEqual(node.starts(), ["confirmed", "trial-2"])


class Failing(Scenario):
    def test_panic(self):
        node, _ = self.failing_boot("1.0-panic", 3, ["trial-2", "trial-1", "trial-0", "fallback-tries-used"])
        # It stays so.
        node.restart()
        self.assertEqual(node.starts()[-1], "confirmed")

    def test_hang_in_initramfs(self):
        self.failing_boot("1.0-hang", 1, ["trial-0", "fallback-tries-used"])

    def test_stuck_before_the_checks(self):
        self.failing_boot("1.0-stuck", 1, ["trial-0", "fallback-tries-used"])

    def test_emergency_mode(self):
        self.failing_boot("1.0-emergency", 2, ["trial-1", "trial-0", "fallback-tries-used"])

    def test_engine_crashes(self):
        self.failing_boot("1.0-crash", 1, ["trial-0", "fallback-tries-used"])

    def test_peripheral_goes_back_too(self):
        node = self.node(1)
        node.os("deploy", "--target", "lamp", "1")
        before = node.os("status")
        self.deploy(node, "1.0-lamp")
        self.assertEqual(node.must("cat /var/lib/lamp"), "2")  # devices change before the boot
        node.restart()
        self.assertEqual(node.starts(), ["confirmed", "trial-0", "fallback-tries-used"])
        self.assert_fell_back(node, before, "1.0-lamp")
        self.assertEqual(node.must("cat /var/lib/lamp"), "1")
        self.assertEqual(node.outcomes("lamp"), [("1", "confirmed"), ("2", "rolled-back")])

    def unhealthy(self, version, check):
        node = self.node()
        before = node.os("status")
        self.deploy(node, version)
        node.restart()
        # One boot is enough: what runs sees that it is not well.
        self.assertEqual(node.starts(), ["confirmed", "trial-2", "confirmed"])
        last = self.assert_fell_back(node, before, version)
        self.assertEqual(last["failure"]["step"], "health")
        self.assertIn(check, last["failure"]["text"])
        return node, last

    def test_health_check(self):
        _, last = self.unhealthy("1.0-sick", "50-camera")
        self.assertIn("the camera does not answer", str(last["health"]))

    def test_network_gone(self):
        node, _ = self.unhealthy("1.0-offline", "hub")
        # Reachable again, so that a better version can come.
        self.deploy(node, "2.0")
        self.assert_runs(node, "2.0", node.restart())


class PowerCut(Scenario):
    """The plug is pulled at any moment; what has to be true after the next boots is always the same."""

    def seed(self):
        seed = int(os.environ.get("HC_SEED", time.time_ns() % 1_000_000))
        print(f"HC_SEED={seed}")
        return random.Random(seed)

    def cut(self, node, words, seconds):
        node.must(f"systemd-run --quiet --collect hc-os {' '.join(words)}")
        time.sleep(seconds)
        node.power_cycle()
        return node.settle()

    def cuts(self, node, words, count, longest):
        """Each time: one of both versions runs and is confirmed, both slots are whole, and the next deploy works."""
        chance = self.seed()
        for _ in range(count):
            before = node.running()
            after = node.running(self.cut(node, words, chance.uniform(0, longest)))
            self.assertTrue(after[2])
            self.assertIn(after[1], ("1.0", "2.0"))
            for t in node.history():
                self.assertIn(t["outcome"], ("confirmed", "failed", "cancelled", "rolled-back"))
            node.os("verify")
            if after != before and words[0] == "deploy":
                node.os("rollback")
                self.assert_runs(node, "1.0", node.restart())

    def test_deploy(self):
        node = self.node()
        self.cuts(node, ["deploy", "2.0", "--again"], 20 if FULL else 3, 30)

    def test_rollback(self):
        node = self.node()
        self.deploy(node, "2.0")
        self.assert_runs(node, "2.0", node.restart())
        self.cuts(node, ["rollback"], 5 if FULL else 1, 3)

    def test_trial(self):
        node = self.node()
        # A confirmed version is never counted, however often the power goes.
        for _ in range(3):
            node.power_off()
            node.power_on()
            node.wait_for_boot()
        self.assert_runs(node, "1.0", node.settle())
        self.deploy(node, "2.0")
        node.power_off()
        for _ in range(2):
            node.power_on()
            node.wait_for_boot()
            node.power_off()
        node.power_on()
        node.wait_for_boot()
        self.assert_runs(node, "2.0", node.settle())
        self.assertEqual(node.starts(), ["confirmed"] * 4 + ["trial-2", "trial-1", "trial-0"])


class Grubenv(Scenario):
    DAMAGE = {
        "zeros": "dd if=/dev/zero of=/boot/grub/grubenv bs=1024 count=1 conv=notrunc",
        "cut": "truncate -s 700 /boot/grub/grubenv",
        "empty": ": >/boot/grub/grubenv",
        "gone": "rm /boot/grub/grubenv",
    }

    def damage(self, node, kind):
        node.must(f"unshare -m sh -c 'mount -o remount,rw /boot; {self.DAMAGE[kind]}'; sync")

    def test_damaged(self):
        node = self.node()
        self.deploy(node, "2.0")
        self.assert_runs(node, "2.0", node.restart())  # slot b: a wrong guess would show
        for kind in self.DAMAGE:
            self.damage(node, kind)
            self.assert_runs(node, "2.0", node.restart())
            self.assertEqual(node.starts()[-1], "fallback-bad-env")
        # While another version waits for its trial: that is lost, the confirmed one is not.
        self.deploy(node, "1.0")
        self.damage(node, "cut")
        self.assert_runs(node, "2.0", node.restart())
        self.assertEqual(node.last()["outcome"], "rolled-back")
        self.deploy(node, "1.0", status=3)  # it is believed to have failed
        node.os("deploy", "1.0", "--again")
        self.assert_runs(node, "1.0", node.restart())


class Carried(Scenario):
    def test_three_upgrades(self):
        node = self.node()
        node.must("echo one >/etc/was-here; echo data >/var/lib/svc/data; chown svc:svc /var/lib/svc/data")
        for version in ("2.0", "3.0", "4.0"):
            self.deploy(node, version)
            self.assert_runs(node, version, node.restart())
            node.must(f"echo {version} >>/etc/was-here")
            arguments = node.must("cat /proc/cmdline").split()
            self.assertIn("honeycomb.node=kept", arguments)
            self.assertEqual([a for a in arguments if a.startswith("honeycomb.test=")], [f"honeycomb.test={version}"])
            # Its number has moved; its data goes with its name.
            self.assertEqual(node.must("id -u svc").strip(), "976" if version == "2.0" else "975")
            self.assertEqual(node.must("stat -c %U /var/lib/svc/data").strip(), "svc")
        self.assertEqual(node.must("cat /etc/was-here").split(), ["one", "2.0", "3.0", "4.0"])


if __name__ == "__main__":
    FOLDER = Path(sys.argv[1])
    unittest.main(argv=[sys.argv[0], "--verbose", *sys.argv[2:]])
