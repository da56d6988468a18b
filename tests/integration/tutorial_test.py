#!/usr/bin/env python3
"""Runs the commands of the tutorials and of docs/releases.md as they stand, as a reader would.

tutorial_test.py PROGRAM_DIRECTORY... [Tutorial|Os]
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from node import OnNode, in_namespace, unittest  # noqa: E402
from programs import ROOT  # noqa: E402


def commands(page):
    """All indented blocks of a page, in their order."""
    text = (ROOT / "docs" / page).read_text()
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
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
        script = "".join(line + "\n" for line in commands("releases.md").split("\n") if "# not run here" not in line)
        self.run_page(script)
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


class Os(Page):
    def test_every_command_works(self):
        self.run_page(commands("tutorial-os.md"), timeout=1500)


if __name__ == "__main__":
    in_namespace()
    unittest.main(verbosity=2)
