#!/usr/bin/env python3
"""What becomes of a payload after its tree is right: signed elsewhere, verified, compared, published, promoted, pruned.

release_test.py PROGRAM_DIRECTORY
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import make_archive  # noqa: E402
from programs import ROOT, InFolder, run, take_directories, unittest  # noqa: E402

TIME = 1700000000
PEM_PREFIX = bytes.fromhex("302a300506032b6570032100")  # what goes before the 32 bytes of an Ed25519 key


class Release(InFolder):
    def setUp(self):
        super().setUp()
        self.run_in("hc-payload", "keygen", "release")

    def write(self, name, text, mode=0o644):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def camera(self, folder="camera", version="1.0.0", zoom=4):
        self.write(
            f"{folder}/metadata.json",
            json.dumps({"peripheral_name": "camera", "config_version": version}
                       | {f"retry_{hook}": 0 for hook in ("state_check", "install", "verify")}),
        )  # fmt: skip
        for hook in ("state_check", "install_upgrade", "verify_upgrade"):
            self.write(f"{folder}/hc_{hook}.sh", "#!/bin/sh\nexit 0\n", 0o755)
        self.write(f"{folder}/zoom.conf", f"zoom={zoom}\n")
        return folder

    def os_tree(self, folder="os", packages=(("bash", "5.2-2+b1"), ("libc6", "2.36-9")), arguments="quiet"):
        modules = f"{folder}/usr/lib/modules/6.1.0-test"
        self.write(f"{modules}/vmlinuz", "kernel")
        self.write(f"{modules}/initramfs.img", "initramfs")
        self.write(f"{folder}/usr/lib/os-release", 'ID=test\nPRETTY_NAME="Test OS"\n')
        self.write(f"{folder}/etc/app.conf", "shipped\n")
        self.write(f"{folder}/usr/lib/honeycomb/kargs.d/a.conf", arguments + "\n")
        status = "".join(
            f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n"
            f"Maintainer: Someone <someone@example.org>\nDescription: a thing\n with more to say\n\n"
            for name, version in packages
        )
        self.write(f"{folder}/usr/share/dpkg/database/status", status)
        return folder

    def build(self, tree, sequence, *more, key="release.key", repo="repo", status=0, **options):
        signer = ["--key", key] if key else ["--unsigned"]
        words = ["hc-payload", "build", tree, "--sequence", sequence, "--repo", repo, "--timestamp", TIME]
        return self.json_of(*words, *signer, *more, status=status, **options)

    def build_os(self, tree, version, sequence, *more, **options):
        return self.build(tree, sequence, "--target", "os", "--version", version, *more, **options)

    def refusal(self, *words, status=3):
        return self.json_of(*words, status=status)["error"]["text"]

    def refs(self, repo="repo"):
        names = self.run_in("ostree", f"--repo={repo}", "refs").output.split()
        return {name: self.run_in("ostree", f"--repo={repo}", "rev-parse", name).output.strip() for name in names}

    def summary(self, repo="repo"):
        return self.run_in("ostree", f"--repo={repo}", "summary", "--view").output

    def pem(self, name="release"):
        """The public key as OpenSSL wants it, made from our file by nothing of ours."""
        text = (self.dir / f"{name}.pub").read_text()
        raw = base64.b64decode(next(line[7:] for line in text.splitlines() if line.startswith("public=")))
        body = base64.b64encode(PEM_PREFIX + raw).decode()
        (self.dir / f"{name}.pem").write_text(f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
        return f"{name}.pem"

    def openssl_verifies(self, message, signature, name="release", status=0):
        (self.dir / "message").write_bytes(message)
        (self.dir / "signature").write_bytes(signature)
        words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", self.pem(name), "-rawin"]
        self.run_in(*words, "-in", "message", "-sigfile", "signature", status=status)


class Detached(Release):
    def test_signed_elsewhere_it_is_the_same_payload(self):
        built = self.build(self.camera(), 1, key=None)
        self.assertEqual(built["refs"], ["unsigned/camera/1.0.0"])
        self.assertEqual(built["signed_by"], [])
        self.assertEqual(self.refs(), {"unsigned/camera/1.0.0": built["commit"]})
        self.run_in("hc-payload", "export", "repo", "unsigned/camera/1.0.0", "--commit", "c")
        self.assertEqual(hashlib.sha256((self.dir / "c").read_bytes()).hexdigest(), built["commit"])
        self.run_in(*"openssl pkeyutl -sign -rawin -inkey release.key -in c -out s".split())
        attach = "hc-payload attach repo unsigned/camera/1.0.0 --signature s --key release.pub"
        done = self.json_of(*attach.split())
        self.assertEqual(done["signed_by"], ["release"])
        self.assertEqual(self.refs(), {ref: built["commit"] for ref in ("camera/1.0.0", "camera/stable")})
        self.assertIn("camera/1.0.0", self.summary())
        self.run_in(*"hc-payload verify repo camera/stable --key release.pub".split())
        self.assertEqual(self.build("camera", 1, repo="other")["commit"], built["commit"])
        # Once more, in base64 and with the key as PEM: nothing changes.
        (self.dir / "s64").write_bytes(base64.encodebytes((self.dir / "s").read_bytes()).replace(b"\n", b"") + b"\n")
        again = f"hc-payload attach repo camera/1.0.0 --signature s64 --key {self.pem()}"
        self.json_of(*again.split())
        self.assertEqual(self.json_of(*"hc-payload show repo camera/1.0.0".split())["signatures"], 1)

    def test_no_other_signature_is_taken(self):
        built = self.build(self.camera(), 1, key=None)
        self.run_in("hc-payload", "keygen", "other", "--targets", "os")
        self.run_in("hc-payload", "export", "repo", built["commit"], "--commit", "c")
        (self.dir / "d").write_bytes((self.dir / "c").read_bytes() + b"x")
        for key, message, name in (("release", "d", "other-bytes"), ("other", "c", "other-key")):
            self.run_in("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", f"{key}.key", "-in", message, "-out", name)
        (self.dir / "short").write_bytes(b"0" * 63)
        attach = ["hc-payload", "attach", "repo", built["commit"], "--signature"]
        for signature, key, status, words in (
            ("other-bytes", "release.pub", 4, "of none of the given keys (release)"),
            ("other-key", "release.pub", 4, "of none of the given keys (release)"),
            ("other-key", "other.pub", 4, "the key other may not sign for camera"),
            ("short", "release.pub", 3, "no Ed25519 signature"),
        ):
            self.assertIn(words, self.refusal(*attach, signature, "--key", key, status=status))
        self.assertEqual(list(self.refs()), ["unsigned/camera/1.0.0"])
        self.assertEqual(self.json_of("hc-payload", "show", "repo", built["commit"])["signatures"], 0)

    def test_what_waits_may_be_replaced_and_what_is_released_may_not(self):
        self.build(self.camera(), 1, key=None)
        second = self.build(self.camera(zoom=5), 1, key=None)
        self.assertEqual(self.refs(), {"unsigned/camera/1.0.0": second["commit"]})
        self.build("camera", 1)
        self.camera(zoom=6)
        error = self.build("camera", 1, key=None, status=3)["error"]["text"]
        self.assertIn("with other content", error)

    def test_who_signs_must_be_said(self):
        self.camera()
        words = "hc-payload build camera --sequence 1 --repo repo".split()
        self.run_in(*words, status=2)
        self.run_in(*words, "--unsigned", "--key", "release.key", status=2)
        self.run_in(*words, "--sign-command", "true", status=2)

    def test_a_program_that_signs(self):
        sign = "#!/bin/sh\nopenssl pkeyutl -sign -rawin -inkey release.key -in \"$1\" -out \"$2\"\n"
        self.write("sign", sign, 0o755)
        command = ["--sign-command", "./sign", "--sign-key", self.pem()]
        words = ["hc-payload", "build", self.camera(), "--sequence", 1, "--repo", "repo"]
        self.assertEqual(self.json_of(*words, *command)["signed_by"], ["release"])
        self.run_in(*"hc-payload verify repo camera/1.0.0 --key release.pub".split())
        self.run_in("hc-payload", "keygen", "other")
        self.camera(version="1.1.0")
        words[4] = 2
        self.assertIn("no signature of the key other",
                      self.refusal(*words, *command[:3], "other.pub", status=4))  # fmt: skip
        self.write("sign", "#!/bin/sh\necho 'the card is not in' >&2\nexit 1\n", 0o755)
        self.assertIn("the card is not in", self.refusal(*words, *command))
        self.assertNotIn("camera/1.1.0", self.refs())

    def test_a_key_in_an_hsm(self):
        module = "/usr/lib/softhsm/libsofthsm2.so"
        if not Path(module).exists():
            self.fail("softhsm2 is not installed: run tests/setup")
        (self.dir / "tokens").mkdir()
        (self.dir / "hsm.conf").write_text(f"directories.tokendir = {self.dir}/tokens\nobjectstore.backend = file\n")
        hsm = {
            "SOFTHSM2_CONF": str(self.dir / "hsm.conf"),
            "HC_PKCS11_MODULE": module,
            "HC_PKCS11_TOKEN": "release",
            "HC_PKCS11_ID": "01",
            "HC_PKCS11_PIN": "1234",
        }
        tool = ["pkcs11-tool", "--module", module, "--token-label", "release"]
        self.run_in(*"softhsm2-util --init-token --free --label release --pin 1234 --so-pin 5678".split(), environment=hsm)
        new_key = "--login --pin 1234 --keypairgen --key-type EC:edwards25519 --id 01".split()
        self.run_in(*tool, *new_key, environment=hsm)
        self.run_in(*tool, *"--read-object --type pubkey --id 01 --output-file hsm.pem".split(), environment=hsm)
        self.run_in(*"hc-payload public-key hsm.pem hsm --targets camera".split())
        signer = ["--sign-command", ROOT / "image-tools/ci/sign-pkcs11", "--sign-key", "hsm.pub"]
        words = ["hc-payload", "build", self.camera(), "--sequence", 1, "--repo", "repo", *signer]
        self.assertEqual(self.json_of(*words, environment=hsm)["signed_by"], ["hsm"])
        self.run_in(*"hc-payload verify repo camera/1.0.0 --key hsm.pub".split())


class Archive(Release):
    def test_its_signature_is_that_of_the_imported_payload(self):
        (self.dir / "a.tar.gz").write_bytes(make_archive.CASES["good"]())
        made = self.json_of(*"hc-payload sign-archive a.tar.gz --sequence 7 --key release.key".split())
        imported = self.json_of(*"hc-payload import a.tar.gz --sequence 7 --key release.key --repo repo".split())
        self.assertEqual(made["commit"], imported["commit"])
        self.assertEqual(made["archive_signature"], "a.tar.gz.sig")
        sig = json.loads((self.dir / "a.tar.gz.sig").read_text())
        commit, signature = base64.b64decode(sig["commit"]), base64.b64decode(sig["signatures"][0])
        self.assertEqual(hashlib.sha256(commit).hexdigest(), made["commit"])
        self.openssl_verifies(commit, signature)
        self.run_in(*"hc-payload export repo ubiquiti-edgeswitch/1.0.0 --archive-signature b.sig".split())
        self.assertEqual((self.dir / "b.sig").read_text(), (self.dir / "a.tar.gz.sig").read_text())
        self.assertEqual(sorted(set(os.listdir(self.dir)) - {"message", "signature", "release.pem"}),
                         ["a.tar.gz", "a.tar.gz.sig", "b.sig", "release.key", "release.pub", "repo"])  # fmt: skip

    def test_a_bad_archive_gets_no_signature(self):
        (self.dir / "a.tar.gz").write_bytes(make_archive.CASES["good"]()[:-40])
        self.refusal(*"hc-payload sign-archive a.tar.gz --sequence 7 --key release.key".split())
        self.assertEqual(sorted(os.listdir(self.dir)), ["a.tar.gz", "release.key", "release.pub"])

    def test_nothing_unsigned_is_exported_for_a_node(self):
        (self.dir / "a.tar.gz").write_bytes(make_archive.CASES["good"]())
        built = self.json_of(*"hc-payload import a.tar.gz --sequence 7 --unsigned --repo repo".split())
        words = ["hc-payload", "export", "repo", built["commit"], "--archive-signature", "b.sig"]
        self.assertIn("has no signature yet", self.refusal(*words))
        self.assertFalse((self.dir / "b.sig").exists())


class Verify(Release):
    def test_good_and_bad(self):
        built = self.build(self.camera(), 1)
        verify = ["hc-payload", "verify", "repo", "camera/1.0.0"]
        done = self.json_of(*verify, "--key", "release.pub")
        self.assertEqual(done["signers"], ["release"])
        self.assertEqual(done["provenance_signed_by"], ["release"])
        (self.dir / "trust/trust.d").mkdir(parents=True)
        self.run_in("cp", "release.pub", "trust/trust.d/ours.pub")
        self.assertEqual(self.json_of(*verify, "--keyring", "trust")["provenance_signed_by"], ["ours"])
        self.run_in("hc-payload", "keygen", "other")
        self.assertIn("by a key that this node trusts", self.refusal(*verify, "--key", "other.pub", status=4))
        both = ["--key", "release.pub", "--key", "other.pub", "--threshold", 2]
        self.refusal(*verify, *both, status=4)
        self.run_in(*"hc-payload sign repo camera/1.0.0 --key other.key".split())
        self.assertEqual(self.json_of(*verify, *both)["signers"], ["release", "other"])
        for path in (self.dir / "repo/objects").rglob("*.filez"):
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[:-1])
        self.json_of(*verify, "--key", "release.pub", status=8)
        self.assertTrue(built["commit"])

    def test_the_model_counts_where_it_is_given(self):
        self.build(self.camera(), 1, "--compatible", "wsn-*", "--requires", "os=2.0")
        verify = "hc-payload verify repo camera/1.0.0 --key release.pub".split()
        self.run_in(*verify)
        self.run_in(*verify, "--model", "wsn-3")
        self.refusal(*verify, "--model", "xr2")


class Diff(Release):
    def test_all_that_two_versions_differ_in(self):
        self.write("news.txt", "Zoom works again.\n")
        self.build_os(self.os_tree(), "1.0.0", 1)
        self.os_tree(packages=(("bash", "5.2-3"), ("zoom", "1.0")), arguments="quiet panic=10")
        self.write("os/usr/lib/honeycomb/upgrade/hc_verify_upgrade.sh", "#!/bin/sh\nexit 0\n", 0o755)
        self.build_os("os", "1.1.0", 2, "--changelog", "news.txt")
        words = "hc-payload diff repo os/1.0.0 os/1.1.0".split()
        diff = self.json_of(*words)
        self.assertEqual(diff["packages"], {"added": ["zoom:amd64 1.0"], "removed": ["libc6:amd64 2.36-9"],
                                            "changed": ["bash:amd64 5.2-2+b1 -> 5.2-3"]})  # fmt: skip
        self.assertEqual(diff["kernel_arguments"], {"added": ["panic=10"], "removed": [], "changed": []})
        self.assertEqual(diff["hooks"]["added"], ["usr/lib/honeycomb/upgrade/hc_verify_upgrade.sh"])
        self.assertIn("sequence: 1 -> 2", diff["says"]["changed"])
        self.assertIn("usr/share/honeycomb/sbom.spdx.json", diff["files"]["changed"])
        text = self.run_in(*words).output
        for part in ("Zoom works again.", "~ bash:amd64 5.2-2+b1 -> 5.2-3", "+ panic=10"):
            self.assertIn(part, text)


class Publish(Release):
    def test_from_the_build_to_candidate_to_stable(self):
        one = self.build(self.camera(), 1)["commit"]
        two = self.build(self.camera(version="1.1.0", zoom=5), 2)["commit"]
        publish = "hc-payload publish repo {} --to www --key release.pub --branch candidate"
        self.run_in(*publish.format("camera/1.0.0 camera/1.1.0").split())
        self.assertEqual(self.refs("www"), {"camera/1.0.0": one, "camera/1.1.0": two, "camera/candidate": two})
        self.run_in("ostree", "--repo=www", "fsck", "-q")
        self.assertIn("camera/candidate", self.summary("www"))
        self.run_in(*"hc-payload verify www camera/1.0.0 --key release.pub".split())
        before = self.refs("www")
        self.run_in(*publish.format("camera/1.0.0").split())
        self.assertEqual(self.refs("www"), before)

        self.run_in("hc-payload", "keygen", "stable")
        promote = "hc-payload promote www {} --branch stable --key stable.key"
        self.run_in(*promote.format("camera/candidate").split())
        self.assertEqual(self.refs("www")["camera/stable"], two)
        self.assertIn("camera/stable", self.summary("www"))
        verify = "hc-payload verify www camera/stable --threshold 2 --key release.pub --key stable.pub"
        self.run_in(*verify.split())
        self.assertIn("step back", self.refusal(*promote.format("camera/1.0.0").split()))
        self.assertEqual(self.refs("www")["camera/stable"], two)
        # Published once more, it keeps the second signature.
        self.run_in(*publish.format("camera/1.1.0").split())
        self.run_in(*verify.split())

    def test_deltas_are_there_with_the_version(self):
        commits = [self.build(self.camera(version=f"1.{n}.0", zoom=n), n + 1)["commit"] for n in range(4)]
        publish = "hc-payload publish repo {} --to www --key release.pub --deltas 2".split(" {} ")
        for words in ("camera/1.0.0", "camera/1.1.0 camera/1.2.0", "camera/1.3.0"):
            self.run_in(*publish[0].split(), *words.split(), *publish[1].split())
        deltas = self.dir / "www/honeycomb/deltas"
        made = {folder.name: {file.stem for file in folder.iterdir()} for folder in deltas.iterdir()}
        self.assertEqual(made, {commits[1]: {commits[0]}, commits[2]: set(commits[0:2]), commits[3]: set(commits[1:3])})
        before = (deltas / commits[3] / f"{commits[2]}.hcd").stat().st_mtime_ns
        self.run_in(*publish[0].split(), "camera/1.3.0", *publish[1].split())
        self.assertEqual((deltas / commits[3] / f"{commits[2]}.hcd").stat().st_mtime_ns, before, "made once")
        # A node may still run what is pruned: the way from there stays.
        self.run_in(*"hc-payload prune www --keep 1".split())
        self.assertEqual([folder.name for folder in deltas.iterdir()], [commits[3]])
        self.assertEqual(len(list((deltas / commits[3]).iterdir())), 4)

    def test_deltas_come_from_the_newest_whatever_is_published_again(self):
        commits = [self.build(self.camera(version=f"1.{n}.0", zoom=n), n + 1)["commit"] for n in range(4)]
        publish = "hc-payload publish repo {} --to www --key release.pub --deltas 2"
        self.run_in(*publish.format("camera/1.0.0 camera/1.1.0 camera/1.2.0").split())
        self.run_in(*publish.format("camera/1.0.0 camera/1.3.0").split())
        made = {file.stem for file in (self.dir / "www/honeycomb/deltas" / commits[3]).iterdir()}
        self.assertEqual(made, set(commits[1:3]))

    def test_a_delta_that_cannot_be_made_leaves_what_nodes_see(self):
        for number in range(2):
            self.build(self.camera(version=f"1.{number}.0", zoom=number), number + 1)
        publish = "hc-payload publish repo camera/1.{}.0 --to www --key release.pub --deltas 1"
        self.run_in(*publish.format(0).split())
        before = self.refs("www"), self.summary("www")
        line = self.run_in("ostree", "--repo=repo", "ls", "-C", "camera/1.0.0", "/metadata.json").output
        checksum = line.split()[4]
        (self.dir / "www/objects" / checksum[:2] / f"{checksum[2:]}.filez").unlink()
        said = self.json_of(*publish.format(1).split(), status=3)["error"]
        self.assertIn("the delta from camera/1.0.0: commit", said["text"])
        self.assertIn("or without --deltas", said["hint"])
        self.assertEqual((self.refs("www"), self.summary("www")), before)
        self.run_in(*publish.format(1).split()[:-2])
        self.assertIn("camera/1.1.0", self.refs("www"))

    def test_nothing_lands_that_is_not_signed_or_not_new(self):
        self.build(self.camera(), 2)
        self.run_in("hc-payload", "keygen", "other")
        publish = "hc-payload publish {} camera/1.0.0 --to www --key {}"
        self.refusal(*publish.format("repo", "other.pub").split(), status=4)
        self.assertFalse((self.dir / "www").exists())
        self.run_in(*publish.format("repo", "release.pub").split())
        before = self.refs("www")
        self.build(self.camera(zoom=9), 3, repo="second")
        self.assertIn("with other content", self.refusal(*publish.format("second", "release.pub").split()))
        self.build(self.camera(version="1.1.0"), 1, repo="third")
        words = publish.format("third", "release.pub").replace("1.0.0", "1.1.0").split()
        self.assertIn("is not larger than 2", self.refusal(*words))
        self.assertEqual(self.refs("www"), before)

    def test_only_a_release_is_promoted(self):
        built = self.build(self.camera(), 1, key=None)
        words = ["hc-payload", "promote", "repo", built["commit"], "--branch", "stable", "--key", "release.key"]
        self.assertIn("only releases are promoted", self.refusal(*words))

    def test_pruning_keeps_what_is_used(self):
        for number in range(1, 6):
            self.build(self.camera(version=f"1.{number}.0", zoom=number), number)
        self.run_in("ostree", "--repo=repo", "refs", "camera/1.1.0", "--create=camera/customer")
        prune = "hc-payload prune repo --keep 2".split()
        self.assertEqual(self.json_of(*prune, "--plan")["removed"], ["camera/1.3.0", "camera/1.2.0"])
        self.assertEqual(self.json_of(*prune, "--younger-than", 99999)["removed"], [])
        self.assertIn("camera/1.2.0", self.refs())
        done = self.json_of(*prune)
        self.assertGreater(done["freed_bytes"], 0)
        self.assertEqual(set(self.refs()), {"camera/1.1.0", "camera/1.4.0", "camera/1.5.0", "camera/stable",
                                            "camera/customer"})  # fmt: skip
        self.assertNotIn("camera/1.2.0", self.summary())
        self.run_in("ostree", "--repo=repo", "fsck", "-q")
        self.run_in(*"hc-payload verify repo camera/1.1.0 --key release.pub".split())


class Reproducible(Release):
    def test_days_users_umasks_locales_and_orders_do_not_show(self):
        first = self.build(self.camera(), 1)["commit"]
        self.run_in("sh", "-ec", "mkdir other; for f in zoom.conf metadata.json hc_verify_upgrade.sh hc_state_check.sh "
                                 "hc_install_upgrade.sh; do cp camera/$f other/; touch -d 2001-02-03 other/$f; done")
        words = ["hc-payload", "build", "other", "--sequence", "1", "--key", "release.key", "--timestamp", str(TIME)]
        as_other = ["sh", "-ec", 'umask 077; exec "$@"', "sh", *words, "--repo", "there/repo", "--json"]
        if os.geteuid() == 0:
            (self.dir / "there").mkdir()
            self.run_in("chown", "-R", "nobody", "other", "there", "release.key", ".")
            as_other = ["setpriv", "--reuid", "nobody", "--clear-groups", *as_other]
        done = self.run_in(*as_other, environment={"LC_ALL": "C", "TZ": "Asia/Kathmandu", "HOME": "/nonexistent"})
        self.assertEqual(json.loads(done.output)["commit"], first)

    def test_check_builds_twice(self):
        self.assertTrue(self.build(self.camera(), 1, "--check")["reproducible"])
        self.assertTrue(self.build_os(self.os_tree(), "1.0.0", 1, "--check")["reproducible"])

    def test_check_finds_what_depends_on_the_day(self):
        """A tree whose build cannot be repeated: it changes while it is looked at."""
        self.camera()
        changer = subprocess.Popen(
            ["sh", "-c", "while :; do echo zoom=$RANDOM-$(date +%N) >camera/zoom.conf; done"], cwd=self.dir)  # fmt: skip
        self.addCleanup(changer.wait)
        self.addCleanup(changer.kill)
        for _ in range(20):
            done = run("hc-payload", "build", "camera", "--sequence", 1, "--key", "release.key", "--repo", "repo",
                       "--check", "--timestamp", TIME, cwd=self.dir)  # fmt: skip
            if done.status == 3 and "two builds of this tree differ" in done.errors:
                self.assertIn("zoom.conf", done.errors)
                self.assertEqual(self.refs(), {})
                return
            if (self.dir / "repo").exists():
                self.run_in("rm", "-rf", "repo")
        self.fail(f"never found: {done}")


class Git(Release):
    def git(self, *words):
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        return self.run_in("git", *who, *words).output.strip()

    def test_version_and_sequence_come_from_tags_and_commits(self):
        self.camera("src/camera")
        self.git("init", "-q", "src")
        self.git("-C", "src", "add", ".")
        self.git("-C", "src", "commit", "-qm", "one")
        words = "hc-payload build src/camera --version-from-git --key release.key --repo repo".split()
        self.assertIn("no tag like v1.2.3", self.refusal(*words))
        self.git("-C", "src", "tag", "v1.0.0")
        built = self.json_of(*words)
        time = int(self.git("-C", "src", "log", "-1", "--format=%ct"))
        self.assertEqual((built["version"], built["sequence"], built["built_at"]), ("1.0.0", 1, time))

        self.os_tree("src/os")
        self.git("-C", "src", "add", ".")
        self.git("-C", "src", "commit", "-qm", "two")
        words = "hc-payload build src/os --target os --version-from-git --key release.key --repo repo".split()
        built = self.json_of(*words)
        commit = self.git("-C", "src", "rev-parse", "--short=12", "HEAD")
        self.assertEqual((built["version"], built["sequence"]), (f"1.0.1-dev.1.g{commit}", 2))
        self.git("-C", "src", "tag", "v1.1.0-rc.1")
        self.assertIn("is not larger than 2", self.refusal(*words))
        self.git("-C", "src", "commit", "-qm", "three", "--allow-empty")
        built = self.json_of(*words)
        self.assertRegex(built["version"], r"^1\.1\.0-rc\.1\.dev\.1\.g[0-9a-f]{12}$")
        self.assertEqual(built["sequence"], 3)
        dsse = json.loads((self.dir / "repo/honeycomb/provenance" / f"{built['commit']}.dsse.json").read_text())
        statement = json.loads(base64.b64decode(dsse["payload"]))
        dependencies = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        self.assertEqual(dependencies[0]["digest"]["gitCommit"], self.git("-C", "src", "rev-parse", "HEAD"))

    def test_what_would_not_say_the_same_everywhere_is_refused(self):
        self.camera("src/camera")
        self.git("init", "-q", "src")
        self.git("-C", "src", "add", ".")
        for name in ("one", "two"):
            self.git("-C", "src", "commit", "-qm", name, "--allow-empty")
        self.git("-C", "src", "tag", "v1.0.0")
        words = "hc-payload build {}/camera --version-from-git --key release.key --repo repo"
        self.write("src/camera/new.conf", "x\n")
        self.assertIn("not committed", self.refusal(*words.format("src").split()))
        (self.dir / "src/camera/new.conf").unlink()
        self.git("clone", "-q", "--depth", "1", f"file://{self.dir}/src", "shallow")
        self.assertIn("shallow clone", self.refusal(*words.format("shallow").split()))
        self.write("src/camera/metadata.json", (self.dir / "src/camera/metadata.json").read_text() + "\n")
        self.git("-C", "src", "commit", "-qam", "three")
        self.assertIn("the version from git is `1.0.1-dev", self.refusal(*words.format("src").split()))


class Materials(Release):
    def test_the_bill_of_materials_is_in_the_payload(self):
        built = self.build_os(self.os_tree(), "2.0.0", 5)
        text = self.run_in("ostree", "--repo=repo", "cat", "os/2.0.0", "/usr/share/honeycomb/sbom.spdx.json").output
        sbom = json.loads(text)
        self.assertEqual((sbom["spdxVersion"], sbom["dataLicense"]), ("SPDX-2.3", "CC0-1.0"))
        self.assertEqual(sbom["creationInfo"]["created"], "2023-11-14T22:13:20Z")
        packages = {package["name"]: package for package in sbom["packages"]}
        self.assertEqual(set(packages), {"os", "bash", "libc6"})
        purl = packages["bash"]["externalRefs"][0]["referenceLocator"]
        self.assertEqual(purl, "pkg:deb/debian/bash@5.2-2%2Bb1?arch=amd64")
        ids = [package["SPDXID"] for package in sbom["packages"]]
        self.assertEqual(len(ids), len(set(ids)))
        # What SPDX 2.3 wants of every document (chapters 6 and 7).
        self.assertEqual((sbom["SPDXID"], sbom["name"]), ("SPDXRef-DOCUMENT", "os-2.0.0"))
        self.assertRegex(sbom["documentNamespace"], r"^(https?|urn):[^#\s]+$")
        self.assertTrue(all(re.match(r"(Tool|Organization|Person): ", who) for who in sbom["creationInfo"]["creators"]))
        for package in sbom["packages"]:
            self.assertRegex(package["SPDXID"], r"^SPDXRef-[A-Za-z0-9.-]+$")
            self.assertIs(package["filesAnalyzed"], False, "else a verification code is wanted")
            self.assertTrue(package["downloadLocation"])
        for relation in sbom["relationships"]:
            self.assertLessEqual({relation["spdxElementId"], relation["relatedSpdxElement"]}, {*ids, sbom["SPDXID"]})
        contained = {r["relatedSpdxElement"] for r in sbom["relationships"] if r["relationshipType"] == "CONTAINS"}
        self.assertEqual(contained, {packages[name]["SPDXID"] for name in ("bash", "libc6")})
        self.assertFalse((self.dir / "os/usr/share/honeycomb").exists(), "the tree itself is not changed")
        self.assertEqual(self.build_os("os", "2.0.0", 5, repo="other")["commit"], built["commit"])

    def test_the_statement_of_provenance_is_signed(self):
        built = self.build(self.camera(), 1, "--builder", "https://ci.example.org/job/7")
        path = self.dir / "repo/honeycomb/provenance" / f"{built['commit']}.dsse.json"
        envelope = json.loads(path.read_text())
        payload = base64.b64decode(envelope["payload"])
        kind = envelope["payloadType"].encode()
        self.assertEqual(kind, b"application/vnd.in-toto+json")
        signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
        self.openssl_verifies(signed, base64.b64decode(envelope["signatures"][0]["sig"]))
        statement = json.loads(payload)
        self.assertEqual(statement["_type"], "https://in-toto.io/Statement/v1")
        self.assertEqual(statement["predicateType"], "https://slsa.dev/provenance/v1")
        self.assertEqual(statement["subject"], [{"name": "camera/1.0.0", "digest": {"sha256": built["commit"]}}])
        self.assertEqual(statement["predicate"]["runDetails"]["builder"]["id"], "https://ci.example.org/job/7")
        verify = "hc-payload verify repo camera/1.0.0 --key release.pub".split()
        self.run_in(*verify)
        forged = payload.replace(b"job/7", b"job/8")
        path.write_text(json.dumps(envelope | {"payload": base64.b64encode(forged).decode()}))
        self.assertIn("the provenance", self.refusal(*verify, status=4))


class Upstream(Release):
    """libostree's own program can read what we write, and OpenSSL's can check what we sign."""

    def test_ostree_pulls_shows_and_checks(self):
        built = self.build_os(self.os_tree(), "1.0.0", 1)
        self.run_in("ostree", "--repo=mirror", "init", "--mode=archive")
        self.run_in("ostree", "--repo=mirror", "remote", "add", "--no-gpg-verify", "us", f"file://{self.dir}/repo")
        self.run_in("ostree", "--repo=mirror", "pull", "--mirror", "us", "os/stable")
        self.run_in("ostree", "--repo=mirror", "fsck", "-q")
        self.assertIn("os 1.0.0", self.run_in("ostree", "--repo=mirror", "show", "os/stable").output)
        self.run_in(*"hc-payload verify mirror os/stable --key release.pub".split())

        path = self.dir / "mirror/objects" / built["commit"][:2] / built["commit"][2:]
        words = ["ostree", "--repo=mirror", "show", "--print-detached-metadata-key=ostree.sign.ed25519", built["commit"]]
        text = self.run_in(*words).output
        numbers = text[text.index("[[") + 2 : text.index("]]")].replace("byte ", "")
        signature = bytes(int(number, 16) for number in numbers.split(","))
        self.assertEqual(len(signature), 64)
        commit = Path(f"{path}.commit").read_bytes()
        self.openssl_verifies(commit, signature)
        self.openssl_verifies(commit + b"x", signature, status=1)


if __name__ == "__main__":
    take_directories()
    unittest.main(verbosity=2)
