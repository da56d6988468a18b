#!/usr/bin/env python3
"""hc-payload import: archives of the original Honeycomb become signed payloads, hostile ones become clear refusals.

import_test.py PROGRAM_DIRECTORY. The names of the tests begin with the case of the kind "legacy archive import".
"""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import make_archive  # noqa: E402
from programs import InFolder, unittest  # noqa: E402

HOOKS = {"hc_state_check.sh", "hc_install_upgrade.sh", "hc_verify_upgrade.sh"}


class Import(InFolder):
    def setUp(self):
        super().setUp()
        self.run_in("hc-payload", "keygen", "release")
        # Whatever an archive wants to reach lies beside the places where it is worked on.
        (self.dir / "canary").mkdir()
        (self.dir / "canary/file").write_text("untouched\n")

    def import_file(self, name, *more, status=0, environment=None):
        return self.json_of(
            *("hc-payload", "import", name, "--sequence", 1, "--key", "release.key", "--repo", "repo", *more),
            status=status,
            environment=environment,
        )

    def write(self, name, data=None):
        (self.dir / name).write_bytes(make_archive.CASES[name]() if data is None else data)

    def accepted(self, case, *more, **options):
        self.write(case)
        report = self.import_file(case, *more, **options)
        self.assert_clean()
        return report

    def refused(self, case, *words, data=None, more=()):
        self.write(case, data)
        error = self.import_file(case, *more, status=3)["error"]
        for word in words:
            self.assertIn(word, error["text"])
        self.assertIn(case, error["text"])
        self.assertNotIn("\n", error["text"])
        if (self.dir / "repo").exists():
            self.assertEqual(self.ostree("refs"), "", "nothing is committed")
        self.assert_clean()
        return error

    def assert_clean(self):
        """Nothing is left of the archive but the payload, and nothing else has changed."""
        expected = {"canary", "release.key", "release.pub"}
        left = set(os.listdir(self.dir)) - {"repo"} - set(make_archive.CASES) - {"cut"}
        self.assertEqual(left, expected)
        self.assertEqual((self.dir / "canary/file").read_text(), "untouched\n")

    def ostree(self, *words):
        return self.run_in("ostree", "--repo=repo", *words).output

    def names(self):
        lines = self.run_in("ostree", "--repo=repo", "ls", "-R", "--nul-filenames-only", "ubiquiti-edgeswitch/1.0.0")
        return set(lines.output.split("\0")) - {""}

    def mode_of(self, path):
        return self.ostree("ls", "ubiquiti-edgeswitch/1.0.0", path).split()[0]


class Good(Import):
    def test_an_archive_as_the_original_made_it(self):
        report = self.accepted("good")
        self.assertEqual(report["target"], "ubiquiti-edgeswitch")
        self.assertEqual(report["version"], "1.0.0")
        self.assertEqual(report["signed_by"], ["release"])
        self.assertEqual(report["built_at"], make_archive.TIME)
        self.assertEqual(report["archive"]["members"], 5)
        self.assertIn("accidents only", report["archive"]["checksums"])
        self.assertEqual(
            self.names(), {"/"} | {"/" + name for name in HOOKS | {"metadata.json", "md5sum.chk"}}
        )
        self.ostree("fsck", "-q")
        self.assertTrue(self.json_of("hc-payload", "check", "repo", "ubiquiti-edgeswitch/1.0.0")["ok"])

    def test_a_plain_tar_and_one_of_a_folder(self):
        first = self.accepted("good")
        os.rename(self.dir / "repo", self.dir / "cut")
        self.assertEqual(self.accepted("good-plain")["commit"], first["commit"])
        self.run_in("rm", "-rf", "repo")
        self.accepted("good-dotted")
        self.assertIn("/empty", self.names())

    def test_the_same_archive_gives_the_same_commit(self):
        first = self.accepted("good")
        os.rename(self.dir / "repo", self.dir / "cut")
        self.assertEqual(self.accepted("good", environment={"LC_ALL": "C", "TZ": "Asia/Kathmandu"})["commit"], first["commit"])

    def test_links_that_stay_inside(self):
        self.accepted("inner-link")
        self.assertIn("/a/link -> ../metadata.json", self.ostree("ls", "-R", "ubiquiti-edgeswitch/1.0.0"))

    def test_checksums_in_binary_mode(self):
        self.accepted("list-binary-mode")

    def test_gzip_in_several_members(self):
        """pigz and the like do so; it is one tar all the same."""
        self.accepted("one-tar-in-two-members")

    def test_what_a_killed_import_left_goes_with_the_next(self):
        (self.dir / ".repo.hc-payload/tree").mkdir(parents=True)
        (self.dir / ".repo.hc-payload/tree/evil.sh").write_text("left over")
        self.accepted("good")
        self.assertNotIn("/evil.sh", self.names())

    def test_check_says_it_all_and_makes_nothing(self):
        self.write("good")
        self.assertTrue(self.json_of("hc-payload", "check", "good")["ok"])
        self.write("list-empty")
        checked = self.json_of("hc-payload", "check", "list-empty", status=3)
        self.assertEqual(len(checked["findings"]), 5)
        self.write("up")
        self.assertIn("leaves the payload", self.json_of("hc-payload", "check", "up", status=3)["findings"][0]["text"])
        self.assertFalse((self.dir / "repo").exists())

    def test_metadata_and_hooks_count_as_ever(self):
        self.refused("metadata-missing", "metadata.json: is missing")
        self.refused("not-executable", "hc_verify_upgrade.sh: is not executable")

    def test_no_archive_at_all(self):
        error = self.import_file("nowhere.tar.gz", status=3)["error"]
        self.assertIn("is no file", error["text"])
        self.refused("not-an-archive", "no tar")
        self.assertIn("is no file", self.import_file("canary", status=3)["error"]["text"])
        os.mkfifo(self.dir / "cut")
        self.assertIn("is no file", self.import_file("cut", status=3)["error"]["text"])


