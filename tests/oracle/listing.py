"""All that a container shows of a tree, a line of JSON for each name. Runs in containers: Python's own library only.

A line is an object: `path`, `kind` (a letter as `find -type` has it), `mode`, `uid`, `gid`, `mtime` in whole seconds
and `ns`, what is above them; `size` and `sha` of a file, `target` of a link, `rdev` of a device; `group`, all names of
a file that has several; `xattrs`, values in hexadecimal. ACLs are xattrs. A name that is no UTF-8 has surrogates for
its bytes.
"""

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from typing import Any

# What the engine puts over a container's own files, or beneath them.
NOT_ITS_OWN = frozenset(("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab", "/usr/sbin/docker-init"))
_NO_FILES_OWN = ("security.selinux", "trusted.overlay.")
_KINDS = {
    stat.S_IFREG: "f",
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "l",
    stat.S_IFIFO: "p",
    stat.S_IFSOCK: "s",
    stat.S_IFCHR: "c",
    stat.S_IFBLK: "b",
}


def listing(places: Iterable[str]) -> Iterator[dict[str, Any]]:
    """What is at and below some places, which exist or not."""
    found: list[dict[str, Any]] = []
    names: dict[tuple[int, int], list[str]] = {}
    for path in _walk(places):
        status = os.lstat(path)
        facts = _facts(path, status)
        if facts["kind"] not in "ds":
            names.setdefault((status.st_dev, status.st_ino), []).append(path)
            facts["inode"] = (status.st_dev, status.st_ino)
        found.append(facts)
    for facts in found:
        group = names.get(facts.pop("inode", (0, 0)), [])
        if len(group) > 1:
            facts["group"] = sorted(group)
        yield facts


def _walk(places: Iterable[str]) -> Iterator[str]:
    """Folders of any depth that a path can name; sockets too."""
    left = [place for place in places if os.path.lexists(place)]
    while left:
        path = left.pop()
        if path in NOT_ITS_OWN:
            continue
        yield path
        if os.path.isdir(path) and not os.path.islink(path):
            left += [f"{path}/{name}" for name in os.listdir(path)]


def _facts(path: str, status: os.stat_result) -> dict[str, Any]:
    kind = _KINDS[stat.S_IFMT(status.st_mode)]
    facts: dict[str, Any] = {
        "path": path,
        "kind": kind,
        "mode": oct(stat.S_IMODE(status.st_mode)),
        "uid": status.st_uid,
        "gid": status.st_gid,
        "mtime": status.st_mtime_ns // 10**9,
        "ns": status.st_mtime_ns % 10**9,
        "xattrs": {
            name: os.getxattr(path, name, follow_symlinks=False).hex()
            for name in sorted(os.listxattr(path, follow_symlinks=False))
            if not name.startswith(_NO_FILES_OWN)
        },
    }
    if kind == "f":
        with open(path, "rb") as file:
            facts |= {"size": status.st_size, "sha": hashlib.file_digest(file, "sha256").hexdigest()}
    if kind == "l":
        facts["target"] = os.readlink(path)
    if kind in "cb":
        facts["rdev"] = [os.major(status.st_rdev), os.minor(status.st_rdev)]
    return facts


def main(places: Iterable[str]) -> None:
    """Print it."""
    for facts in listing(places):
        sys.stdout.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
