"""The workspace that the other host has already, as the basis of the one that is to be there: what differs travels.

Both are told as `contents` in migrate/host/scripts/seed.sh tells them, in lines: of each path its kind, rights in
octal, number of names, size in bytes, time of the last modification, owner and group, and the path, with a link's goal
behind the byte 2, its slashes the byte 3; and of each file the sha256, two spaces and `./` with the path.
"""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bottle.files import tree
from bottle.tar.chunks import CHUNK
from migrate.contents.index import Delta, Index, difference
from migrate.contents.left import KINDS, seconds

_SUM = 64 + len("  ./")
_FACTS = 7  # ahead of a path
_UNCLEAR = (b"\n", b"\1", b"\2")  # in a name: where a line, or a path, ends


@dataclass(frozen=True, slots=True)
class Basis:
    """A folder to be brought to the other host, which has an older one.

    `compare` is given what the folder is, and gives the lines in which what is there differs, each behind `<` where it
    is there only, and `>` where it is here only; None where nothing is to begin with. `owners`: they are kept there.
    """

    folder: Path
    owners: bool
    compare: Callable[[bytes], bytes | None]

    def differences(self, index: Index) -> Delta | None:
        """What makes of what is there what `index` says is here; None where all of it has to travel."""
        own = None
        with suppress(OSError):  # whoever packs it will say what cannot be read
            own = contents(self.folder, owners=self.owners)
        reply = self.compare(own) if own is not None else None
        return None if reply is None else _parsed(reply, index)


def contents(folder: Path, *, owners: bool) -> bytes | None:
    """What a folder is; None where a name in it cannot be told so. What vanishes meanwhile is not in it."""
    found = [(b"", folder.stat())]
    lines = []
    for node in tree.walk(folder, lost=tree.ignore_gone):
        path = os.fsencode(node.path)
        if any(each in path for each in _UNCLEAR):
            return None
        with suppress(FileNotFoundError):
            if node.is_file:
                lines.append(_sum(node) + b"  ./" + path)
            elif node.is_symlink:
                path += b"\2" + os.fsencode(node.target()).replace(b"/", b"\3")
            found.append((path, node.facts))
    names = Counter((facts.st_dev, facts.st_ino) for _, facts in found)
    lines += [_line(path, facts, names[facts.st_dev, facts.st_ino], owners=owners) for path, facts in found]
    return b"".join(line + b"\n" for line in sorted(lines))


def _sum(node: tree.Node) -> bytes:
    digest = hashlib.sha256()
    with node.open() as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest().encode()


def _line(path: bytes, facts: os.stat_result, names: int, *, owners: bool) -> bytes:
    is_folder = stat.S_ISDIR(facts.st_mode)
    return b" ".join(
        (
            KINDS[stat.S_IFMT(facts.st_mode)],
            b"%o" % stat.S_IMODE(facts.st_mode),
            b"%d" % (0 if is_folder else names),
            b"%d" % (0 if is_folder else facts.st_size),
            seconds(facts.st_mtime_ns),
            b"%d %d" % (facts.st_uid, facts.st_gid) if owners else b"- -",
            path,
        )
    )


def _parsed(reply: bytes, index: Index) -> Delta | None:
    """The delta, by lines that differ; None where they cannot be told."""
    if b"\1" in reply:
        return None
    there: dict[str, int] = {}
    differing: set[str] = set()
    for line in reply.removesuffix(b"\n").split(b"\n") if reply else ():
        path, kind = _read(line[1:])
        differing.add(path)
        if line.startswith(b"<") and kind is not None:
            there[path] = kind
    return difference(differing, there, index)


def _read(line: bytes) -> tuple[str, int | None]:
    """The path that a line is about, and its kind there, if the line says so."""
    fields = line.split(b" ", _FACTS)
    if len(fields) <= _FACTS or len(fields[0]) != 1:
        return os.fsdecode(line[_SUM:]), None
    path = fields[_FACTS].partition(b"\2")[0]
    return os.fsdecode(path) or ".", _KIND_OF[fields[0]]


_KIND_OF: Mapping[bytes, int] = {word: kind for kind, word in KINDS.items()}
