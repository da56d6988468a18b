#!/usr/bin/env python3
"""hc-payload init and check: what is scaffolded is right as it is, and every finding is found.

check_test.py PROGRAM_DIRECTORY
"""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from programs import InFolder, run, unittest  # noqa: E402


class Init(InFolder):
    def test_what_is_made_passes_the_check_and_builds(self):
        made = self.json_of("hc-payload", "init", "ptz-camera")
        self.assertEqual(made["target"], "ptz-camera")
        self.assertEqual(sorted(made["files"]), sorted(os.listdir(self.dir / "ptz-camera")))
        checked = self.json_of("hc-payload", "check", "ptz-camera")
        self.assertEqual(checked["findings"], [])
        self.run_in("hc-payload", "keygen", "k")
        built = self.json_of(*"hc-payload build ptz-camera --sequence 1 --key k.key --repo repo".split())
        self.assertEqual(built["target"], "ptz-camera")
        self.assertEqual(built["version"], "1.0.0")

    def test_it_is_the_same_whatever_the_umask(self):
        self.run_in("sh", "-c", "umask 077; hc-payload init sub-sensor/ && umask 000; hc-payload init other")
        for folder in ("sub-sensor", "other"):
            mode = stat.S_IMODE((self.dir / folder / "hc_install_upgrade.sh").stat().st_mode)
            self.assertTrue(mode & stat.S_IXUSR)
            self.assertFalse(mode & stat.S_IWOTH)
        self.assertIn("sub-sensor", (self.dir / "sub-sensor/README.md").read_text())

    def test_nothing_that_is_there_is_changed(self):
        self.run_in("hc-payload", "init", "camera")
        (self.dir / "camera/device.sh").write_text("mine")
        error = self.json_of("hc-payload", "init", "camera", status=3)["error"]
        self.assertIn("is there already", error["text"])
        self.assertEqual((self.dir / "camera/device.sh").read_text(), "mine")

    def test_names_that_no_peripheral_can_have(self):
        for name in ("os", "no/such/place/camera", "a b#c", "-x-", "\u00fcber"):
            done = run("hc-payload", "init", "--", name, cwd=self.dir)
            self.assertNotEqual(done.status, 0, name)
            self.assertIn("error: ", done.errors)
        self.assertEqual(os.listdir(self.dir), [])

    def test_hooks_do_what_they_say_by_hand(self):
        """On the pretended device, with the library where a checkout has it."""
        self.run_in("hc-payload", "init", "camera")
        library = Path(__file__).resolve().parents[2] / "hooks/lib/honeycomb.sh"
        for hook in (self.dir / "camera").glob("hc_*.sh"):
            hook.write_text(hook.read_text().replace("/usr/lib/honeycomb/honeycomb.sh", str(library)))
        state = self.dir / "state"
        state.mkdir()
        for hook, status in (
            ("state_check", 0),
            ("verify_upgrade", 2),
            ("install_upgrade", 0),
            ("verify_upgrade", 0),
            ("state_check", 1),
            ("rollback_upgrade", 0),
            ("state_check", 0),
        ):
            done = run(
                f"./hc_{hook}.sh",
                cwd=self.dir / "camera",
                environment={"HC_STATE_DIR": str(state), "HC_TRANSACTION": "7", "HC_INSIGHT": ""},
            )
            self.assertEqual(done.status, status, f"{hook}: {done}")
        self.assertEqual((state / "device.mode").read_text(), "unset\n")


