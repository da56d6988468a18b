#!/usr/bin/env python3
"""Power cuts on a real file system. Every write of a real operation on a real node is recorded; honeycomb-explore then
rebuilds the disk as a power cut at any instant would leave it, and looks at each state as the bootloader does, as the
kernel does, and by resuming.

usage: explore_test.py DIRECTORY-OF-PROGRAMS... [TEST]"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from programs import ROOT, in_mount_namespace, remove, run  # noqa: E402

FULL = os.environ.get("HC_FULL") == "1"
MEGABYTES = {"ext4": 40, "xfs": 300, "btrfs": 128}
MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-b", "4096", "-J", "size=4", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
}
# How a disk is looked at without replaying its journal.
SIGHT = {"ext4": "noload", "xfs": "norecovery,nouuid", "btrfs": "rescue=nologreplay"}
MOUNT = {"ext4": "", "xfs": "nouuid", "btrfs": ""}


def must(*command, **more):
    done = run(*command, **more)
    if done.status != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: {done}")
    return done


def put(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


class Lab(unittest.TestCase):
    """A repository with two versions, and disks with a node that runs the first."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        # In memory: nothing here may wait for a disk.
        cls.dir = Path(tempfile.mkdtemp(prefix="honeycomb-explore-"))
        cls.addClassCleanup(remove, cls.dir)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3g", "tmpfs", cls.dir], check=True)
        cls.addClassCleanup(subprocess.run, ["umount", "-l", cls.dir], check=False)
        must("hc-payload", "keygen", "release", cwd=cls.dir)
        cls.commits = {}
        for sequence, version in enumerate(("1.0", "2.0"), start=1):
            cls.commits[version] = cls.version(version, sequence)
        cls.trees = {}
        for version, commit in cls.commits.items():
            cls.trees[commit] = str(cls.dir / f"checkout-{version}")
            must("ostree", "--repo=repo", "checkout", "-U", commit, cls.trees[commit], cwd=cls.dir)

    @classmethod
    def version(cls, version, sequence):
        root = cls.dir / f"tree-{version}"
        modules = root / "usr/lib/modules/6.1.0-test"
        put(modules / "vmlinuz", f"kernel {version} " * 3000)
        put(modules / "initramfs.img", f"initramfs {version} " * 3000)
        put(root / "usr/lib/os-release", f'ID=test\nPRETTY_NAME="Test OS"\nVERSION_ID={version}\n')
        put(root / "usr/share/version", version + "\n")
        put(root / "etc/app.conf", f"shipped with {version}\n")
        put(root / "etc/other.conf", "the same in all\n")
        put(root / "usr/bin/tool", f"#!/bin/sh\necho {version}\n", 0o755)
        for number in range(8):
            put(root / f"usr/share/file{number}", f"file {number} of {version if number % 2 else 'all'}\n" * 50)
        (root / "usr/lib/link").symlink_to("../share/version")
        command = ["hc-payload", "build", root, "--target", "os", "--version", version, "--sequence", sequence]
        return json.loads(must(*command, "--key", "release.key", "--repo", "repo", "--json", cwd=cls.dir).output)["commit"]

    def setUp(self):
        self.scratch = self.dir / self.id().rsplit(".", 1)[-1]
        self.scratch.mkdir()

    def disk(self, kind="ext4", options=""):
        image = self.scratch / "disk"
        with image.open("wb") as file:
            file.truncate(MEGABYTES[kind] << 20)
        must(*MAKE[kind], image)
        mounted = self.scratch / "mounted"
        mounted.mkdir()
        loop = ",".join(filter(None, ["loop", options]))
        must("mount", "-t", kind, "-o", loop, image, mounted)
        if (mounted / "lost+found").exists():
            (mounted / "lost+found").rmdir()
        return image, mounted

    def node_disk(self, kind="ext4", options=""):
        """A disk with a node that runs 1.0, and no mark of a sandbox: the engine does all that it does for a real GRUB."""
        image, node = self.disk(kind, options)
        must("hc-sandbox", "init", node, "--repo", "repo", "--version", "1.0", "--trust", "release.pub", cwd=self.dir)
        must("hc-os", "--sysroot", node, "remote", "add", "origin", self.dir / "repo")
        put(node / "ostree/slots/a/etc/app.conf", "changed on this node\n")
        if kind == "ext4":
            (node / "boot/honeycomb/sandbox").unlink()
            shutil.copy(ROOT / "bootloader/grub/grub.cfg", node / "boot/grub/grub.cfg")
        must("umount", node)
        return image

    @contextlib.contextmanager
    def mounted(self, image):
        mounted = self.scratch / "mounted"
        must("mount", "-o", "loop", image, mounted)
        yield mounted
        must("umount", mounted)

    def camera_tree(self, version):
        root = self.dir / f"camera-{version}"
        put(root / "metadata.json", json.dumps({"peripheral_name": "ptz-camera", "config_version": version,
                                                "retry_state_check": 0, "retry_install": 0, "retry_verify": 0}))
        put(root / "hc_state_check.sh", "#!/bin/sh\nexit 0\n", 0o755)
        put(root / "hc_install_upgrade.sh", f"#!/bin/sh\necho {version} >\"$HC_STATE_DIR/pan\"\n", 0o755)
        put(root / "hc_verify_upgrade.sh", "#!/bin/sh\ntest -s \"$HC_STATE_DIR/pan\"\n", 0o755)
        return root

    def camera(self, version, sequence):
        return self.release("build", self.camera_tree(version), sequence)

    def camera_archive(self, version, sequence):
        """Of the original form, with the file beside it that signs it."""
        archive = self.dir / f"camera-{version}.tar.gz"
        must("sh", "-ec", f"md5sum * >md5sum.chk; tar -czf {archive} *", cwd=self.camera_tree(version))
        must("hc-payload", "sign-archive", archive, "--sequence", sequence, "--key", "release.key", cwd=self.dir)
        return archive, self.release("import", archive, sequence)

    def release(self, verb, content, sequence):
        command = ["hc-payload", verb, content, "--sequence", sequence, "--key", "release.key", "--repo", "repo", "--json"]
        commit = json.loads(must(*command, cwd=self.dir).output)["commit"]
        self.trees[commit] = str(self.dir / f"checkout-{commit}")
        must("ostree", "--repo=repo", "checkout", "-U", commit, self.trees[commit], cwd=self.dir)
        return commit

    def explore(self, image, steps, **more):
        """Runs `steps` ((command, mark), ...) on a copy of the disk, and gives the findings."""
        kind = more.pop("file_system", "ext4")
        number = len(list(self.scratch.glob("*.json")))
        settings = {
            "image": str(image),
            "kind": "honeycomb",
            "file_system": kind,
            "options": MOUNT[kind],
            "sight_options": SIGHT[kind],
            "scratch": str(self.scratch / f"work-{number}"),
            "after": str(self.scratch / f"after-{number}"),
            "keep": os.environ.get("HC_EXPLORE_KEEP", ""),
            "workers": int(os.environ.get("HC_EXPLORE_WORKERS", 6)),
            "steps": [{"run": ["/bin/sh", "-ec", command], "mark": mark} for command, mark in steps],
            "trees": self.trees,
            "resume": ["/bin/sh", "-c", f"exec {shutil.which('hc-sandbox')} --quiet reboot $NODE"],
            **more,
        }
        file = self.scratch / f"exploration-{number}.json"
        file.write_text(json.dumps(settings))
        done = run("honeycomb-explore", file, timeout=3000)
        self.assertIn(done.status, (0, 1), done)
        found = json.loads(done.output)
        print(f"{self.id().rsplit('.', 1)[-1]}: " + ", ".join(
            f"{found[key]:.1f} {key}" if isinstance(found[key], float) else f"{found[key]} {key}"
            for key in ("states", "epochs", "writes", "possible", "resumed", "second_states", "violating",
                        "states_per_second", "cpu_seconds") if key in found), flush=True)
        found["after"] = Path(settings["after"])
        return found

    def os(self, words):
        return f"{shutil.which('hc-os')} --sysroot $NODE --quiet {words}"

    def reboot(self):
        return f"{shutil.which('hc-sandbox')} --quiet reboot $NODE"

    def none_lost(self, found):
        self.assertEqual(found["violating"], 0, json.dumps(found["faults"], indent=1))


