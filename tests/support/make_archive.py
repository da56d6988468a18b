#!/usr/bin/env python3
"""Writes an archive of the original form, or one that lies about something: make_archive.py CASE FILE.

Each CASE is one function below; what it changes about a good archive is all that is wrong with the result.
"""

import gzip
import hashlib
import io
import os
import random
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

METADATA = b"""{
  "upgrade_name": "SWITCH-1",
  "peripheral_name": "Ubiquiti Edgeswitch",
  "config_version": "1.0.0",
  "retry_state_check": 5,
  "retry_install": 5,
  "retry_verify": 5
}"""
HOOK = b"#!/bin/sh\nexit 0\n"
FILES = {
    "hc_state_check.sh": HOOK,
    "hc_install_upgrade.sh": HOOK,
    "hc_verify_upgrade.sh": HOOK,
    "metadata.json": METADATA,
}
TIME = 1627332600


def member(name, kind=tarfile.REGTYPE, mode=None, link="", **more):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mtime = kind, link, TIME
    info.mode = mode if mode is not None else 0o775 if name.endswith(".sh") else 0o664
    for key, value in more.items():
        setattr(info, key, value)
    return info


class Archive:
    """What goes into the archive, in this order: (TarInfo, content or None)."""

    def __init__(self, files=None):
        self.files = dict(files if files is not None else FILES)
        self.extra = []  # members that no checksum names
        self.list_text = None
        self.format = tarfile.PAX_FORMAT

    def listed(self):
        lines = []
        for name, content in self.files.items():
            digest, plain = hashlib.md5(content).hexdigest(), name
            if "\\" in name or "\n" in name:
                digest, plain = "\\" + digest, name.replace("\\", "\\\\").replace("\n", "\\n")
            lines.append(f"{digest}  ./{plain}\n")
        # As `find -exec md5sum > md5sum.chk` leaves it: with a checksum of itself from while it was written.
        return "".join(lines) + "d5edca1c4bde4309d974ebdd9ff38a80  ./md5sum.chk\n"

    def tar(self, encoding="utf-8", errors="surrogateescape"):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=self.format, encoding=encoding, errors=errors) as tar:
            text = self.listed() if self.list_text is None else self.list_text
            files = dict(self.files)
            if text is not False:
                files["md5sum.chk"] = text.encode(encoding, errors)
            for name, content in files.items():
                info = member(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            for info, content in self.extra:
                info.size = len(content or b"")
                tar.addfile(info, io.BytesIO(content) if content else None)
        return out.getvalue()

    def gz(self):
        return gzip.compress(self.tar(), 6, mtime=TIME)


CASES = {}


def case(function):
    CASES[function.__name__.replace("_", "-")] = function
    return function


def with_extra(*members):
    archive = Archive()
    archive.extra = [entry if isinstance(entry, tuple) else (entry, None) for entry in members]
    return archive.gz()


@case
def good():
    return Archive().gz()


@case
def good_plain():
    return Archive().tar()


@case
def good_dotted():
    """As `tar czf ../x.tar.gz .` makes it."""
    archive = Archive({"./" + name: content for name, content in FILES.items()})
    archive.list_text = Archive().listed()
    archive.extra = [(member("./", tarfile.DIRTYPE, 0o755), None), (member("./empty/", tarfile.DIRTYPE, 0o700), None)]
    return archive.gz()


def big():
    archive = Archive()
    archive.files["big.bin"] = random.Random(7).randbytes(300_000)
    return archive


# IM-1


@case
def big_gz():
    return big().gz()


@case
def big_tar():
    return big().tar()


@case
def trailing_garbage():
    return Archive().gz() + b"garbage"


@case
def trailing_zeros():
    return Archive().gz() + bytes(512)


@case
def two_archives():
    return Archive().gz() + Archive({"evil.sh": HOOK}).gz()


@case
def two_tars():
    return Archive().tar() + Archive({"evil.sh": HOOK}).tar()


@case
def one_tar_in_two_members():
    data = Archive().tar()
    return gzip.compress(data[:1000], mtime=1) + gzip.compress(data[1000:], mtime=1)


@case
def wrong_crc():
    data = bytearray(Archive().gz())
    data[-8] ^= 1
    return bytes(data)


@case
def wrong_length():
    data = bytearray(Archive().gz())
    data[-4] ^= 1
    return bytes(data)


@case
def no_end_mark():
    data = Archive().tar()
    return gzip.compress(data.rstrip(b"\0") + bytes(-len(data.rstrip(b"\0")) % 512), mtime=1)


@case
def lost_link():
    """Cut between two members, before a link that no checksum would miss."""
    archive = Archive()
    with_link = Archive()
    with_link.extra = [(member("link", tarfile.SYMTYPE, link="metadata.json"), None)]
    return with_link.tar()[: archive.tar().rstrip(b"\0").__len__() // 512 * 512 + 512]


@case
def not_an_archive():
    return b"<html>sign in to the wireless network</html>" * 100


@case
def header_checksum():
    data = bytearray(Archive().tar())
    data[0] ^= 1
    return bytes(data)


# IM-2


@case
def unlisted_file():
    return with_extra((member("extra.sh"), HOOK))


@case
def listed_but_absent():
    archive = Archive()
    archive.list_text = archive.listed() + "00000000000000000000000000000000  ./gone.sh\n"
    return archive.gz()


@case
def wrong_checksum():
    archive = Archive()
    archive.list_text = archive.listed()
    archive.files["hc_install_upgrade.sh"] = b"#!/bin/sh\nrm -rf /\n"
    return archive.gz()


@case
def same_path_twice():
    return with_extra((member("hc_install_upgrade.sh"), b"#!/bin/sh\nrm -rf /\n"))


@case
def same_path_twice_dotted():
    return with_extra((member("./hc_install_upgrade.sh"), b"#!/bin/sh\nrm -rf /\n"))


@case
def list_with_dots():
    archive = Archive()
    archive.list_text = archive.listed().replace("./hc_install", "./a/../hc_install")
    return archive.gz()


@case
def list_twice():
    archive = Archive()
    archive.list_text = archive.listed() + hashlib.md5(HOOK).hexdigest() + "  hc_install_upgrade.sh\n"
    return archive.gz()


@case
def list_empty():
    archive = Archive()
    archive.list_text = ""
    return archive.gz()


@case
def list_absent():
    archive = Archive()
    archive.list_text = False
    return archive.gz()


@case
def list_rubbish():
    archive = Archive()
    archive.list_text = archive.listed() + "not a checksum at all, but long enough for one\n"
    return archive.gz()


@case
def list_binary_mode():
    """As `md5sum -b` writes it, in capitals."""
    archive = Archive()
    archive.list_text = "".join(
        f"{hashlib.md5(content).hexdigest().upper()} *{name}\n" for name, content in FILES.items()
    )
    return archive.gz()


@case
def list_is_a_link():
    archive = Archive()
    archive.list_text = False
    archive.files["list"] = b"x"
    archive.extra = [(member("md5sum.chk", tarfile.SYMTYPE, link="list"), None)]
    return archive.gz()


# IM-4


@case
def hard_link_outside():
    return with_extra(member("x", tarfile.LNKTYPE, link="../../../../etc/hostname"))


@case
def hard_link_absolute():
    return with_extra(member("x", tarfile.LNKTYPE, link="/etc/hostname"))


@case
def through_a_link():
    return with_extra(member("d", tarfile.SYMTYPE, link="/outside"), (member("d/pwn"), b"x"))


@case
def through_an_inner_link():
    return with_extra(
        member("real", tarfile.DIRTYPE, 0o755), member("d", tarfile.SYMTYPE, link="real"), (member("d/pwn"), b"x")
    )


@case
def link_climbs():
    return with_extra(member("a", tarfile.DIRTYPE, 0o755), member("a/d", tarfile.SYMTYPE, link="../../outside"))


@case
def link_replaced_by_a_directory():
    return with_extra(member("d", tarfile.SYMTYPE, link="metadata.json"), member("d", tarfile.DIRTYPE, 0o755))


@case
def up():
    return with_extra((member("../up"), b"x"))


@case
def up_later():
    return with_extra((member("a/../../up"), b"x"))


@case
def absolute():
    return with_extra((member("/abs/path"), b"x"))


@case
def access_list():
    info = member("acl", tarfile.SYMTYPE, link="metadata.json")
    info.pax_headers = {"SCHILY.acl.access": "user::rwx,user:4711:rwx,group::r-x,mask::rwx,other::r-x"}
    return with_extra(info)


@case
def extended_attribute():
    info = member("hc_rollback_upgrade.sh")
    info.pax_headers = {"SCHILY.xattr.security.capability": "rubbish"}
    return with_extra((info, HOOK))


@case
def file_as_directory():
    return with_extra((member("a"), b"x"), (member("a/b"), b"y"))


@case
def hard_links():
    """IM-4 g: three names of one content."""
    archive = Archive()
    archive.files["usr/a"] = b"content\n"
    text = archive.listed()
    digest = hashlib.md5(b"content\n").hexdigest()
    archive.list_text = text + f"{digest}  ./usr/b\n{digest}  ./usr/c\n"
    archive.extra = [
        (member("usr/b", tarfile.LNKTYPE, link="usr/a"), None),
        (member("usr/c", tarfile.LNKTYPE, link="./usr/b"), None),
    ]
    return archive.gz()


@case
def hard_link_to_later():
    return with_extra(member("x", tarfile.LNKTYPE, link="later"), (member("later"), b"x"))


@case
def hard_link_to_never():
    return with_extra(member("x", tarfile.LNKTYPE, link="never"))


@case
def hard_link_to_itself():
    return with_extra(member("x", tarfile.LNKTYPE, link="x"))


@case
def hard_link_to_a_link():
    return with_extra(member("l", tarfile.SYMTYPE, link="metadata.json"), member("x", tarfile.LNKTYPE, link="l"))


@case
def character_device():
    return with_extra(member("dev", tarfile.CHRTYPE, devmajor=1, devminor=5))


@case
def block_device():
    return with_extra(member("dev", tarfile.BLKTYPE, devmajor=8, devminor=0))


@case
def fifo():
    return with_extra(member("pipe", tarfile.FIFOTYPE))


@case
def inner_link():
    return with_extra(member("a/link", tarfile.SYMTYPE, link="../metadata.json"))


# IM-6


@case
def names():
    archive = Archive()
    for name in (
        "na\u00efve-\u2010.conf",
        "\U0001f41d",
        "two\nlines",
        "back\\slash",
        "blank ",
        "n" * 255,
        "/".join("d" * 300) + "/deep",
    ):
        archive.files[name] = name.encode()
    archive.extra = [(member("long-link", tarfile.SYMTYPE, link="x/" * 199 + "yy"), None)]
    return archive.gz()


@case
def names_gnu():
    archive = Archive()
    archive.format = tarfile.GNU_FORMAT
    for name in ("na\u00efve-\u2010.conf", "n" * 255):
        archive.files[name] = name.encode()
    return archive.gz()


@case
def not_utf8():
    archive = Archive()
    archive.format = tarfile.GNU_FORMAT
    archive.files["b\udce9d"] = b"x"
    return archive.gz()


@case
def not_utf8_pax():
    archive = Archive()
    archive.files["b\udce9d"] = b"x"
    return archive.gz()


@case
def too_long_name():
    return with_extra((member("n" * 256), b"x"))


@case
def too_long_path():
    return with_extra((member("/".join(["d" * 100] * 30)), b"x"))


@case
def link_not_utf8():
    archive = Archive()
    archive.format = tarfile.GNU_FORMAT
    archive.extra = [(member("l", tarfile.SYMTYPE, link="b\udce9d"), None)]
    return archive.gz()


@case
def empty_part():
    return with_extra((member("a//b"), b"x"))


# IM-8


def special_file(name, content, listed=True, **attributes):
    """A file with a mode and owners of its own, which md5sum.chk names or not."""
    archive = Archive()
    if listed:
        archive.files[name] = content
    archive.list_text = archive.listed()
    archive.files.pop(name, None)
    archive.extra = [(member(name, **attributes), content)]
    return archive


def setuid_file(mode, listed=False):
    return special_file("tool", HOOK, listed, mode=mode, uid=12345, gid=23456, uname="daemon", gname="nonesuch").gz()


@case
def setuid():
    return setuid_file(0o4711)


@case
def setgid():
    return setuid_file(0o2755)


@case
def owners():
    """Numeric owners and names that do not exist here, a sticky directory, parents that no member names."""
    archive = special_file("deep/down/file", b"x", mode=0o600, uid=12345, gid=23456, uname="daemon")
    archive.extra.insert(0, (member("sticky", tarfile.DIRTYPE, 0o1777, uid=12345), None))
    return archive.gz()


# bombs and other tricks


@case
def bomb():
    archive = Archive()
    archive.files["zeros"] = bytes(100 << 20)
    return archive.gz()


@case
def many_members():
    archive = Archive()
    archive.extra = [(member(f"d{i}", tarfile.DIRTYPE, 0o755), None) for i in range(200)]
    return archive.gz()


@case
def hard_link_bomb():
    archive = Archive()
    archive.files["data"] = random.Random(7).randbytes(1 << 20)
    archive.extra = [(member(f"l{i}", tarfile.LNKTYPE, link="data"), None) for i in range(100)]
    return archive.gz()


@case
def huge_size():
    """A header that promises far more than follows."""
    archive = Archive()
    info = member("huge", size=1 << 60)
    body = archive.tar().rstrip(b"\0")
    body += bytes(-len(body) % 512)
    return gzip.compress(body + info.tobuf(tarfile.GNU_FORMAT) + bytes(1024), mtime=1)


def sparse_file(form):
    """A file of holes, as tar itself packs it."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in FILES.items():
            Path(folder, name).write_bytes(content)
            Path(folder, name).chmod(0o755)
        Path(folder, "md5sum.chk").write_text(Archive().listed())
        with open(Path(folder, "sparse"), "wb") as out:
            out.truncate(1 << 30)
        command = ["tar", "-C", folder, "-S", f"--format={form}", "-cf", "-", *sorted(os.listdir(folder))]
        return gzip.compress(subprocess.run(command, check=True, capture_output=True).stdout, mtime=1)


@case
def sparse():
    return sparse_file("gnu")


@case
def sparse_pax():
    return sparse_file("pax")


@case
def pax_size():
    """The extended header gives another size than the plain one, so that readers disagree about what follows."""
    info = member("two-faced")
    info.pax_headers = {"size": "0"}
    return with_extra((info, bytes(512)))


@case
def pax_path():
    """The extended header gives another name than the plain one."""
    info = member("harmless")
    info.pax_headers = {"path": "../../etc/passwd"}
    return with_extra((info, b"x"))


@case
def pax_malformed():
    data = Archive()
    info = member("x")
    info.pax_headers = {"comment": "y" * 100}
    data.extra = [(info, b"x")]
    return gzip.compress(data.tar().replace(b"113 comment=", b"999 comment="), mtime=1)


@case
def metadata_missing():
    archive = Archive()
    del archive.files["metadata.json"]
    return archive.gz()


@case
def not_executable():
    return special_file("hc_verify_upgrade.sh", HOOK, mode=0o644).gz()


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in CASES:
        print("usage: make_archive.py CASE FILE, with CASE one of " + " ".join(CASES), file=sys.stderr)
        return 2
    with open(sys.argv[2], "wb") as out:
        out.write(CASES[sys.argv[1]]())
    return 0


if __name__ == "__main__":
    sys.exit(main())
