#!/usr/bin/env python3
"""The boot loader in the ROM of an STM32 (ST's application note AN3155), behind a pseudo terminal:
stm32_bootloader.py FOLDER 0. FOLDER/flash.bin is the flash.

Faults: slow_s; silent; dies_after_writes N (half-written flash); bad_flash (each page reads back with a wrong bit).
"""

import os
import sys
import time
import tty
from pathlib import Path

from simulator import Device

BASE, SIZE, PAGE = 0x08000000, 64 << 10, 1024
ACK, NACK = b"\x79", b"\x1f"
COMMANDS = (0x00, 0x01, 0x02, 0x11, 0x21, 0x31, 0x43)
OPTION_BYTES, SYSTEM_MEMORY = 0x1FFFF800, 0x1FFFF000


def xor(data):
    total = 0
    for byte in data:
        total ^= byte
    return total


class BootLoader(Device):
    def __init__(self, folder, fd):
        super().__init__(folder, {"writes": 0})
        self.fd = fd
        self.file = Path(folder) / "flash.bin"
        if not self.file.exists():
            self.file.write_bytes(b"old firmware\0" + b"\xff" * (SIZE - 13))
        self.flash = bytearray(self.file.read_bytes())

    def read(self, count):
        data = b""
        while len(data) < count:
            try:
                data += os.read(self.fd, count - len(data))
            except OSError:  # nobody has the other side open
                time.sleep(0.01)
        return data

    def send(self, data):
        if not self.fault("silent"):
            os.write(self.fd, data)

    def address(self):
        data = self.read(5)
        if xor(data) != 0:
            return None
        return int.from_bytes(data[:4], "big")

    def inside(self, address, count):
        return address is not None and BASE <= address and address + count <= BASE + SIZE

    def get(self):
        self.send(ACK + bytes([len(COMMANDS), 0x22, *COMMANDS]) + ACK)

    def version(self):
        self.send(ACK + b"\x22\x00\x00" + ACK)

    def identity(self):
        self.send(ACK + b"\x01\x04\x10" + ACK)  # a medium-density STM32F10x

    def read_memory(self):
        self.send(ACK)
        address = self.address()
        if not self.inside(address, 1) and not (address and address >= SYSTEM_MEMORY):
            return self.send(NACK)
        self.send(ACK)
        count, check = self.read(2)
        if count ^ check != 0xFF:
            return self.send(NACK)
        count += 1
        if address >= SYSTEM_MEMORY:
            return self.send(ACK + b"\xff" * count)
        data = bytearray(self.flash[address - BASE : address - BASE + count])
        if self.fault("bad_flash"):
            data[0] ^= 1
        return self.send(ACK + data)

    def write_memory(self):
        self.send(ACK)
        address = self.address()
        if address is None:
            return self.send(NACK)
        self.send(ACK)
        count = self.read(1)
        data = self.read(count[0] + 1)
        check = self.read(1)
        if xor(count + data + check) != 0 or not self.inside(address, len(data)):
            return self.send(NACK)
        at = address - BASE
        if any(byte != 0xFF for byte in self.flash[at : at + len(data)]):
            return self.send(NACK)  # flash must be erased first
        self.flash[at : at + len(data)] = data
        self.now["writes"] += 1
        self.keep()
        if self.now["writes"] == self.fault("dies_after_writes"):
            os._exit(1)
        return self.send(ACK)

    def erase(self):
        self.send(ACK)
        count = self.read(1)
        if count == b"\xff":
            self.read(1)
            self.flash[:] = b"\xff" * SIZE
        else:
            pages = self.read(count[0] + 1)
            if xor(count + pages + self.read(1)) != 0:
                return self.send(NACK)
            for page in pages:
                self.flash[page * PAGE : (page + 1) * PAGE] = b"\xff" * PAGE
        self.keep()
        return self.send(ACK)

    def keep(self):
        self.file.write_bytes(self.flash)
        self.save()

    def go(self):
        self.send(ACK)
        self.address()
        self.send(ACK)

    def run(self):
        actions = dict(
            zip(COMMANDS, (self.get, self.version, self.identity, self.read_memory, self.go, self.write_memory, self.erase))
        )
        started = False
        while True:
            command = self.read(1)[0]
            if command == 0x7F:
                self.before("init")
                self.send(NACK if started else ACK)
                started = True
                continue
            if self.read(1)[0] ^ command != 0xFF or command not in actions:
                self.send(NACK)
                continue
            self.before(f"command {command:#04x}")
            actions[command]()


def main():
    controller, terminal = os.openpty()
    tty.setraw(terminal)
    loader = BootLoader(sys.argv[1], controller)
    # Under the same name after each power cycle, as udev's links are.
    link = Path(sys.argv[1]) / "tty"
    link.unlink(missing_ok=True)
    link.symlink_to(os.ttyname(terminal))
    loader.ready(link)
    loader.run()


if __name__ == "__main__":
    main()
