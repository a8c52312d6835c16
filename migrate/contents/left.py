"""The workspace that a bottle leaves behind when it moves away, as it was when it travelled.

Kept in the state folder, it tells later whether anybody has worked there since: what has not been touched may give way
to what comes back. The first line is the folder, then comes a line for each path in it, sorted, as `listing` in
migrate/host/scripts/places.sh has GNU find print it: kind, inode, rights in octal, size in bytes, time of the last
modification and of the last change of the inode in seconds, with ten digits after the point, path. A line's end in a
path is the byte 1. The last change of the folder itself is `-`: a rename is one.
"""

import os
import stat
from pathlib import Path

from migrate.contents.index import Index, IndexEntry

KINDS = {
    stat.S_IFREG: b"f",
    stat.S_IFDIR: b"d",
    stat.S_IFLNK: b"l",
    stat.S_IFSOCK: b"s",
    stat.S_IFIFO: b"p",
    stat.S_IFCHR: b"c",
    stat.S_IFBLK: b"b",
}


def listing(folder: Path, index: Index) -> bytes | None:
    """What is kept of a folder; None where it cannot be taken away later: other filesystems are mounted in it."""
    place = os.fsencode(folder)
    if b"\n" in place or len({entry.device for entry in index.entries.values()}) > 1:
        return None
    lines = sorted(_line(path, entry) for path, entry in index.entries.items())
    return b"".join(line + b"\n" for line in (place, *lines))


def _line(path: str, entry: IndexEntry) -> bytes:
    top = path == "."
    facts = (
        KINDS[entry.kind],
        b"%d" % entry.inode,
        b"%o" % stat.S_IMODE(entry.mode),
        b"%d" % entry.size,
        seconds(entry.mtime),
        b"-" if top else seconds(entry.ctime),
        b"" if top else os.fsencode(path).replace(b"\n", b"\1"),
    )
    return b" ".join(facts)


def seconds(nanoseconds: int) -> bytes:
    """A time as GNU find's `%T@` has it."""
    return b"%d.%09d0" % divmod(nanoseconds, 10**9)
