"""What the Python tests share: the programs under test, run as a person would, and folders that are gone at the end."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def take_directories():
    """Takes the program directories from the command line: what is in them is found by name from then on."""
    directories = [word for word in sys.argv[1:] if os.path.isdir(word)]
    sys.argv[1:] = [word for word in sys.argv[1:] if not os.path.isdir(word)]
    os.environ["PATH"] = ":".join([*directories, os.environ["PATH"]])


def in_mount_namespace():
    """The same, in a test that is started again where its mounts are its own."""
    if os.geteuid() != 0:
        print("skipped: only root can mount")
        sys.exit(77)
    if os.environ.get("HC_TEST_NAMESPACE") is None:
        os.environ["HC_TEST_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, "-B", *sys.argv])
    take_directories()


class Done:
    def __init__(self, status, output, errors):
        self.status, self.output, self.errors = status, output, errors

    def __repr__(self):
        return f"exit status {self.status}\n{self.output}{self.errors}"


def run(*command, cwd=None, environment=None, timeout=120):
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=None if environment is None else {**os.environ, **environment},
        capture_output=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Done(done.returncode, *(text.decode(errors="backslashreplace") for text in (done.stdout, done.stderr)))


def remove(folder):
    """Deployments carry the immutable flag."""
    subprocess.run(["chattr", "-R", "-f", "-i", str(folder)], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)


class InFolder(unittest.TestCase):
    """Each test has a folder of its own, `self.dir`, where its commands run."""

    maxDiff = 4000

    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="honeycomb-test-"))
        self.addCleanup(remove, self.dir)

    def run_in(self, *command, status=0, **more):
        done = run(*command, cwd=self.dir, **more)
        if status is not None:
            self.assertEqual(done.status, status, f"{' '.join(map(str, command))}: {done}")
        return done

    def json_of(self, *command, status=0, **more):
        done = self.run_in(*command, "--json", status=status, **more)
        return json.loads(done.output)
