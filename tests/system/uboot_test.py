#!/usr/bin/env python3
"""bootloader/uboot/boot.cmd in a real U-Boot for arm64: uboot_test.py BOOT_CMD.

What is started is no Linux but a few instructions that reset the machine, as a kernel that panics does. What U-Boot
decided is in what it prints.
"""

import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from machine import die_with_parent

BOOT_CMD = None
UBOOT = Path("/usr/lib/u-boot/qemu_arm64/u-boot.bin")
FLASH = 64 << 20


def resetting_kernel():
    """An arm64 Image whose first instructions ask the firmware (PSCI) for SYSTEM_RESET."""
    code = struct.pack("<IIII", 0x52800120, 0x72B08000, 0xD4000002, 0x14000000)  # mov w0, 9; movk w0, 0x8400; hvc 0; b .
    header = struct.pack("<IIQQQQQQ4sI", 0x14000010, 0, 0, 0x10000, 0, 0, 0, 0, b"ARM\x64", 0)
    return (header + code).ljust(0x1000, b"\0")


def run(*command):
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


class Board:
    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="honeycomb-uboot-"))
        self.disk = self.folder / "disk.img"
        flash = self.folder / "flash0"
        shutil.copy(UBOOT, flash)
        os.truncate(flash, FLASH)
        with open(self.folder / "flash1", "wb") as file:  # the environment: erased
            for _ in range(FLASH >> 20):
                file.write(b"\xff" * (1 << 20))
        self.fill_disk()
        self.text = ""
        self.qemu = self.serial = None

    def fill_disk(self):
        """One ext4 partition with both slots, as the engine writes them, and the script."""
        root = self.folder / "root"
        for slot in "ab":
            entry = root / "boot/honeycomb" / slot
            entry.mkdir(parents=True)
            (entry / "vmlinuz").write_bytes(resetting_kernel())
            (entry / "slot.env").write_text(
                f"hc_title=Node\nhc_kernel=/honeycomb/{slot}/vmlinuz\nhc_args=root=LABEL=x quiet ostree=/ostree/slots/{slot}\n",
                encoding="ascii")
        run("mkimage", "-A", "arm64", "-T", "script", "-C", "none", "-d", BOOT_CMD, root / "boot/boot.scr")
        with open(self.disk, "wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["sfdisk", "--quiet", self.disk], input="label: gpt\nstart=1MiB, attrs=LegacyBIOSBootable\n",
                       text=True, check=True, capture_output=True)
        run("mkfs.ext4", "-q", "-d", root, "-E", "offset=1048576", self.disk, "62m")

    def power_on(self):
        where = self.folder / "serial"
        where.unlink(missing_ok=True)
        self.qemu = subprocess.Popen(
            ["qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a53", "-accel", "tcg",
             "-m", "256", "-display", "none",
             "-nodefaults", "-net", "none",
             "-drive", f"if=pflash,format=raw,file={self.folder}/flash0,readonly=on",
             "-drive", f"if=pflash,format=raw,file={self.folder}/flash1",
             "-drive", f"if=none,id=disk,format=raw,file={self.disk}", "-device", "virtio-blk-device,drive=disk",
             "-chardev", f"socket,id=serial,path={where},server=on,wait=on", "-serial", "chardev:serial"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        self.serial = socket.socket(socket.AF_UNIX)
        limit = time.monotonic() + 60
        while self.serial.connect_ex(str(where)) != 0:
            if time.monotonic() > limit or self.qemu.poll() is not None:
                raise AssertionError("QEMU does not start")
            time.sleep(0.1)
        self.text = ""

    def power_off(self):
        if self.qemu:
            self.qemu.kill()
            self.qemu.wait()
            self.serial.close()
        self.qemu = None

    def close(self):
        self.power_off()
        shutil.rmtree(self.folder)

    def expect(self, pattern, limit=180):
        """Reads on until the pattern appears; what was read after it is kept for the next."""
        end = time.monotonic() + limit
        while True:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end():]
                return found
            left = end - time.monotonic()
            self.serial.settimeout(max(left, 0.1))
            try:
                more = self.serial.recv(1 << 16)
            except TimeoutError:
                more = b""
            if left <= 0 or not more:
                raise AssertionError(f"{pattern!r} does not come; U-Boot said:\n{self.text[-3000:]}")
            self.text += more.decode("ascii", errors="replace").replace("\r", "")

    def set(self, **variables):
        """At the prompt, as an operator does it once; saved."""
        self.power_off()
        self.power_on()
        self.expect("Hit any key to stop autoboot")
        self.serial.sendall(b"\n")
        self.expect("=> ")
        for name, value in variables.items():
            self.serial.sendall(f"setenv {name} {value}\n".encode())
            self.expect("=> ")
        self.serial.sendall(b"saveenv\n")
        self.expect("OK")
        self.power_off()
        self.power_on()

    def start(self):
        """Slot and reason of the next start."""
        return self.expect(r"Node \(slot (.), (\S+)\)").groups()


class Uboot(unittest.TestCase):
    def setUp(self):
        self.board = Board()
        self.addCleanup(self.board.close)

    def test_counts_down_and_falls_back(self):
        self.board.set(hc_good="a", hc_try="b", hc_tries="3")
        starts = [self.board.start() for _ in range(5)]
        self.assertEqual(starts, [("b", "trial-2"), ("b", "trial-1"), ("b", "trial-0"),
                                  ("a", "fallback-tries-used"), ("a", "fallback-tries-used")])

    def test_a_confirmed_slot_is_not_counted(self):
        self.board.set(hc_good="b", hc_try="-", hc_tries="0")
        self.assertEqual([self.board.start() for _ in range(3)], [("b", "confirmed")] * 3)

    def test_an_environment_that_makes_no_sense(self):
        self.board.set(hc_good="x", hc_try="b", hc_tries="3")
        self.assertEqual(self.board.start(), ("a", "fallback-bad-env"))
        self.board.set(hc_good="b", hc_try="a", hc_tries="x")
        self.assertEqual(self.board.start(), ("b", "fallback-bad-env"))


if __name__ == "__main__":
    BOOT_CMD = Path(sys.argv[1])
    unittest.main(argv=[sys.argv[0], "--verbose", *sys.argv[2:]])
