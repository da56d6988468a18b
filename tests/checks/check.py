#!/usr/bin/env python3
"""The rules of this repository that a program can check: check.py RULE ROOT prints each breach and exits with 1."""

import os
import re
import sys
from pathlib import Path

LAYERS = [
    {"engine/base"},
    {"engine/payload", "engine/archive", "engine/store", "engine/net", "engine/delta", "bootloader", "hooks"},
    {"engine/upgrade"},
    {"engine/cli", "engine/service", "image-tools", "fleet"},
]
# Which folders may name a library's headers.
LIBRARIES = {
    r"ostree(-[a-z-]+)?\.h": {"engine/store"},
    r"curl/": {"engine/net"},
    r"openssl/": {"engine/payload"},
    r"archive(_entry)?\.h": {"engine/archive"},
    r"(zstd|lzma|divsufsort)\.h": {"engine/delta"},
    r"libsoup/": {"engine/service", "fleet"},
}
LINES = {".cc": 400, ".h": 150}
HIDDEN = {".git", "build", "sandbox", ".cache"}

# Hosts that the repository may name: the documentation's own names, this node, and public sites that are cited.
PUBLIC_HOSTS = re.compile(
    r"""(.+\.)?(example(\.(com|net|org))?|test|invalid|localhost)$
    |127\.\d+\.\d+\.\d+$|0\.0\.0\.0$|\[::1?\]$|192\.0\.2\.\d+$|198\.51\.100\.\d+$|203\.0\.113\.\d+$
    |(.+\.)?(debian\.org|apache\.org|w3\.org|xmlsoap\.org|onvif\.org|oasis-open\.org|spdx\.(org|dev)|in-toto\.io|slsa\.dev)$
    |(keepachangelog\.com|semver\.org|json-schema\.org|github\.com|ostreedev\.github\.io|reproducible-builds\.org)$
    |(.+\.)?(freedesktop\.org|gnu\.org|systemd\.io|uapi-group\.org|qemu\.org|prometheus\.io|ietf\.org|rfc-editor\.org)$
    """,
    re.VERBOSE,
)
MACHINE_PATHS = re.compile(r"(?<![\w./$}-])/(work|home/(?!\$|user\b)\w+|Users|workspace|tmp/build-\w+)/")
URLS = re.compile(r"\b(?:https?|ftp|ssh|git)://(?:[\w.-]+@)?(\[[0-9a-f:]+\]|[\w.-]+)")


def files(root, suffixes=None):
    for folder, folders, names in os.walk(root):
        # Not even looked into: a build may be changing them just now.
        folders[:] = sorted(set(folders) - HIDDEN)
        for name in sorted(names):
            path = Path(folder) / name
            if path.is_symlink() or not path.is_file():
                continue
            if suffixes is None or path.suffix in suffixes:
                yield path.relative_to(root).as_posix(), path


def lines(path):
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def folder_of(name):
    """The folder of the layers that a file lies in, with the layer's height; None for tests and what has no layer."""
    for height, folders in enumerate(LAYERS):
        for folder in folders:
            if name.startswith(folder + "/"):
                return folder, height
    return None, None


def layers(root):
    """Includes point down, siblings never include one another, and each library is named by its owner only."""
    for name, path in files(root, {".cc", ".h"}):
        folder, height = folder_of(name)
        for number, line in enumerate(lines(path), 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^">]+)[">]', line)
            if not match:
                continue
            quote, included = match.groups()
            where = f"{name}:{number}"
            if quote == '"':
                if not (root / included).is_file():
                    yield f'{where}: "{included}" is no path from the root of the repository'
                target, target_height = folder_of(included)
                if folder is None or target is None or target == folder:
                    continue
                if target_height > height:
                    yield f"{where}: {folder} includes {target}, which lies above it"
                elif target_height == height:
                    yield f"{where}: {folder} includes {target}, its sibling"
            elif folder:
                for pattern, owners in LIBRARIES.items():
                    if re.match(pattern, included) and folder not in owners:
                        yield f"{where}: <{included}> belongs to {' and '.join(sorted(owners))} only"


def sizes(root):
    """Small files: what does not fit wants to be two things."""
    for name, path in files(root, set(LINES)):
        count, limit = len(lines(path)), LINES[path.suffix]
        if count > limit and not name.startswith("tests/"):
            yield f"{name}: {count} lines, the limit is {limit}"


def events(root):
    """Each message id of the code is in docs/operations.md under the same name, and each one there is in the code."""
    code, documented = {}, {}
    for name, path in files(root, {".cc", ".h"}):
        if name.startswith("tests/"):
            continue
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r'"([0-9a-f]{32})"\s*,\s*"([^"]+)"', text):
            message_id, event = match.groups()
            if message_id in code:
                yield f"{name}: message id {message_id} is used twice, for {code[message_id]} and {event}"
            code[message_id] = event
    page = root / "docs/operations.md"
    for line in lines(page) if page.is_file() else []:
        match = re.match(r"\|\s*`([^`]+)`\s*\|\s*`([0-9a-f]{32})`\s*\|", line)
        if match:
            documented[match[2]] = match[1]
    for message_id in sorted(code.keys() | documented.keys()):
        in_code, in_page = code.get(message_id), documented.get(message_id)
        if in_code != in_page:
            yield f"message id {message_id}: the code says {in_code}, docs/operations.md says {in_page}"


def hygiene(root):
    """Nothing names the machine it was written on, or a host that is no public one."""
    for name, path in files(root):
        data = path.read_bytes()
        if b"\0" in data or name.startswith(("tests/fuzz/corpus/", "tests/checks/")):
            continue
        for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), 1):
            for match in MACHINE_PATHS.finditer(line):
                yield f"{name}:{number}: names a path of one machine: {match[0]}"
            for match in URLS.finditer(line):
                host = match[1].rstrip(".").lower()
                if "." in host and not PUBLIC_HOSTS.match(host):
                    yield f"{name}:{number}: names the host {host}"


RULES = {rule.__name__: rule for rule in (layers, sizes, events, hygiene)}


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in RULES or not Path(sys.argv[2]).is_dir():
        print(f"usage: check.py {'|'.join(RULES)} ROOT", file=sys.stderr)
        return 2
    found = list(RULES[sys.argv[1]](Path(sys.argv[2])))
    print("\n".join(found) if found else f"{sys.argv[1]}: no breach")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