def sizes(ci, full):
    return {"states": full, "resumes": 1000000, "second_cuts": 20} if FULL else {"states": ci, "resumes": 20, "second_cuts": 1}


class Honeycomb(Lab):
    """Nothing that is written at any instant may cost a node its system, or what it had been told was done."""

    def test_os_upgrade(self):
        """Deploy with its switch, and the boot that confirms it."""
        image = self.node_disk()
        deploy = self.explore(image, [(self.os("deploy 2.0"), "deployed")], goals={"deployed": self.commits["2.0"]},
                              **sizes(500, 3000))
        self.none_lost(deploy)
        confirm = self.explore(deploy["after"], [(self.reboot(), "confirmed")], goals={"confirmed": self.commits["2.0"]},
                               **sizes(150, 1500))
        self.none_lost(confirm)

    def test_rollback_and_gc(self):
        image = self.node_disk()
        with self.mounted(image) as node:
            must("hc-os", "--sysroot", node, "--quiet", "deploy", "2.0")
            must("hc-sandbox", "--quiet", "reboot", node)
        goals = {"asked": self.commits["1.0"], "back": self.commits["1.0"], "gc": self.commits["1.0"]}
        rollback = self.explore(image, [(self.os("rollback"), "asked"), (self.reboot(), "back")], goals=goals,
                                **sizes(200, 1500))
        self.none_lost(rollback)
        collect = self.explore(rollback["after"], [(self.os("gc"), "gc")], goals=goals, **sizes(50, 500))
        self.none_lost(collect)

    def test_peripheral(self):
        image = self.node_disk()
        cameras = {version: self.camera(version, sequence) for sequence, version in enumerate(("1.0", "2.0"), start=1)}
        with self.mounted(image) as node:
            must("hc-os", "--sysroot", node, "--quiet", "deploy", "-t", "ptz-camera", "1.0")
        found = self.explore(image, [(self.os("deploy -t ptz-camera 2.0"), "deployed")],
                             goals={"deployed": cameras["2.0"]}, **sizes(150, 1500))
        self.none_lost(found)

    def test_payload_files(self):
        """A version that comes as a signed archive, then one that comes as a bundle."""
        image = self.node_disk()
        first = self.camera("1.0", 1)
        archive, second = self.camera_archive("2.0", 2)
        third = self.camera("3.0", 3)
        bundle = self.dir / "camera-3.0.hcb"
        must("hc-payload", "bundle", "repo", "ptz-camera/3.0", "--out", bundle, cwd=self.dir)
        with self.mounted(image) as node:
            must("hc-os", "--sysroot", node, "--quiet", "deploy", "-t", "ptz-camera", "1.0")
            must("hc-os", "--sysroot", node, "remote", "remove", "origin")
        self.assertEqual(len({first, second, third}), 3)
        unpacked = self.explore(image, [(self.os(f"deploy {archive}"), "archive")], goals={"archive": second},
                                **sizes(150, 1000))
        self.none_lost(unpacked)
        taken = self.explore(unpacked["after"], [(self.os(f"deploy {bundle}"), "bundle")], goals={"bundle": third},
                             **sizes(100, 1000))
        self.none_lost(taken)

    def test_other_journal_mode(self):
        """ext4 that writes data without regard to its journal."""
        image = self.node_disk(options="data=writeback")
        found = self.explore(image, [(self.os("deploy 2.0"), "deployed")], options="data=writeback",
                             goals={"deployed": self.commits["2.0"]}, **sizes(400, 3000))
        self.none_lost(found)


