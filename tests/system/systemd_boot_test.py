#!/usr/bin/env python3
"""systemd-boot in a PC with UEFI counts the entries that the engine writes: systemd_boot_test.py BOOT_SWITCH.

What is started is no Linux but a GRUB that says which slot it is and resets the machine, as a kernel that panics does.
"""

import shutil
import subprocess
import sys
import unittest
from pathlib import Path

from firmware import Board
from machine import OVMF, run

LOADER = Path("/usr/lib/systemd/boot/efi/systemd-bootx64.efi")
SIZE = 64  # MB


class SystemdBoot(Board):
    """A disk with nothing but the partition that the firmware reads."""

    kind = "systemd-boot"

    def __init__(self):
        super().__init__()
        shutil.copy(OVMF / "OVMF_VARS.fd", self.folder / "vars.fd")
        (self.boot / "loader/entries").mkdir(parents=True)
        (self.boot / "loader/loader.conf").write_text("timeout 0\ndefault honeycomb-*\n", encoding="ascii")
        (self.boot / "EFI/BOOT").mkdir(parents=True)
        shutil.copy(LOADER, self.boot / "EFI/BOOT/BOOTX64.EFI")
        for slot in "ab":
            folder = self.boot / "honeycomb" / slot
            folder.mkdir()
            self.make_kernel(slot, folder / "vmlinuz")
            self.switch("entry", slot, f"/honeycomb/{slot}/vmlinuz", f"quiet ostree=/ostree/slots/{slot}")
        self.esp = f"{self.disk}@@1M"
        self.write_disk()

    def make_kernel(self, slot, path):
        script = self.folder / "grub.cfg"
        script.write_text(f"echo started slot {slot}\nreboot\n", encoding="ascii")
        run("grub-mkimage", "--format", "x86_64-efi", "--prefix", "/none", "--config", script, "--output", path,
            "echo", "reboot")

    def write_disk(self):
        with open(self.disk, "wb") as file:
            file.truncate((SIZE + 2) << 20)
        subprocess.run(["sfdisk", "--quiet", self.disk], text=True, check=True, capture_output=True,
                       input=f"label: gpt\nstart=1MiB, size={SIZE}MiB, type=U\n")
        run("mformat", "-i", self.esp, "-F", "-T", SIZE * 2048, "-h", 64, "-s", 32, "::")
        run("mcopy", "-s", "-i", self.esp, *sorted(self.boot.iterdir()), "::/")

    def set(self, *words):
        self.power_off()
        self.switch(*words)
        self.write_disk()

    def read_switch(self):
        """The power goes; what systemd-boot left there, in the engine's words."""
        self.power_off()
        shutil.rmtree(self.boot / "loader/entries")
        run("mcopy", "-s", "-n", "-i", self.esp, "::/loader/entries", self.boot / "loader")
        return self.switch("state")

    def emulator(self):
        return ["qemu-system-x86_64", "-machine", "q35", "-drive", f"file={self.disk},if=virtio,format=raw",
                "-drive", f"if=pflash,format=raw,readonly=on,file={OVMF}/OVMF_CODE.fd",
                "-drive", f"if=pflash,format=raw,file={self.folder}/vars.fd"]

    def starts(self, count):
        if not self.qemu:
            self.power_on()
        return [self.expect(r"started slot (.)")[1] for _ in range(count)]


class Boots(unittest.TestCase):
    def setUp(self):
        self.board = SystemdBoot()
        self.addCleanup(self.board.close)

    def test_counts_down_and_falls_back(self):
        self.assertEqual(self.board.starts(2), ["a", "a"])
        self.assertEqual(self.board.read_switch(), ["a", "-", "0"])
        self.board.set("arm", "b", "2")
        self.assertEqual(self.board.starts(4), ["b", "b", "a", "a"])
        self.assertEqual(self.board.read_switch(), ["a", "b", "0"])
        # Tried once more, and confirmed while it runs: then nothing is counted.
        self.board.set("disarm")
        self.board.set("arm", "b", "2")
        self.assertEqual(self.board.starts(1), ["b"])
        self.assertEqual(self.board.read_switch(), ["a", "b", "1"])
        self.board.set("confirm", "b")
        self.assertEqual(self.board.starts(2), ["b", "b"])
        self.assertEqual(self.board.read_switch(), ["b", "-", "0"])
        # And the other way round, now that b is the one to fall back to.
        self.board.set("arm", "a", "1")
        self.assertEqual(self.board.starts(2), ["a", "b"])
        self.assertEqual(self.board.read_switch(), ["b", "a", "0"])


if __name__ == "__main__":
    Board.boot_switch = sys.argv[1]
    unittest.main(argv=[sys.argv[0], "--verbose", *sys.argv[2:]])
