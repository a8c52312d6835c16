"""The workspace that the other host has already, as the basis of the one that is to be there: what differs travels.

Both are told as `contents` in migrate/host/scripts/seed.sh tells them, in lines: of each path its kind, rights in
octal, number of names, size in bytes, time of the last modification, owner and group, and the path, with a link's goal
behind the byte 2, its slashes the byte 3; and of each file the sha256, two spaces and `./` with the path.
"""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bottle.files import tree
from bottle.tar.chunks import CHUNK
from migrate.contents.index import Delta, Index, difference
from migrate.contents.left import KINDS, seconds
from migrate.contents.live_folder import Difference

_SUM = 64 + len("  ./")
_FACTS = 7  # ahead of a path
_UNCLEAR = (b"\n", b"\1", b"\2")  # in a name: where a line, or a path, ends
MOST = 100_000  # paths that are compared: of more, the lines take too much memory


@dataclass(frozen=True, slots=True)
class Basis:
    """A folder to be brought to the other host, which has an older one.

    `compare` is given what the folder is, and gives the lines in which what is there differs, each behind `<` where it
    is there only, and `>` where it is here only; None where nothing is to begin with. `owners`: they are kept there.
    """

    folder: Path
    owners: bool
    compare: Callable[[bytes], bytes | None]

    def differences(self, index: Index) -> Difference | None:
        """What makes of what is there what `index` says is here; None where all of it has to travel."""
        found = None
        with suppress(OSError):  # whoever packs it will say what cannot be read
            found = contents(self.folder, owners=self.owners) if len(index.entries) <= MOST else None
        reply = self.compare(found.lines) if found is not None else None
        if found is None or reply is None:
            return None
        delta = _parsed(reply, found.linked, index)
        return Difference(delta=delta, sums=_sums(found.lines)) if delta is not None else None


@dataclass(frozen=True, slots=True)
class Contents:
    """What a folder is, in sorted lines, and which of its files have more names than one."""

    lines: bytes
    linked: frozenset[str]


def contents(folder: Path, *, owners: bool) -> Contents | None:
    """What a folder is; None where a name in it cannot be told so. What vanishes meanwhile is not in it."""
    linked: list[tuple[bytes, os.stat_result]] = []
    lines = [_line(b"", folder.stat(), 1, owners=owners)]
    for node in tree.walk(folder, lost=tree.ignore_gone):
        path, goal = os.fsencode(node.path), b""
        with suppress(FileNotFoundError):
            if node.is_file:
                lines.append(_sum(node) + b"  ./" + path)
            elif node.is_symlink:
                goal = os.fsencode(node.target())
            if any(each in path + goal for each in _UNCLEAR) or b"\3" in goal:
                return None
            path += b"\2" + goal.replace(b"/", b"\3") if goal else b""
            if node.facts.st_nlink > 1 and not node.is_folder:
                linked.append((path, node.facts))
            else:
                lines.append(_line(path, node.facts, 1, owners=owners))
    names = Counter((facts.st_dev, facts.st_ino) for _, facts in linked)
    lines += [_line(path, facts, names[facts.st_dev, facts.st_ino], owners=owners) for path, facts in linked]
    several = (path for path, facts in linked if names[facts.st_dev, facts.st_ino] > 1)
    return Contents(b"".join(line + b"\n" for line in sorted(lines)), frozenset(map(os.fsdecode, several)))


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


def _parsed(reply: bytes, linked: frozenset[str], index: Index) -> Delta | None:
    """The delta, by lines that differ; None where they cannot be told.

    What has several names travels: which are of one file, no line tells.
    """
    if b"\1" in reply:
        return None
    there: dict[str, int] = {}
    differing = set(linked)
    for line in reply.removesuffix(b"\n").split(b"\n") if reply else ():
        path, kind = _read(line[1:])
        differing.add(path)
        if line.startswith(b"<") and kind is not None:
            there[path] = kind
    return difference(differing, there, index)


def _sums(lines: bytes) -> Iterator[tuple[str, bytes]]:
    """The lines with sums, as `sha256sum -c` reads them, by path; those that it would have escaped are left out."""
    for line in lines.split(b"\n"):
        if line[64:_SUM] == b"  ./" and not any(each in line for each in (b"\\", b"\r")):
            yield os.fsdecode(line[_SUM:]), line + b"\n"


def _read(line: bytes) -> tuple[str, int | None]:
    """The path that a line is about, and its kind there, if the line says so."""
    fields = line.split(b" ", _FACTS)
    if len(fields) <= _FACTS or len(fields[0]) != 1:
        return os.fsdecode(line[_SUM:]), None
    path = fields[_FACTS].partition(b"\2")[0]
    return os.fsdecode(path) or ".", _KIND_OF[fields[0]]


_KIND_OF: Mapping[bytes, int] = {word: kind for kind, word in KINDS.items()}