class CanFail(Lab):
    """The explorer finds what is known to be wrong."""

    def broken(self, no_sync):
        environment = {"LD_PRELOAD": shutil.which("honeycomb-faults.so"), "HC_FAULT_NO_SYNC": no_sync,
                       "ASAN_OPTIONS": "verify_asan_link_order=0"}
        return self.explore(self.node_disk(), [(self.os("deploy 2.0"), "deployed")], environment=environment, resume=[],
                            goals={"deployed": self.commits["2.0"]}, states=200)

    def test_nothing_is_synced(self):
        found = self.broken("/")
        self.assertGreater(found["violating"], 0)
        self.assertIn("what was reported as done is lost", "".join(found["faults"]))

    def test_switch_before_the_stage_is_durable(self):
        found = self.broken("!grubenv")
        self.assertGreater(found["violating"], 0)
        self.assertIn("the bootloader cannot load", "".join(found["faults"]))

    def test_plain_ostree(self):
        """The same two versions, deployed by `ostree admin deploy`: the window that Honeycomb closes."""
        image, root = self.disk()
        must("ostree", "admin", "init-fs", root)
        must("ostree", "admin", "os-init", "--sysroot", root, "honeycomb")
        must("ostree", f"--repo={root}/ostree/repo", "pull-local", "repo", self.commits["1.0"], cwd=self.dir)
        must("ostree", "admin", "deploy", "--sysroot", root, "--os=honeycomb", self.commits["1.0"])
        must("umount", root)
        commit = self.commits["2.0"]
        deploy = (f"ostree --repo=$NODE/ostree/repo pull-local {self.dir}/repo {commit} >/dev/null; "
                  f"ostree admin deploy --sysroot $NODE --os=honeycomb {commit} >/dev/null")
        found = self.explore(image, [(deploy, "deployed")], kind="ostree", resume=[], states=3000 if FULL else 600,
                             goals={"deployed": self.commits["2.0"]})
        self.assertGreater(found["violating"], 0)
        # A check that is itself wrong would find fault with every state.
        self.assertLess(found["violating"], found["states"] / 4)


if __name__ == "__main__":
    in_mount_namespace()
    unittest.main()