class Im1Truncation(Import):
    def cut(self, case, sizes):
        self.write(case)
        data = (self.dir / case).read_bytes()
        for size in sizes(len(data)):
            with self.subTest(case=case, size=size):
                error = self.refused("cut", "ends too early", f"byte {size}", data=data[:size])
                self.assertIn("again", error["hint"])

    def test_im1_a_cut_gzip(self):
        self.cut("big-gz", lambda size: (20, 1000, size // 2, size - 1000, size - 1))

    def test_im1_a_cut_tar(self):
        """Within a file's data the whole length is gone; the words differ, the refusal does not."""
        self.write("big-tar")
        data = (self.dir / "big-tar").read_bytes()
        for size in (20, 512, 1000, 1024, 1536, 100_000, 102_400, len(data) // 2, len(data) - 10_240):
            with self.subTest(size=size):
                self.refused("cut", "ends too early", data=data[:size])

    def test_im1_cut_between_two_members(self):
        """Where only a link is lost, no checksum would show it."""
        self.refused("lost-link", "ends too early")
        self.refused("no-end-mark", "ends too early")

    def test_im1_more_behind_the_end(self):
        for case in ("trailing-garbage", "trailing-zeros", "two-archives", "two-tars"):
            with self.subTest(case=case):
                self.refused(case, "goes on after its end", "byte ")

    def test_im1_damaged(self):
        for case in ("wrong-crc", "wrong-length", "header-checksum"):
            with self.subTest(case=case):
                self.refused(case, "is damaged")

    def test_im1_nothing_at_all(self):
        self.refused("cut", "ends too early", data=b"")

    def test_im1_any_cut_of_a_small_archive_is_seen(self):
        self.write("good")
        data = (self.dir / "good").read_bytes()
        for size in range(0, len(data), 61):
            with self.subTest(size=size):
                self.refused("cut", data=data[:size])


class Im2Checksums(Import):
    def test_im2_a_file_that_is_not_listed(self):
        self.refused("unlisted-file", "extra.sh: does not stand in md5sum.chk")

    def test_im2_a_listed_file_that_is_missing(self):
        self.refused("listed-but-absent", "names `gone.sh`, which is no file")

    def test_im2_a_wrong_checksum(self):
        self.refused("wrong-checksum", "hc_install_upgrade.sh: has another checksum")

    def test_im2_a_path_twice(self):
        for case in ("same-path-twice", "same-path-twice-dotted"):
            self.refused(case, "member `hc_install_upgrade.sh` comes twice")

    def test_im2_a_listed_path_with_dots(self):
        self.refused("list-with-dots", "md5sum.chk:2:", "leaves the payload through `..`")

    def test_im2_a_list_that_is_empty_absent_or_wrong(self):
        self.refused("list-empty", "md5sum.chk: is empty")
        self.refused("list-absent", "md5sum.chk: is missing")
        self.refused("list-is-a-link", "md5sum.chk: is missing")
        self.refused("list-twice", "md5sum.chk:6: names `hc_install_upgrade.sh` a second time")
        self.refused("list-rubbish", "md5sum.chk:6: is not `CHECKSUM  PATH`")


class Im4Links(Import):
    def test_im4_a_hard_links_out(self):
        self.refused("hard-link-outside", "member `x` is a hard link that leaves the payload")
        self.refused("hard-link-absolute", "member `x` is a hard link that leaves the payload")

    def test_im4_b_through_a_symlink(self):
        self.refused("through-a-link", "member `d` is a link that leaves the payload", "`/outside`")
        self.refused("through-an-inner-link", "member `d/pwn` lies below `d`")
        self.refused("link-climbs", "member `a/d` is a link that leaves the payload")
        self.refused("link-replaced-by-a-directory", "member `d` comes twice")

    def test_im4_c_upwards(self):
        self.refused("up", "member `../up` leaves the payload")
        self.refused("up-later", "member `a/../../up` leaves the payload")

    def test_im4_d_absolute(self):
        self.refused("absolute", "member `/abs/path` has an absolute path")

    def test_im4_e_an_access_list_on_a_symlink(self):
        self.refused("access-list", "member `acl` carries an access list")

    def test_im4_f_below_a_file(self):
        self.refused("file-as-directory", "member `a/b` lies below `a`")

    def test_im4_g_hard_links_to_hard_links(self):
        self.accepted("hard-links")
        for name in "abc":
            self.assertEqual(self.ostree("cat", "ubiquiti-edgeswitch/1.0.0", f"/usr/{name}"), "content\n")

    def test_im4_h_hard_links_to_what_is_not_there(self):
        self.refused("hard-link-to-later", "member `x` is a hard link to `later`")
        self.refused("hard-link-to-never", "member `x` is a hard link to `never`")
        self.refused("hard-link-to-itself", "member `x` is a hard link to `x`")
        self.refused("hard-link-to-a-link", "member `x` is a hard link to `l`")

    def test_im4_devices_and_the_like(self):
        self.refused("character-device", "member `dev` is a device")
        self.refused("block-device", "member `dev` is a device")
        self.refused("fifo", "member `pipe` is a pipe")


class Im6Names(Import):
    def expect_names(self, case, names, **options):
        self.accepted(case, **options)
        found = {os.fsencode(name) for name in self.names()}
        for name in names:
            self.assertIn(b"/" + name.encode(), found)
            self.assertEqual(self.ostree("cat", "ubiquiti-edgeswitch/1.0.0", "/" + name), name)

    def test_im6_names_of_all_kinds_in_any_locale(self):
        names = ("na\u00efve-\u2010.conf", "\U0001f41d", "two\nlines", "back\\slash", "blank ", "n" * 255)
        self.expect_names("names", (*names, "d/" * 300 + "deep"))
        self.run_in("rm", "-rf", "repo")
        self.expect_names("names", names, environment={"LC_ALL": "C", "LANG": ""})
        self.run_in("rm", "-rf", "repo")
        self.expect_names("names-gnu", (names[0], names[-1]), environment={"LC_ALL": "C"})

    def test_im6_an_empty_environment(self):
        self.write("names")
        program = self.run_in("sh", "-c", "command -v hc-payload").output.strip()
        command = ["env", "-i", program, "import", "names", "--sequence", "1", "--key", "release.key", "--repo", "repo"]
        self.run_in(*command)
        self.assertIn("/na\u00efve-\u2010.conf", self.names())

    def test_im6_a_name_with_a_line_end_splits_no_line(self):
        self.write("names")
        data = make_archive.Archive()
        data.extra = [(make_archive.member("evil\nforged: all is well"), b"x")]
        error = self.refused("cut", "evil\\x0aforged", data=data.gz())
        self.assertNotIn("\n", error["text"])
        checked = self.run_in("hc-payload", "check", "cut", status=3)
        self.assertNotIn("\nforged", checked.output)

    def test_im6_no_utf8(self):
        self.refused("not-utf8", "member `b\\xe9d`", "no valid UTF-8")
        self.refused("not-utf8-pax", "member `b\\xe9d`")
        self.refused("link-not-utf8", "member `l`", "`b\\xe9d`")

    def test_im6_too_long(self):
        self.refused("too-long-name", "more than 255 bytes")
        self.refused("too-long-path", "more than 2048 bytes")
        self.refused("empty-part", "member `a//b`")


class Im8Rights(Import):
    def test_im8_setuid_is_refused_unless_it_is_meant(self):
        for case in ("setuid", "setgid"):
            error = self.refused(case, "member `tool` runs with the rights of its owner")
            self.assertIn("--allow-setuid", error["hint"])

    def test_im8_setuid_that_is_meant_stays_and_is_named(self):
        for case, mode in (("setuid", "-04755"), ("setgid", "-02755")):
            self.write(case, make_archive.setuid_file(0o4711 if case == "setuid" else 0o2755, listed=True))
            report = self.import_file(case, "--allow-setuid")
            self.assertEqual(self.mode_of("/tool"), mode)
            self.assertEqual([finding["where"] for finding in report["findings"]], ["tool"])
            self.run_in("rm", "-rf", "repo")

    def test_im8_owners_become_root_whatever_names_say(self):
        self.accepted("owners")
        listing = self.ostree("ls", "-R", "ubiquiti-edgeswitch/1.0.0")
        for line in listing.splitlines():
            self.assertEqual(line.split()[1:3], ["0", "0"], line)
        self.assertEqual(self.mode_of("/deep/down/file"), "-00644")
        self.assertEqual(self.ostree("ls", "-d", "ubiquiti-edgeswitch/1.0.0", "/deep/down").split()[0], "d00755")
        self.assertEqual(self.ostree("ls", "-d", "ubiquiti-edgeswitch/1.0.0", "/sticky").split()[0], "d00755")

    def test_im8_capabilities_are_never_lost_without_a_word(self):
        self.refused("extended-attribute", "member `hc_rollback_upgrade.sh` carries extended attributes")


class Tricks(Import):
    def test_bombs(self):
        self.refused("bomb", "times its size")
        self.refused("hard-link-bomb", "more than the 20.0 MB allowed", more=("--most", "20"))
        self.refused("big-gz", "more than the 1.0 MB allowed", more=("--most", "1"), data=oversized())
        self.refused("many-members", "more members than the 100 allowed", more=("--most-members", "100"))
        self.refused("huge-size", "member `huge`", "allowed")

    def test_sparse_files(self):
        self.refused("sparse", "member `sparse`")
        self.refused("sparse-pax", "member `sparse`")

    def test_extended_headers_that_lie(self):
        self.refused("pax-size", "two-faced: does not stand in md5sum.chk")
        self.refused("pax-path", "member `../../etc/passwd` leaves the payload")
        self.refused("pax-malformed", "is damaged or no tar")

    def test_the_child_has_no_rights(self):
        """What unpacks as root runs as nobody: even a fault in libarchive could write nowhere else."""
        if os.geteuid() != 0:
            self.skipTest("only root has rights to give up")
        self.write("bomb")
        command = ["hc-payload", "import", "bomb", "--sequence", "1", "--key", "release.key", "--repo", "repo"]
        seen = set()
        with subprocess.Popen(command, cwd=self.dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while process.poll() is None:
                seen |= {tuple(status) for status in unpackers(process.pid)}
        self.assertTrue(seen, "the child was never seen")
        self.assertIn(("65534", "1"), seen)


def unpackers(parent):
    """Owner and NoNewPrivs of the processes below `parent` that unpack."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if b"unpack-archive-child" not in (entry / "cmdline").read_bytes():
                continue
            fields = dict(line.split(":", 1) for line in (entry / "status").read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if is_below(entry, parent):
            yield fields["Uid"].split()[0], fields["NoNewPrivs"].strip()


def is_below(entry, parent):
    pid = int(entry.name)
    while pid > 1:
        if pid == parent:
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            return False
    return False


def oversized():
    archive = make_archive.Archive()
    archive.files["big.bin"] = os.urandom(1_200_000)
    return archive.gz()


if __name__ == "__main__":
    os.environ["PATH"] = sys.argv.pop(1) + ":" + os.environ["PATH"]
    unittest.main(verbosity=2)