class Check(InFolder):
    def setUp(self):
        super().setUp()
        self.run_in("hc-payload", "init", "p")
        self.tree = self.dir / "p"

    def findings(self, status):
        return self.json_of("hc-payload", "check", "p", status=status)["findings"]

    def error(self, where, text):
        found = self.findings(3)
        self.assertIn(("error", where), [(finding["level"], finding["where"]) for finding in found], found)
        self.assertIn(text, "\n".join(finding["text"] for finding in found if finding["where"] == where))

    def warning(self, where, text):
        found = self.findings(0)
        self.assertEqual([(finding["level"], finding["where"]) for finding in found], [("warning", where)])
        self.assertIn(text, found[0]["text"])

    def edit(self, name, old, new):
        text = (self.tree / name).read_bytes()
        self.assertIn(old, text)
        (self.tree / name).write_bytes(text.replace(old, new, 1))

    def test_required_files(self):
        for name in ("hc_state_check.sh", "hc_install_upgrade.sh", "hc_verify_upgrade.sh", "metadata.json"):
            with self.subTest(name=name):
                kept = (self.tree / name).read_bytes()
                (self.tree / name).unlink()
                if name == "metadata.json":
                    # Without it this is not even known to be a payload.
                    self.error("", "neither metadata.json (peripheral) nor usr (OS)")
                else:
                    self.error(name, "is missing")
                (self.tree / name).write_bytes(kept)
                (self.tree / name).chmod(0o755)

    def test_a_rollback_hook_is_optional(self):
        (self.tree / "hc_rollback_upgrade.sh").unlink()
        self.assertEqual(self.findings(0), [])

    def test_modes(self):
        (self.tree / "hc_install_upgrade.sh").chmod(0o644)
        self.error("hc_install_upgrade.sh", "is not executable: chmod 755 hc_install_upgrade.sh")

    def test_setuid(self):
        (self.tree / "device.sh").chmod(0o4755)
        self.warning("device.sh", "setuid or setgid")

    def test_a_hook_that_is_no_file(self):
        (self.tree / "hc_state_check.sh").unlink()
        (self.tree / "hc_state_check.sh").symlink_to("device.sh")
        self.error("hc_state_check.sh", "is no regular file")

    def test_no_interpreter(self):
        self.edit("hc_state_check.sh", b"#!/bin/sh\n", b"")
        self.error("hc_state_check.sh:1", "begins with no `#!` line")

    def test_an_empty_hook(self):
        (self.tree / "hc_state_check.sh").write_bytes(b"")
        self.error("hc_state_check.sh:1", "begins with no `#!` line")

    def test_an_interpreter_without_a_path(self):
        self.edit("hc_state_check.sh", b"#!/bin/sh\n", b"#!sh\n")
        self.error("hc_state_check.sh:1", "no interpreter by an absolute path")

    def test_an_interpreter_that_is_not_here(self):
        for line in (b"#!/opt/lua/bin/lua\n", b"#!/usr/bin/env no-such-lua\n"):
            (self.tree / "hc_state_check.sh").write_bytes(line + b"os.exit(1)\n")
            self.warning("hc_state_check.sh:1", "is not on this machine: is it on every node?")

    def test_a_program_instead_of_a_script(self):
        (self.tree / "hc_state_check.sh").write_bytes(Path("/bin/true").read_bytes())
        self.assertEqual(self.findings(0), [])

    def test_a_byte_order_mark_in_a_script(self):
        self.edit("hc_verify_upgrade.sh", b"#!", b"\xef\xbb\xbf#!")
        self.error("hc_verify_upgrade.sh:1", "byte-order mark")

    def test_windows_line_ends_anywhere(self):
        self.edit("hc_verify_upgrade.sh", b"#!/bin/sh\n", b"#!/bin/sh\r\n")
        self.error("hc_verify_upgrade.sh:1", "Windows line ends")
        self.edit("hc_verify_upgrade.sh", b"\r\n", b"\n")
        self.edit("hc_verify_upgrade.sh", b"set -eu\n", b"set -eu\r\n")
        self.error("hc_verify_upgrade.sh:3", "Windows line ends")

    def test_names_that_are_nearly_a_hooks(self):
        self.run_in("cp", "p/hc_install_upgrade.sh", "p/hc_install_update.sh")
        self.warning("hc_install_update.sh", "is called like a hook, but is none")

    def test_links_and_special_files(self):
        (self.tree / "out").symlink_to("../outside")
        self.error("out", "is a symlink that leaves the payload")
        (self.tree / "out").unlink()
        os.mkfifo(self.tree / "pipe")
        self.error("pipe", "is neither file, directory nor symlink")

    def test_names_that_are_no_utf8(self):
        (Path(os.fsdecode(os.fsencode(self.tree) + b"/b\xe9d"))).write_text("x")
        self.error("b\\xe9d", "no valid UTF-8")

    def metadata(self, text, *words):
        (self.tree / "metadata.json").write_bytes(text.encode() if isinstance(text, str) else text)
        for word in words:
            self.error("metadata.json", word)

    def test_metadata_names_line_and_column(self):
        good = (self.tree / "metadata.json").read_text()
        self.metadata(good.replace('"retry_install": 0', '"retry_install": "0"'), "line 6, column 3", "whole number")
        self.metadata(good.replace('"retry_install": 0', '"retry_verify": 0'), "`retry_verify` stands twice", "line 7")
        self.metadata(good.replace('"retry_install": 0', '"retry_instal": 0'), "line 6, column 3", "is not a known key")
        self.metadata(good.replace('"retry_install": 0,', ""), "the key `retry_install` is missing")
        self.metadata("\ufeff" + good, "byte-order mark")
        self.metadata(good.replace(": 300", ": 300000000000000000000000"), "line 9, column 24", "out of range")
        self.metadata(good.replace(": 300", ": 1e300"), "timeout_install_s")
        self.metadata(good.replace(": 300", ": 86401"), "from 1 to 86400, not 86401")
        self.metadata(good.replace('"1.0.0"', '"../1"'), "config_version")
        self.metadata(good.replace('"p"', '"os"'), "the operating system's own name")
        self.metadata(good + "x", "line ")
        self.metadata("// comment\n" + good, "line 1, column 1")
        self.metadata(b"\xff" + good.encode(), "line 1, column 1")
        self.metadata("[]", "an object is wanted")
        self.metadata("[" * 1000, "line 1")

    def test_shellcheck_warns_and_fails(self):
        self.edit("hc_install_upgrade.sh", b"set -eu\n", b"set -eu\nunused=1\n")
        found = self.findings(0)
        self.assertTrue(found)
        self.assertTrue(all(f["level"] == "warning" and "(SC" in f["text"] for f in found), found)
        self.edit("hc_install_upgrade.sh", b"set -eu\n", b"set -eu\nif true; then\n")
        self.assertIn("error", [finding["level"] for finding in self.findings(3)])

    def test_no_shellcheck_is_said_clearly(self):
        """Where it cannot be run: here by a mount namespace in which it is gone."""
        if os.geteuid() != 0:
            self.skipTest("only root can hide a program")
        for folder in ("upper", "work"):
            (self.dir / folder).mkdir()
        program = subprocess.run(["which", "shellcheck"], capture_output=True, text=True, check=True).stdout.strip()
        place = os.path.dirname(os.path.realpath(program))
        done = self.run_in(
            *("unshare", "--mount", "--propagation", "private", "sh", "-c"),
            f"mount -t tmpfs none upper && mkdir upper/u upper/w && mount -t overlay none -o lowerdir={place},"
            f"upperdir=upper/u,workdir=upper/w {place} && rm {program} || exit 77; hc-payload check p --json",
            status=None,
        )
        if done.status == 77:
            self.skipTest("no overlay file system here: " + done.errors)
        found = json.loads(done.output)
        self.assertTrue(found["ok"])
        self.assertIn("the scripts were not linted", found["findings"][0]["text"])
        self.assertIn("install the package shellcheck", found["findings"][0]["text"])


if __name__ == "__main__":
    os.environ["PATH"] = sys.argv.pop(1) + ":" + os.environ["PATH"]
    unittest.main(verbosity=2)
