"""Reads layers as `Layer` has them: out of their tars, and out of a folder with what a container has written."""

import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self, TypeVar

from bottle.diff.thing import Kind, Layer, Thing
from bottle.errors import VerificationFailed
from bottle.files.opentree import OpenTree
from bottle.tar.layerpaths import AUFS, OPAQUE, WHITEOUT, below, clean
from bottle.tar.reader import Member, TarStream
from bottle.trees.delta import FolderDelta
from bottle.trees.index import Entry

T = TypeVar("T")

_PIECE = 1 << 20
_KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.DIRTYPE: Kind.FOLDER,
    tarfile.SYMTYPE: Kind.LINK,
    tarfile.FIFOTYPE: Kind.FIFO,
    tarfile.CHRTYPE: Kind.DEVICE,
    tarfile.BLKTYPE: Kind.DEVICE,
}
_MODES = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.FOLDER,
    stat.S_IFLNK: Kind.LINK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFCHR: Kind.DEVICE,
    stat.S_IFBLK: Kind.DEVICE,
}
_OF_LINKS = 0o777  # which have no permissions of their own


def layer_of_tar(tar: TarStream, wanted: Callable[[str], bool] = lambda _: True) -> Layer:
    """What the rest of a layer's tar says; of its things those at paths that are `wanted`, with their digests.

    Memory is that of the names. Raises VerificationFailed where it is damaged.
    """
    things: dict[str, Thing] = {}
    files: dict[str, Thing] = {}  # all of this layer, which may have more names
    opaque: set[str] = set()
    gone: set[str] = set()
    for member in tar.members():
        path = clean(member.name)
        folder, _, name = path.rpartition("/")
        if name == OPAQUE:
            opaque.add(folder)
        elif name.startswith(WHITEOUT):
            if not name.startswith(AUFS):
                gone.add(below(folder, name.removeprefix(WHITEOUT)))
        elif member.type == tarfile.LNKTYPE:
            thing = files.get(clean(member.link))
            if thing is not None and wanted(path):
                things[path] = thing
        else:
            thing = thing_of(member)
            if wanted(path):
                thing = things[path] = with_digest(thing, tar.data())
            if thing.kind is not Kind.FOLDER:
                files[path] = thing
    return Layer(things=things, opaque=frozenset(opaque), gone=frozenset(gone))


def thing_of(member: Member) -> Thing:
    """What an entry of a tar is, but for its content. Raises VerificationFailed for an owner that cannot be."""
    kind, header = _KINDS[member.type], member.header
    return Thing(
        kind=kind,
        size=member.size if kind is Kind.FILE else 0,
        mode=_OF_LINKS if kind is Kind.LINK else header.mode & 0o7777,
        uid=_id(member.records.get("uid"), header.uid),
        gid=_id(member.records.get("gid"), header.gid),
        link=member.link if kind is Kind.LINK else "",
        device=(header.devmajor, header.devminor) if kind is Kind.DEVICE else (0, 0),
    )


def with_digest(thing: Thing, content: Iterable[bytes]) -> Thing:
    """The same, with its content, if it is a file."""
    if thing.kind is not Kind.FILE:
        return thing
    hashed = hashlib.sha256()
    for chunk in content:
        hashed.update(chunk)
    return replace(thing, digest=hashed.digest())


def layer_of_deltas(deltas: Iterable[FolderDelta], place: Path) -> Layer:
    """What `deltas` of the folder `place` say, without digests. What is gone by now is left out. Raises OSError."""
    things: dict[str, Thing] = {}
    opaque: set[str] = set()
    gone: set[str] = set()
    with _Place(place) as tree:
        for delta in deltas:
            path = os.fsdecode(delta.path)
            if delta.entry is not None:
                things[path] = _thing_of_entry(delta.entry, "")
            if delta.opaque:
                opaque.add(path)
            gone.update(below(path, os.fsdecode(name)) for name in delta.gone)
            for leaf in delta.leaves:
                link = tree.link(path, leaf.name) if stat.S_ISLNK(leaf.mode) else ""
                if link is not None:
                    things[below(path, os.fsdecode(leaf.name))] = _thing_of_entry(leaf, link)
    return Layer(things=things, opaque=frozenset(opaque), gone=frozenset(gone))


def digests_of_files(place: Path, paths: Iterable[str]) -> Mapping[str, bytes]:
    """The digests of the content of files below `place`, of those that are there. No link is followed."""
    with _Place(place) as tree:
        found = {path: tree.digest(*os.path.split(path)) for path in sorted(paths)}
    return {path: digest for path, digest in found.items() if digest is not None}


class _Place:
    """A folder that somebody writes to meanwhile: what is not there any more is None."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._tree = OpenTree(top)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tree.close()

    def link(self, folder: str, name: bytes) -> str | None:
        """Where a symlink leads."""
        return self._there(lambda: os.fsdecode(os.readlink(name, dir_fd=self._tree.folder(folder))))

    def digest(self, folder: str, name: str) -> bytes | None:
        """The digest of a file's content."""
        return self._there(lambda: self._digest(below(folder, name)))

    def _digest(self, path: str) -> bytes:
        hashed = hashlib.sha256()
        with self._tree.open(path, buffering=0) as file:
            while piece := file.read(_PIECE):
                hashed.update(piece)
        return hashed.digest()

    def _there(self, look: Callable[[], T]) -> T | None:
        try:
            return look()
        except OSError:
            self._tree.close()  # where it stands is not certain any more
            self._tree = OpenTree(self._top)
            return None


def _thing_of_entry(entry: Entry, link: str) -> Thing:
    kind = _MODES[stat.S_IFMT(entry.mode)]
    return Thing(
        kind=kind,
        size=entry.size if kind is Kind.FILE else 0,
        mode=_OF_LINKS if kind is Kind.LINK else stat.S_IMODE(entry.mode),
        uid=entry.uid,
        gid=entry.gid,
        link=link,
        device=(os.major(entry.device), os.minor(entry.device)) if kind is Kind.DEVICE else (0, 0),
    )


def _id(record: str | None, header: int) -> int:
    if record is None:
        return header
    if not (record.isascii() and record.isdigit() and len(record) < 20):
        raise VerificationFailed(f"a layer has an owner that cannot be: {record[:20]!r}")
    return int(record)
