#!/usr/bin/env python3
"""bootloader/uboot/boot.cmd in a real U-Boot for arm64, with the switch in two files: uboot_test.py BOOT_SWITCH BOOT_CMD.

What is started is no Linux but a few instructions that reset the machine, as a kernel that panics does. What U-Boot
decided is in what it prints, and in the files, which the engine reads.
"""

import struct
import subprocess
import sys
import unittest
from pathlib import Path

from firmware import Board
from machine import run

BOOT_CMD = None
UBOOT = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"
SIZE = 4096
COPIES = ("hc-switch.0", "hc-switch.1")


def resetting_kernel():
    """An arm64 Image whose first instructions ask the firmware (PSCI) for SYSTEM_RESET."""
    code = struct.pack("<IIII", 0x52800120, 0x72B08000, 0xD4000002, 0x14000000)  # mov w0, 9; movk w0, 0x8400; hvc 0; b .
    header = struct.pack("<IIQQQQQQ4sI", 0x14000010, 0, 0, 0x10000, 10, 0, 0, 0, b"ARM\x64", 0)
    return (header + code).ljust(0x1000, b"\0")


class Uboot(Board):
    """A FAT partition with the script and the switch; both slots on a second one with ext4."""

    kind = "uboot"

    def __init__(self):
        super().__init__()
        self.node = self.boot.parent
        etc = self.node / "etc"
        etc.mkdir()
        config = "".join(f"{self.node}/{name} 0x0 {SIZE:#x}\n" for name in COPIES)
        (etc / "fw_env.config").write_text(config, encoding="ascii")
        (self.folder / "variables").write_text("hc_good=a\nhc_try=-\nhc_tries=0\n", encoding="ascii")
        for name in COPIES:
            run("mkenvimage", "-r", "-p", "0x00", "-s", SIZE, "-o", self.node / name, self.folder / "variables")
            with open(self.node / name, "r+b") as file:  # the serial, which starts again at 0 with the next switch
                file.seek(4)
                file.write(b"\xff")
        for slot in "ab":
            folder = self.boot / "honeycomb" / slot
            folder.mkdir()
            (folder / "vmlinuz").write_bytes(resetting_kernel())
            self.switch("entry", slot, f"/honeycomb/{slot}/vmlinuz", f"root=LABEL=x quiet ostree=/ostree/slots/{slot}")
        run("mkimage", "-A", "arm64", "-T", "script", "-C", "none", "-d", BOOT_CMD, self.folder / "boot.scr")
        with open(self.disk, "wb") as file:
            file.truncate(100 << 20)
        subprocess.run(["sfdisk", "--quiet", self.disk], text=True, check=True, capture_output=True,
                       input="label: gpt\nstart=1MiB, size=40MiB, attrs=LegacyBIOSBootable\nstart=41MiB\n")
        self.fat = f"{self.disk}@@1M"
        run("mformat", "-i", self.fat, "-F", "-T", 40 * 2048, "-h", 64, "-s", 32, "::")
        run("mcopy", "-i", self.fat, self.folder / "boot.scr", "::/")
        self.write_slots()
        self.write_switch()

    def write_slots(self):
        run("mkfs.ext4", "-q", "-F", "-d", self.node, "-E", f"offset={41 << 20}", self.disk, "58m")

    def write_switch(self):
        for name in COPIES:
            run("mcopy", "-o", "-i", self.fat, self.node / name, "::/")

    def read_switch(self):
        """The power goes; what U-Boot left there, in the engine's words."""
        self.power_off()
        for name in COPIES:
            run("mcopy", "-n", "-o", "-i", self.fat, f"::/{name}", self.node)
        return self.switch("state")

    def set(self, *words):
        self.power_off()
        self.switch(*words)
        self.write_switch()

    def emulator(self):
        return ["qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a53", "-bios", UBOOT,
                "-drive", f"if=none,id=disk,format=raw,file={self.disk}", "-device", "virtio-blk-device,drive=disk"]

    def starts(self, count):
        """Slot and reason of the next starts."""
        if not self.qemu:
            self.power_on()
        return [self.expect(r"Node \(slot (.), (\S+)\)").groups() for _ in range(count)]


class Boots(unittest.TestCase):
    def setUp(self):
        self.board = Uboot()
        self.addCleanup(self.board.close)

    def test_counts_down_and_falls_back(self):
        self.assertEqual(self.board.starts(2), [("a", "confirmed")] * 2)
        self.board.set("arm", "b", "3")
        starts = self.board.starts(5)
        self.assertEqual(starts, [("b", "trial-2"), ("b", "trial-1"), ("b", "trial-0"),
                                  ("a", "fallback-tries-used"), ("a", "fallback-tries-used")])
        self.assertEqual(self.board.read_switch(), ["a", "b", "0"])
        # Tried once more, and confirmed while it runs: then nothing is counted.
        self.board.set("arm", "b", "2")
        self.assertEqual(self.board.starts(1), [("b", "trial-1")])
        self.assertEqual(self.board.read_switch(), ["a", "b", "1"])
        self.board.set("confirm", "b")
        self.assertEqual(self.board.starts(2), [("b", "confirmed")] * 2)
        self.assertEqual(self.board.read_switch(), ["b", "-", "0"])

    def test_a_kernel_that_is_not_there(self):
        self.board.set("arm", "b", "3")
        (self.board.boot / "honeycomb/b/vmlinuz").unlink()
        self.board.write_slots()
        self.assertEqual(self.board.starts(3), [("b", "trial-2"), ("a", "fallback-load-failed"),
                                                ("a", "fallback-tries-used")])
        self.assertEqual(self.board.read_switch(), ["a", "b", "0"])

    def test_damaged_copies(self):
        self.board.set("confirm", "b")  # the second copy says so; the first is the older one and says a
        whole = [(self.board.node / name).read_bytes() for name in COPIES]
        for damaged, start in [({0}, ("b", "confirmed")), ({1}, ("a", "confirmed")), ({0, 1}, ("a", "fallback-bad-env"))]:
            for copy, name in enumerate(COPIES):
                flipped = bytes([whole[copy][2000] ^ (copy in damaged)])
                (self.board.node / name).write_bytes(whole[copy][:2000] + flipped + whole[copy][2001:])
            self.board.power_off()
            self.board.write_switch()
            self.assertEqual(self.board.starts(1), [start])


if __name__ == "__main__":
    Board.boot_switch, BOOT_CMD = sys.argv[1], Path(sys.argv[2])
    unittest.main(argv=[sys.argv[0], "--verbose", *sys.argv[3:]])
