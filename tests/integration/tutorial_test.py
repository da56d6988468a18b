#!/usr/bin/env python3
"""Runs the commands of docs/tutorial-peripheral.md as they stand, as a reader would: tutorial_test.py PROGRAM_DIRECTORY..."""

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


class Tutorial(OnNode):
    def test_every_command_works(self):
        # The checkout after ./quickstart: its folder `sandbox` is ours.
        checkout = self.dir / "checkout"
        checkout.mkdir()
        (checkout / "hooks").symlink_to(ROOT / "hooks")
        (checkout / "sandbox").symlink_to(self.dir)
        # Two runs at once must not share the reader's sensor.
        script = commands("tutorial-peripheral.md").replace("/tmp/wind-sensor", str(self.dir / "sensor"))
        self.assertGreater(len(re.findall("^hc-", script, re.MULTILINE)), 10)
        done = self.run_in("bash", "-euxc", f"cd checkout\n{script}", status=None, timeout=600)
        self.assertEqual(done.status, 0, done)
        self.assertIn("unit=m/s interval=10", done.output)
        outcomes = [(t["to"]["version"], t["outcome"]) for t in self.history() if t["target"] == "wind-sensor"]
        self.assertEqual(
            outcomes, [("1.0.0", "confirmed"), ("1.1.0", "failed"), ("1.2.0", "confirmed"), ("1.0.0", "confirmed")]
        )


if __name__ == "__main__":
    in_namespace()
    unittest.main(verbosity=2)
