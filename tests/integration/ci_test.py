#!/usr/bin/env python3
"""image-tools/ci/hc-ci as a CI system runs it: from an empty folder to versions that a node has confirmed.

ci_test.py PROGRAM_DIRECTORY...
"""


import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from node import OnNode, in_namespace, unittest  # noqa: E402
from programs import ROOT  # noqa: E402

HC_CI = ROOT / "image-tools/ci/hc-ci"


class Pipeline(OnNode):
    def git(self, *words):
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        return self.run_in("git", *who, "-C", "src", *words)

    def commit(self, tag):
        self.git("add", ".")
        self.git("commit", "-qm", tag)
        self.git("tag", tag)

    def release(self, tree, status=0, **more):
        environment = {"HC_REPO": "www", "HC_KEY": "release.key", "HC_PUBLIC_KEY": "release.pub"} | more
        done = self.run_in(HC_CI, "release", tree, environment=environment, status=status, timeout=600)
        return done.output.strip().split("\n")[-1] if status == 0 else done

    def trial(self, name, status=0):
        return self.run_in(HC_CI, "trial", "node", name, environment={"HC_REPO": "www"}, status=status, timeout=600)

    def refs(self):
        names = self.run_in("ostree", "--repo=www", "refs").output.split()
        return {name: self.run_in("ostree", "--repo=www", "rev-parse", name).output for name in names}

    def test_from_an_empty_folder_to_confirmed_versions(self):
        (self.dir / "src").mkdir()
        self.git("init", "-q")
        self.run_in("hc-payload", "init", "src/sensor")
        self.run_in("cp", "-a", "os", "src/os")
        self.run_in("hc-os", "--sysroot", "node", "remote", "remove", "origin")
        self.commit("v1.0.0")
        self.assertEqual(self.release("src/sensor", HC_BRANCH="stable"), "sensor/1.0.0")
        self.trial("sensor/1.0.0")

        (self.dir / "src/os/etc/app.conf").write_text("shipped, and newer\n")
        (self.dir / "news.txt").write_text("The application is newer.\n")
        self.commit("v2.0.0")
        name = self.release("src/os", HC_TARGET="os", HC_CHANGELOG="news.txt", HC_BUILDER="https://ci.example.org/1")
        self.assertEqual(name, "os/2.0.0")
        done = self.trial(name)
        self.assertIn("The application is newer.", done.errors, "the plan shows the changelog")
        outcomes = [(t["target"], t["to"]["version"], t["outcome"]) for t in self.history()]
        self.assertLessEqual({("sensor", "1.0.0", "confirmed"), ("os", "2.0.0", "confirmed")}, set(outcomes))
        self.run_in("hc-payload", "verify", "www", "os/candidate", "--key", "release.pub")

        # The same again changes nothing; another content under the same version is refused.
        before = self.refs()
        self.assertEqual(self.release("src/os", HC_TARGET="os", HC_CHANGELOG="news.txt"), "os/2.0.0")
        (self.dir / "news.txt").write_text("Other news.\n")
        refused = self.release("src/os", HC_TARGET="os", HC_CHANGELOG="news.txt", status=1)
        self.assertIn("with other content", refused.errors)
        self.assertEqual(self.refs(), before)

        # The next one comes with the way from the first, which the node takes.
        settings = self.dir / "src/sensor/metadata.json"
        settings.write_text(settings.read_text().replace("1.0.0", "1.1.0"))
        with open(self.dir / "src/sensor/settings.conf", "a") as file:
            file.write("interval=5\n")
        self.commit("v1.1.0")
        self.assertEqual(self.release("src/sensor"), "sensor/1.1.0")
        deltas = list((self.dir / "www/honeycomb/deltas" / self.refs()["sensor/1.1.0"].strip()).iterdir())
        self.assertEqual(sorted(file.suffix for file in deltas), [".hcd", ".hch"])
        for file in (self.dir / "www/objects").rglob("*.filez"):  # no other way is left
            file.rename(file.with_suffix(".away"))
        self.trial("sensor/1.1.0")

    def setUp(self):
        super().setUp()
        self.run_in("cp", "-a", self.first / "os", ".")

    def test_a_faulty_tree_is_not_released(self):
        self.run_in("hc-payload", "init", "sensor")
        (self.dir / "sensor/hc_verify_upgrade.sh").chmod(0o644)
        done = self.release("sensor", HC_VERSION="1.0.0", HC_SEQUENCE="1", status=3)
        self.assertIn("hc_verify_upgrade.sh: is not executable", done.errors)
        self.assertFalse((self.dir / "www").exists())

    def test_a_version_that_does_not_work_fails_the_trial(self):
        self.run_in("hc-payload", "init", "sensor")
        (self.dir / "sensor/hc_verify_upgrade.sh").write_text("#!/bin/sh\nexit 3\n")
        name = self.release("sensor", HC_VERSION="1.0.0", HC_SEQUENCE="1")
        self.assertNotEqual(self.trial(name, status=None).status, 0)


class Recipes(unittest.TestCase):
    def test_they_call_the_script_with_what_it_reads(self):
        known = set(re.findall(r"HC_[A-Z0-9_]+", HC_CI.read_text())) | {"HC_KEY_PEM", "HC_PUBLIC_KEY_TEXT"}
        for recipe in ("github.yml", "gitlab.yml"):
            text = (ROOT / "image-tools/ci" / recipe).read_text()
            self.assertIn("/usr/share/honeycomb/ci/hc-ci release payload", text)
            self.assertLessEqual(set(re.findall(r"HC_[A-Z0-9_]+", text)), known)


if __name__ == "__main__":
    in_namespace()
    unittest.main(verbosity=2)
