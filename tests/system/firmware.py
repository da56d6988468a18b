"""A machine that is nothing but firmware, a bootloader and a disk: what it says on its serial line, and its switch."""

import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from machine import die_with_parent, run


class Board:
    """`emulator` begins the command line; the disk of the folder is made by `write_disk` before each power-on."""

    boot_switch = None  # the program; set by main
    kind = None  # of the bootloader

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="honeycomb-board-"))
        self.boot = self.folder / "node/boot"
        self.disk = self.folder / "disk.img"
        mark = self.boot / "honeycomb/sandbox"
        mark.parent.mkdir(parents=True)
        mark.touch()
        self.text = ""
        self.qemu = self.serial = None

    def switch(self, *words):
        """What the engine does with this bootloader, on the files of the boot partition."""
        return run(self.boot_switch, self.kind, self.boot, *words).split()

    def emulator(self):
        raise NotImplementedError

    def power_on(self):
        where = self.folder / "serial"
        where.unlink(missing_ok=True)
        self.qemu = subprocess.Popen(
            [*map(str, self.emulator()), "-accel", "tcg", "-m", "256", "-display", "none", "-nodefaults", "-net", "none",
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

    def expect(self, pattern, limit=420):
        """Reads on until the pattern appears; what was read after it is kept for the next."""
        end = time.monotonic() + limit
        while True:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end():]
                return found
            self.serial.settimeout(max(end - time.monotonic(), 0.1))
            try:
                more = self.serial.recv(1 << 16)
            except TimeoutError:
                more = b""
            if not more:
                raise AssertionError(f"{pattern!r} does not come; the firmware said:\n{self.text[-3000:]}")
            self.text += more.decode("ascii", errors="replace").replace("\r", "")
