"""Reads layers as `Layer` has them: out of their tars, and out of a folder with what a container has written."""

import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace

from bottle.diff.thing import Kind, Layer, Thing
from bottle.errors import VerificationFailed
from bottle.tar.layerpaths import AUFS, OPAQUE, WHITEOUT, below, clean
from bottle.tar.reader import BLOCK, Member, TarStream
from bottle.trees.delta import FolderDelta
from bottle.trees.index import Entry
from bottle.trees.reader import Lost
from bottle.trees.source import TreeReader

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


def layer_of_deltas(deltas: Sequence[FolderDelta], reader: TreeReader) -> Layer:
    """What `deltas` of a folder say, without digests. A link that is gone by now is left out.

    Raises OSError, or TreeUnfit.
    """
    things: dict[str, Thing] = {}
    opaque: set[str] = set()
    gone: set[str] = set()
    links = _read(deltas, reader, lambda _, entry: stat.S_ISLNK(entry.mode))
    for delta in deltas:
        path = os.fsdecode(delta.path)
        if delta.entry is not None:
            things[path] = _thing_of_entry(delta.entry)
        if delta.opaque:
            opaque.add(path)
        gone.update(below(path, os.fsdecode(name)) for name in delta.gone)
        for leaf in delta.leaves:
            name = below(path, os.fsdecode(leaf.name))
            thing = links.get(name) if stat.S_ISLNK(leaf.mode) else _thing_of_entry(leaf)
            if thing is not None:
                things[name] = thing
    return Layer(things=things, opaque=frozenset(opaque), gone=frozenset(gone))


def digests_in(deltas: Iterable[FolderDelta], reader: TreeReader, paths: Set[str]) -> Mapping[str, bytes]:
    """The digests of the content of those files of a folder's `deltas` that are at `paths`, and are still there."""
    found = _read(deltas, reader, lambda path, _: path in paths) if paths else {}
    return {path: thing.digest for path, thing in found.items() if thing.digest is not None}


def _read(
    deltas: Iterable[FolderDelta], reader: TreeReader, wanted: Callable[[str, Entry], bool]
) -> Mapping[str, Thing]:
    """What is in a folder of the leaves that are `wanted`, read as a layer of them would be."""

    def only() -> Iterator[FolderDelta]:
        for delta in deltas:
            folder = os.fsdecode(delta.path)
            leaves = tuple(leaf for leaf in delta.leaves if wanted(below(folder, os.fsdecode(leaf.name)), leaf))
            if leaves:
                yield FolderDelta(path=delta.path, entry=None, leaves=leaves)

    def tar() -> Iterator[bytes]:
        for member in reader.members(only(), Lost()):
            yield from member.chunks
        yield bytes(2 * BLOCK)

    return layer_of_tar(TarStream(tar())).things


def _thing_of_entry(entry: Entry) -> Thing:
    """All but a link."""
    kind = _MODES[stat.S_IFMT(entry.mode)]
    return Thing(
        kind=kind,
        size=entry.size if kind is Kind.FILE else 0,
        mode=stat.S_IMODE(entry.mode),
        uid=entry.uid,
        gid=entry.gid,
        device=(os.major(entry.device), os.minor(entry.device)) if kind is Kind.DEVICE else (0, 0),
    )


def _id(record: str | None, header: int) -> int:
    if record is None:
        return header
    if not (record.isascii() and record.isdigit() and len(record) < 20):
        raise VerificationFailed(f"a layer has an owner that cannot be: {record[:20]!r}")
    return int(record)
