"""Reads layers as `Layer` has them out of their tars."""

import hashlib
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import replace

from bottle.diff.thing import Kind, Layer, Thing
from bottle.errors import VerificationFailed
from bottle.tar.layerpaths import AUFS, OPAQUE, WHITEOUT, below, clean
from bottle.tar.reader import Member, TarStream

_KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.DIRTYPE: Kind.FOLDER,
    tarfile.SYMTYPE: Kind.LINK,
    tarfile.FIFOTYPE: Kind.FIFO,
    tarfile.CHRTYPE: Kind.DEVICE,
    tarfile.BLKTYPE: Kind.DEVICE,
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


def _id(record: str | None, header: int) -> int:
    if record is None:
        return header
    if not (record.isascii() and record.isdigit() and len(record) < 20):
        raise VerificationFailed(f"a layer has an owner that cannot be: {record[:20]!r}")
    return int(record)
