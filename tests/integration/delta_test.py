#!/usr/bin/env python3
"""Deltas and bundles from the outside: a node takes the short way by itself, and no bad one does harm.

delta_test.py PROGRAM_DIRECTORY...
"""

import http.server
import os
import random
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from node import OnNode, unittest  # noqa: E402
from programs import take_directories  # noqa: E402


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder, with ranges; breaks the connection in the middle of the first `cuts` answers of delta data."""

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.asked, self.cuts, self.ranges = folder, [], 0, True
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        path = server.folder / self.path.lstrip("/")
        wanted = self.headers.get("Range")
        server.asked.append((self.path, wanted))
        if not path.is_file():
            self.send_error(404)
            return
        content, start = path.read_bytes(), 0
        if wanted and server.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/octet-stream")
        self.end_headers()
        if path.suffix == ".hcd" and server.cuts > 0:
            server.cuts -= 1
            self.wfile.write(body[: len(body) * 2 // 3])
            self.close_connection = True
            return
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def noise(size, seed):
    return random.Random(seed).randbytes(size)


class Deltas(OnNode):
    def setUp(self):
        super().setUp()
        self.sequence = 10
        tree = self.dir / "tree"
        self.run_in("cp", "-a", self.first / "os", tree)
        self.library = bytearray(noise(3 << 20, 1))
        (tree / "usr/lib/modules/6.1.0-test/tun.ko").write_bytes(noise(200_000, 2))
        (tree / "usr/lib/libbig.so.1.0").write_bytes(self.library)
        self.build("1.5")
        self.os("deploy", "1.5")
        self.run_in("hc-sandbox", "reboot", "node")
        # The next version: a new kernel's folder, a changed library, a link, one file of its own.
        (tree / "usr/lib/modules/6.1.0-test").rename(tree / "usr/lib/modules/6.1.0-west")
        module = bytearray(noise(200_000, 2))
        module[1000:1004] = b"new!"
        (tree / "usr/lib/modules/6.1.0-west/tun.ko").write_bytes(module)
        (tree / "usr/lib/libbig.so.1.0").unlink()
        self.library[100_000:100_000] = noise(5000, 3)
        (tree / "usr/lib/libbig.so.1.1").write_bytes(self.library)
        (tree / "usr/lib/libbig.so").symlink_to("libbig.so.1.1")
        (tree / "usr/lib/empty").touch()
        for i in range(30):
            (tree / f"usr/lib/fresh{i}").write_bytes(noise(100_000, 100 + i))
        self.commit = self.build("2.0")
        self.server = Server(self.dir / "repo")
        self.addCleanup(self.server.shutdown)
        self.run_in("hc-os", "--sysroot", "node", "remote", "remove", "origin")
        self.run_in("hc-os", "--sysroot", "node", "remote", "add", "origin", self.server.url)

    def build(self, version, *more):
        return self.publish("tree", "--target", "os", "--version", version, *more)["commit"]

    def delta(self):
        made = self.json_of("hc-payload", "delta", "repo", "--from", "os/1.5", "--to", "os/2.0")
        return self.dir / made["file"]

    def bundle(self, *more, name="two.hcb"):
        return self.json_of("hc-payload", "bundle", "repo", "os/2.0", "--out", name, *more)

    def expect_two(self):
        self.assertEqual(self.run_in("hc-sandbox", "reboot", "node").status, 0)
        root = self.dir / "node/ostree/slots/b"
        slot = root if (root / "usr/lib/libbig.so.1.1").exists() else self.dir / "node/ostree/slots/a"
        self.assertEqual((slot / "usr/lib/libbig.so.1.1").read_bytes(), self.library)
        self.assertEqual(os.readlink(slot / "usr/lib/libbig.so"), "libbig.so.1.1")
        self.assertEqual(self.history()[-1]["outcome"], "confirmed")
        fsck = self.run_in("ostree", "fsck", "--repo=node/ostree/repo", status=None)
        self.assertEqual(fsck.status, 0, fsck)

    def paths(self, suffix):
        return [(path, wanted) for path, wanted in self.server.asked if path.endswith(suffix)]

    def test_taken_without_being_asked(self):
        data = self.delta()
        self.assertLess(data.stat().st_size, 3_200_000)
        self.os("deploy", "2.0")
        self.assertEqual(self.paths(".filez"), [], "no object by itself")
        self.assertLessEqual(len(self.server.asked), 10)
        self.expect_two()

    def test_goes_on_where_the_connection_broke(self):
        self.delta()
        for ranges in (True, False):
            self.server.asked, self.server.cuts, self.server.ranges = [], 1, ranges
            self.os("deploy", "2.0")
            asked = self.paths(".hcd")
            self.assertEqual(len(asked), 2)
            self.assertTrue(asked[1][1], "the second asks for the rest")
            self.assertEqual(self.paths(".filez"), [])
            self.os("rollback", status=130)
            self.run_in("hc-os", "--sysroot", "node", "gc")
        self.os("deploy", "2.0", "--again")
        self.expect_two()

    def test_bad_deltas_fall_back_to_objects(self):
        data = self.delta()
        head = data.with_suffix(".hch")
        good_data, good_head = data.read_bytes(), head.read_bytes()
        middle = len(good_data) // 2

        def flipped(content, at):
            return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

        for name, bad_head, bad_data in (
            ("tampered data", good_head, flipped(good_data, middle)),
            ("another file", good_head, noise(len(good_data), 9)),
            ("tampered head", flipped(good_head, 200), good_data),
            ("a later format", flipped(good_head, 8), good_data),
            ("no delta", b"<p>hello</p>", good_data),
        ):
            with self.subTest(name):
                head.write_bytes(bad_head)
                data.write_bytes(bad_data)
                self.server.asked = []
                self.os("deploy", "2.0")
                self.assertTrue(self.paths(".filez"), "object by object")
                self.os("rollback", status=130)
                self.run_in("hc-os", "--sysroot", "node", "gc")
        self.os("deploy", "2.0", "--again")
        self.expect_two()

    def test_bundle(self):
        size = self.bundle()["bytes"]
        self.server.shutdown()
        plan = self.os("deploy", "two.hcb", "--plan")
        self.assertEqual(plan["version"], "2.0")
        self.os("deploy", "two.hcb")
        self.expect_two()
        self.assertLess(self.bundle("--from", "os/1.5", name="small.hcb")["bytes"], size - 2_000_000)

    def test_bundle_from_a_version(self):
        self.bundle("--from", "os/1.5")
        self.os("deploy", "two.hcb")
        self.expect_two()

    def picture(self):
        status = self.os("status")
        for noisy in ("last_transaction",):
            status.pop(noisy, None)
        status["node"].pop("boot_id", None)
        objects = sorted(str(path) for path in (self.dir / "node/ostree/repo/objects").rglob("*.file"))
        return status, objects

    def refused(self, what, words, status=3):
        before = self.picture()
        answer = self.os("deploy", what, status=status)
        text = answer["error"]["text"] if "error" in answer else answer["failure"]["text"]
        self.assertIn(words, text)
        self.assertEqual(self.picture(), before)

    def test_bad_bundles(self):
        self.bundle()
        good = (self.dir / "two.hcb").read_bytes()

        def write(content):
            (self.dir / "bad.hcb").write_bytes(content)

        self.refused("none.hcb", "there is no bundle")
        write(b"")
        self.refused("bad.hcb", "no delta and no bundle")
        for cut in (50, 300, len(good) // 2, len(good) - 1):
            write(good[:cut])
            self.refused("bad.hcb", "cannot be used")
        write(good + b"x")
        self.refused("bad.hcb", "bytes and not")
        write(good[:-5000] + noise(5000, 7))
        self.refused("bad.hcb", "is damaged")
        write(good[:8] + b"\x09" + good[9:])
        self.refused("bad.hcb", "does not know")

    @unittest.skipIf(os.geteuid() != 0, "only root can mount")
    def test_bundle_on_a_stick_that_is_pulled(self):
        """A real file system whose device ends in the middle of the file, as the kernel sees it."""
        size = self.bundle()["bytes"]
        (self.dir / "stick").mkdir()
        (self.dir / "two.hcb").rename(self.dir / "stick/two.hcb")
        device_size = size // 1024 + 1000
        self.run_in("mkfs.ext4", "-q", "-O", "^has_journal", "-d", "stick", "stick.img", f"{device_size}k")
        device = self.run_in("losetup", "--direct-io=on", "--read-only", "--find", "--show", "stick.img").output.strip()
        self.addCleanup(self.run_in, "losetup", "--detach", device)
        self.run_in("mount", "-o", "ro", device, "stick")
        self.addCleanup(self.run_in, "umount", "--lazy", "stick")
        os.truncate(self.dir / "stick.img", device_size * 1024 * 3 // 4)
        with open(self.dir / "stick/two.hcb", "rb") as file:
            self.assertEqual(file.read(8), b"HCDELTA\n", "what was read before can be read")
        self.refused("stick/two.hcb", "reading", status=8)

    def test_bundle_for_another_node(self):
        self.commit = self.build("3.0", "--compatible", "other-model")
        self.json_of("hc-payload", "bundle", "repo", "os/3.0", "--out", "three.hcb")
        self.refused("three.hcb", "other-model")
        self.build("4.0")
        self.json_of("hc-payload", "bundle", "repo", "os/4.0", "--from", "os/3.0", "--out", "four.hcb")
        self.refused("four.hcb", "which is not on this node")

    def test_bundle_of_a_stranger(self):
        self.run_in("hc-payload", "keygen", "stranger")
        build = ["hc-payload", "build", "tree", "--target", "os", "--version", "2.0", "--sequence", "12"]
        self.json_of(*build, "--key", "stranger.key", "--repo", "strange")
        self.json_of("hc-payload", "bundle", "strange", "os/2.0", "--out", "strange.hcb")
        self.refused("strange.hcb", "sign", status=4)
        self.run_in("ostree", "--repo=strange", "commit", "-b", "unsigned", "--tree=dir=tree")
        done = self.run_in("hc-payload", "bundle", "strange", "unsigned", "--out", "u.hcb", status=4)
        self.assertIn("not signed", done.errors)


if __name__ == "__main__":
    take_directories()
    unittest.main()
