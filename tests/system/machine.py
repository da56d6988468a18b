"""A PC in QEMU, without hardware acceleration: power, disk, serial console, and a channel to the agent in the guest."""

import base64
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

OVMF = Path("/usr/share/OVMF")
BOOT_LIMIT = 420  # seconds; a boot takes 20 on an idle machine


def die_with_parent():
    """A test that is killed leaves no machine behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Restarted(Exception):
    """The guest started anew before it answered."""


class Machine:
    """One disk that survives, and whatever starts from it. Every power-on goes on with the same disk.

    `asleep` is a folder that fall_asleep() filled: the first power-on goes on where that machine was.
    """

    def __init__(self, image, uefi=False, asleep=None):
        self.folder = Path(tempfile.mkdtemp(prefix="honeycomb-qemu-"))
        self.uefi = uefi
        self.disk = self.folder / "disk.qcow2"
        self.memory = None
        base = (Path(image).resolve(), "raw")
        if asleep:
            self.memory = Path(asleep).resolve() / "memory"
            base = (self.memory.with_name("disk.qcow2"), "qcow2")
            shutil.copy(self.memory.with_name("console"), self.folder)
        run("qemu-img", "create", "-q", "-f", "qcow2", "-b", base[0], "-F", base[1], self.disk)
        if uefi:
            shutil.copy(OVMF / "OVMF_VARS.fd", self.folder / "vars.fd")
        self.qemu = None
        self.channel = None
        self.received = b""
        self.asked = 0
        self.boot_id = None

    def close(self):
        self.power_off()
        shutil.rmtree(self.folder)

    def arguments(self):
        words = ["qemu-system-x86_64", "-accel", "tcg", "-m", "768", "-smp", "1", "-display", "none", "-nodefaults",
                 "-no-user-config", "-drive", f"file={self.disk},if=virtio,format=qcow2,cache=unsafe",
                 "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=",
                 "-device", "virtio-rng-pci",
                 "-chardev", f"file,id=console,path={self.folder}/console,append=on", "-serial", "chardev:console",
                 "-chardev", f"socket,id=monitor,path={self.folder}/monitor,server=on,wait=off",
                 "-mon", "chardev=monitor,mode=control",
                 "-chardev", f"socket,id=agent,path={self.folder}/agent,server=on,wait=on",
                 "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=honeycomb.test"]
        if self.memory:
            words += ["-incoming", f"exec:cat {self.memory}"]
        if self.uefi:
            words += ["-machine", "q35",
                      "-drive", f"if=pflash,format=raw,readonly=on,file={OVMF}/OVMF_CODE.fd",
                      "-drive", f"if=pflash,format=raw,file={self.folder}/vars.fd"]
        return words

    def power_on(self):
        self.received = b""
        (self.folder / "agent").unlink(missing_ok=True)
        with open(self.folder / "qemu.log", "ab") as log:
            self.qemu = subprocess.Popen(self.arguments(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                         preexec_fn=die_with_parent)
        slept, self.memory = self.memory, None
        self.channel = socket.socket(socket.AF_UNIX)
        limit = time.monotonic() + 60
        while True:
            try:
                self.channel.connect(str(self.folder / "agent"))
                break
            except OSError as error:
                if self.qemu.poll() is not None or time.monotonic() > limit:
                    raise AssertionError(f"QEMU does not start: {self.tail('qemu.log')}") from error
                time.sleep(0.1)
        if slept:
            self.wake_up()

    def power_off(self):
        """Pulls the plug: nothing that QEMU has not been given by then reaches the disk."""
        if self.qemu:
            self.qemu.kill()
            self.qemu.wait()
            self.channel.close()
        self.qemu = None

    @contextlib.contextmanager
    def monitor(self):
        """A function that asks QEMU itself."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(BOOT_LIMIT)
            monitor.connect(str(self.folder / "monitor"))
            with monitor.makefile(encoding="utf-8") as answers:

                def ask(command, **arguments):
                    monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
                    while True:
                        answer = json.loads(answers.readline())
                        if "error" in answer:
                            raise AssertionError(f"{command}: {answer['error']}")
                        if "return" in answer:
                            return answer["return"]

                ask("qmp_capabilities")
                yield ask

    def migrated(self, ask):
        while (status := ask("query-migrate").get("status")) != "completed":
            if status == "failed":
                raise AssertionError(f"memory was not carried over: {self.tail('qemu.log')}")
            time.sleep(0.2)

    def wake_up(self):
        """A machine that fell asleep stands still when its memory is back."""
        with self.monitor() as ask:
            self.migrated(ask)
            ask("cont")

    def fall_asleep(self, folder):
        """Puts the machine as it is into a new folder, and ends it."""
        folder.mkdir()
        with self.monitor() as ask:
            ask("stop")
            ask("migrate-set-parameters", **{"max-bandwidth": 1 << 33})
            ask("migrate", uri=f"exec:cat >{folder.resolve()}/memory")
            self.migrated(ask)
            ask("quit")
        self.qemu.wait()
        self.power_off()
        shutil.copy(self.folder / "console", folder)
        shutil.move(self.disk, folder)

    def console(self):
        path = self.folder / "console"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def starts(self):
        """Why each kernel so far was started, in the words of the bootloader."""
        return re.findall(r"Kernel command line:.* honeycomb\.reason=(\S+)", self.console())

    def tail(self, name, size=3000):
        path = self.folder / name
        return path.read_text(encoding="utf-8", errors="replace")[-size:] if path.exists() else ""

    def line(self, limit):
        """The next line from the agent; `limit` is a point in time."""
        while b"\n" not in self.received:
            left = limit - time.monotonic()
            if left <= 0:
                raise AssertionError(f"the guest is silent; its console ends with:\n{self.tail('console')}")
            self.channel.settimeout(left)
            try:
                more = self.channel.recv(1 << 16)
            except TimeoutError:
                continue
            if not more:
                raise AssertionError(f"QEMU ended: {self.tail('qemu.log')}")
            self.received += more
        line, self.received = self.received.split(b"\n", 1)
        return line.decode("ascii", errors="replace").split(" ")

    def wait_for_boot(self, limit=BOOT_LIMIT):
        """Until an agent says that its system runs."""
        end = time.monotonic() + limit
        while True:
            words = self.line(end)
            if words[0] == "hello":
                self.boot_id = words[1]
                return

    def sh(self, script, limit=BOOT_LIMIT):
        """Runs a shell script as root in the guest: (exit status, output). Restarted, where the guest did instead."""
        self.asked += 1
        text = base64.b64encode(script.encode()).decode()
        self.channel.settimeout(60)
        self.channel.sendall(f"{self.asked} {text}\n".encode())
        end = time.monotonic() + limit
        while True:
            words = self.line(end)
            if words[0] == "hello":
                self.boot_id = words[1]
                raise Restarted()
            if words[0] == str(self.asked):
                return int(words[1]), base64.b64decode(words[2]).decode("utf-8", errors="replace")


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout
