"""A node in a folder (hc-sandbox) for tests of peripherals, and what has to be installed on it for their hooks."""

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from programs import ROOT, InFolder, in_mount_namespace, remove, run, unittest

__all__ = ["OnNode", "in_namespace", "unittest"]

LIBRARY = Path("/usr/lib/honeycomb")


def in_namespace():
    """Takes the program directories from the command line, and starts this test again in a mount namespace where
    hooks find the library and hc-insight where a package puts them. Nothing is installed on the machine for it."""
    in_mount_namespace()
    installed = tempfile.mkdtemp(prefix="honeycomb-installed-")
    atexit.register(shutil.rmtree, installed)
    for folder in ("lib", "bin"):
        os.mkdir(f"{installed}/{folder}")
    shutil.copy(ROOT / "hooks/lib/honeycomb.sh", f"{installed}/lib")
    shutil.copy(shutil.which("hc-insight"), f"{installed}/bin")
    LIBRARY.mkdir(parents=True, exist_ok=True)
    # The first place where hooks look for programs.
    for source, target in (("lib", LIBRARY), ("bin", "/usr/local/sbin")):
        subprocess.run(["mount", "--bind", f"{installed}/{source}", target], check=True)


class OnNode(InFolder):
    """A node with a small OS at 1.0, a repository beside it, and a key that it trusts."""

    @classmethod
    def setUpClass(cls):
        """Made once: a node is a folder, and can be copied."""
        cls.first = Path(tempfile.mkdtemp(prefix="honeycomb-first-"))
        cls.addClassCleanup(remove, cls.first)
        modules = cls.first / "os/usr/lib/modules/6.1.0-test"
        modules.mkdir(parents=True)
        (cls.first / "os/etc").mkdir()
        (cls.first / "os/etc/app.conf").write_text("shipped\n")
        (modules / "vmlinuz").write_text("kernel")
        (modules / "initramfs.img").write_text("initramfs")
        (cls.first / "os/usr/lib/os-release").write_text('ID=test\nPRETTY_NAME="Test OS"\n')
        for command in (
            "hc-payload keygen release",
            "hc-payload build os --target os --version 1.0 --sequence 1 --key release.key --repo repo",
            "hc-sandbox init node --repo repo --version 1.0 --trust release.pub",
        ):
            done = run(*command.split(), cwd=cls.first)
            if done.status != 0:
                raise AssertionError(f"{command}: {done}")

    def setUp(self):
        super().setUp()
        self.sequence = 0
        self.run_in("cp", "-a", *(self.first / name for name in ("repo", "node", "release.key", "release.pub")), ".")
        self.run_in("hc-os", "--sysroot", "node", "remote", "add", "origin", "repo")

    def publish(self, tree, *more):
        self.sequence += 1
        command = ["hc-payload", "build", tree, "--sequence", self.sequence, "--key", "release.key", "--repo", "repo"]
        return self.json_of(*command, *more)

    def os(self, *words, status=0):
        return self.json_of("hc-os", "--sysroot", "node", *words, status=status)

    def node_secrets(self, name):
        """Where the node keeps the secrets of a peripheral."""
        folder = self.dir / "node/ostree/slots/a/etc/honeycomb/secrets" / name
        folder.mkdir(parents=True, mode=0o700)
        return folder

    def history(self):
        return self.os("history")["transactions"]

    @contextlib.contextmanager
    def start_os(self, *words):
        """In the background, with a process group of its own; waits for its end, and ends it where the test fails."""
        process = subprocess.Popen(
            ["hc-os", "--sysroot", "node", "--quiet", *words],
            cwd=self.dir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()

    def cut_power(self, process):
        """Everything that the process and its hooks are made of is gone at once, with no chance to say a word."""
        pids = [process.pid, *descendants(process.pid)]
        send(signal.SIGSTOP, pids)  # so that nobody sees another one go
        send(signal.SIGKILL, {*pids, *descendants(process.pid)})
        process.wait()


def send(number, pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.kill(pid, number)


def descendants(pid):
    found = []
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return found
    for child in map(int, children):
        found += [child, *descendants(child)]
    return found
