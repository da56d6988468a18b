#!/usr/bin/env python3
"""Shows that each rule of check.py says yes to a good tree and no to a bad one."""

import tempfile
import unittest
from pathlib import Path

import check

ID = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32


class Rules(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def found(self, rule):
        return "\n".join(check.RULES[rule](self.root))

    def include(self, name, included, library=False):
        self.write(name, f"#include <{included}>\n" if library else f'#include "{included}"\n')
        if not library:
            self.write(included, "")
        return self.found("layers")

    def test_includes_that_point_down_are_fine(self):
        self.assertEqual(self.include("engine/upgrade/a.cc", "engine/store/b.h"), "")
        self.assertEqual(self.include("engine/store/a.cc", "engine/base/b.h"), "")
        self.assertEqual(self.include("engine/store/a.cc", "engine/store/c.h"), "")
        self.assertEqual(self.include("engine/store/a.cc", "ostree.h", library=True), "")

    def test_an_include_that_points_up(self):
        self.assertIn("lies above", self.include("engine/base/a.h", "engine/payload/b.h"))
        self.assertIn("lies above", self.include("hooks/a.cc", "engine/upgrade/b.h"))

    def test_an_include_of_a_sibling(self):
        self.assertIn("its sibling", self.include("engine/store/a.cc", "engine/payload/b.h"))
        self.assertIn("its sibling", self.include("bootloader/a.cc", "hooks/b.h"))

    def test_an_include_that_is_no_path_from_the_root(self):
        self.write("engine/base/a.cc", '#include "b.h"\n')
        self.write("engine/base/b.h", "")
        self.assertIn("no path from the root", self.found("layers"))

    def test_a_library_outside_its_folder(self):
        for header in ("ostree.h", "ostree-repo.h", "curl/curl.h", "openssl/evp.h", "archive.h", "libsoup/soup.h"):
            with self.subTest(header):
                self.assertIn("belongs to", self.include("engine/upgrade/a.cc", header, library=True))

    def test_sizes(self):
        self.write("engine/base/a.cc", "\n" * 400)
        self.write("engine/base/a.h", "\n" * 150)
        self.write("tests/unit/long_test.cc", "\n" * 900)
        self.assertEqual(self.found("sizes"), "")
        self.write("engine/base/a.cc", "\n" * 401)
        self.assertIn("a.cc: 401 lines", self.found("sizes"))
        self.write("engine/base/a.h", "\n" * 151)
        self.assertIn("a.h: 151 lines", self.found("sizes"))

    def test_events(self):
        self.write("engine/a.cc", f'constexpr EventId kSwitched{{"{ID}",\n    "slot-switched"}};\n')
        self.assertIn("docs/operations.md says None", self.found("events"))
        self.write("docs/operations.md", f"| `slot-switched` | `{ID}` | text |\n")
        self.assertEqual(self.found("events"), "")
        self.write("docs/operations.md", f"| `slot-swapped` | `{ID}` | text |\n")
        self.assertIn("says slot-swapped", self.found("events"))
        self.write("docs/operations.md", f"| `slot-switched` | `{ID}` | text |\n| `gone` | `{OTHER}` | text |\n")
        self.assertIn("the code says None", self.found("events"))
        self.write("engine/b.cc", f'constexpr EventId kAgain{{"{ID}", "again"}};\n')
        self.assertIn("used twice", self.found("events"))

    def test_hygiene(self):
        self.write("README.md", "http://127.0.0.1:5000/ https://updates.example.com/repo /var/lib/honeycomb /usr/bin\n")
        self.assertEqual(self.found("hygiene"), "")
        self.write("README.md", "see /work/main\n")
        self.assertIn("path of one machine", self.found("hygiene"))
        self.write("README.md", "cd /home/somebody/honeycomb\n")
        self.assertIn("path of one machine", self.found("hygiene"))
        self.write("README.md", "http://build-7.corp.internal/repo\n")
        self.assertIn("names the host build-7.corp.internal", self.found("hygiene"))
        self.write("README.md", "http://10.1.2.3/repo\n")
        self.assertIn("names the host 10.1.2.3", self.found("hygiene"))


if __name__ == "__main__":
    unittest.main()
