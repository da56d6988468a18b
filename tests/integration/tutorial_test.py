#!/usr/bin/env python3
"""Runs the commands of the pages about payloads as they stand, as a reader would.

tutorial_test.py PROGRAM_DIRECTORY... [Tutorial|Releases|Payloads|Os]
"""

import base64
import http.server
import re
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from node import OnNode, in_namespace, unittest  # noqa: E402
from programs import ROOT  # noqa: E402


def commands(page):
    """All indented blocks of a page, in their order; but not within fences, and not what says that it is not run."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / "docs" / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ") and "# not run here" not in line]
    return "\n".join(lines) + "\n"


class Page(OnNode):
    def run_page(self, script, timeout=600):
        """In a checkout after ./quickstart: its folder `sandbox` is ours."""
        checkout = self.dir / "checkout"
        checkout.mkdir()
        for name in ("hooks", "image-tools"):
            (checkout / name).symlink_to(ROOT / name)
        (checkout / "sandbox").symlink_to(self.dir)
        done = self.run_in("bash", "-euxc", f"cd checkout\n{script}", status=None, timeout=timeout)
        self.assertEqual(done.status, 0, done)
        return done


class Tutorial(Page):
    def test_every_command_works(self):
        # Two runs at once must not share the reader's sensor.
        script = commands("tutorial-peripheral.md").replace("/tmp/wind-sensor", str(self.dir / "sensor"))
        self.assertGreater(len(re.findall("^hc-", script, re.MULTILINE)), 10)
        done = self.run_page(script)
        self.assertIn("unit=m/s interval=10", done.output)
        outcomes = [(t["to"]["version"], t["outcome"]) for t in self.history() if t["target"] == "wind-sensor"]
        self.assertEqual(
            outcomes, [("1.0.0", "confirmed"), ("1.1.0", "failed"), ("1.2.0", "confirmed"), ("1.0.0", "confirmed")]
        )


class Releases(Page):
    def test_every_command_works(self):
        self.run_page(commands("releases.md"))
        refs = self.run_in("ostree", "--repo=www", "refs").output.split()
        self.assertIn("sensor/candidate", refs)
        outcomes = [(t["to"]["version"], t["outcome"]) for t in self.history() if t["target"] == "sensor"]
        self.assertEqual(outcomes, [("1.0.0", "confirmed")])

    def test_every_verb_is_told(self):
        text = self.run_in("hc-payload", "--help").output
        verbs = re.findall(r"^  ([a-z-]+) ", text.split("Subcommands:")[1].split("\n\n")[0], re.MULTILINE)
        self.assertGreater(len(verbs), 12)
        page = (ROOT / "docs/releases.md").read_text()
        for verb in set(verbs) - {"delta", "bundle"}:  # which have pages of their own
            self.assertIn(f"| `{verb} ", page)


class Camera(http.server.BaseHTTPRequestHandler):
    """Wants the login that the page writes down."""

    def do_GET(self):
        login = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        good = self.path == "/version" or login == "admin:not 12345"
        self.send_response(200 if good else 401)
        self.end_headers()

    def log_message(self, *_):
        pass


class Payloads(Page):
    def versions(self):
        """What quickstart leaves, as far as the pages need it."""
        self.run_in("cp", "-a", self.first / "os", "debian-updated")
        self.sequence = 1
        self.publish("debian-updated", "--target", "os", "--version", "2.0")

    def test_every_command_works(self):
        self.versions()
        self.run_page(commands("payloads.md"))
        self.assertEqual([t["outcome"] for t in self.history() if t["target"] == "ptz-camera"], ["confirmed"])
        self.assertIn("switch/", self.run_in("ostree", "--repo=repo", "refs").output)

    def test_deltas(self):
        self.versions()
        self.run_page("cd sandbox\n" + commands("deltas.md"))

    def test_what_it_shows_of_hooks_works_in_hooks(self):
        page = (ROOT / "docs/payloads.md").read_text()
        blocks = re.findall(r"^```sh\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
        self.assertEqual(len(blocks), 3)
        self.run_in("install", "-D", "-m", "644", ROOT / "hooks/lib/honeycomb.sh", "/usr/lib/honeycomb/honeycomb.sh")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.run_in("hc-payload", "init", "ptz-camera")
        hook = "#!/bin/sh\nset -eu\nold=4\n" + "".join(f"(\n{block})\n" for block in blocks)
        hook = hook.replace("camera.example", f"127.0.0.1:{server.server_port}")
        (self.dir / "ptz-camera/hc_install_upgrade.sh").write_text(hook)
        (self.dir / "ptz-camera/hc_verify_upgrade.sh").write_text("#!/bin/sh\nexit 0\n")
        (self.dir / "ptz-camera/settings.conf").write_text("address=camera.example\n")
        secrets = self.node_secrets("ptz-camera")
        (secrets / "user").write_text("admin\n")
        (secrets / "password").write_text("not 12345\n")
        self.publish("ptz-camera")
        self.os("deploy", "--target", "ptz-camera", "1.0.0")
        self.assertEqual(self.history()[-1]["outcome"], "confirmed")


class Os(Page):
    def test_every_command_works(self):
        self.run_page(commands("tutorial-os.md"), timeout=1500)


if __name__ == "__main__":
    in_namespace()
    unittest.main(verbosity=2)
