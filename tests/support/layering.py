"""Layers of bottle's own, laid over each other as engines lay them."""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bottle.trees.reader import Member

OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True)
class Shown:
    """Something that shows: as a tar has it; `first` is the name under which a file with several was read."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    mtime: str
    data: bytes
    target: str
    first: str
    attributes: tuple[tuple[str, str], ...]


View = dict[str, Shown]


def tar_of(members: Iterable[Member]) -> bytes:
    """The layer that members make, each as long as it says."""
    out = bytearray()
    for member in members:
        data = b"".join(member.chunks)
        assert len(data) == member.size
        out += data
    return bytes(out) + bytes(1024)


def content(path: Path) -> bytes:
    """A file, which may have no name any more."""
    return path.read_bytes()


def laid(view: View, layer: bytes) -> View:
    """What shows with one more layer: first what it hides goes, then what it has comes."""
    with tarfile.open(fileobj=io.BytesIO(layer), errors="surrogateescape") as tar:
        pairs = [(member, _content(tar, member)) for member in tar]
    shown = dict(view)
    for member, _ in pairs:
        folder, name = posixpath.split(member.name)
        if name == OPAQUE:
            shown = {path: each for path, each in shown.items() if not path.startswith(f"{folder}/")}
        elif name.startswith(".wh."):
            shown = _without(shown, posixpath.join(folder, name.removeprefix(".wh.")))
    firsts: dict[str, Shown] = {}
    for member, data in pairs:
        if posixpath.basename(member.name).startswith(".wh."):
            continue
        assert posixpath.dirname(member.name) in {"", *shown}, f"{member.name} has no folder"
        if not (member.isdir() and member.name in shown and shown[member.name].kind == tarfile.DIRTYPE):
            shown = _without(shown, member.name)
        if member.islnk():
            shown[member.name] = firsts[member.linkname]
            continue
        shown[member.name] = firsts[member.name] = _seen(member, data)
    return shown


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member) if member.isreg() else None
    return file.read() if file is not None else b""


def _without(view: View, path: str) -> View:
    return {each: shown for each, shown in view.items() if each != path and not each.startswith(f"{path}/")}


def _seen(member: tarfile.TarInfo, data: bytes) -> Shown:
    attributes = tuple(sorted(item for item in member.pax_headers.items() if item[0].startswith("SCHILY.xattr.")))
    return Shown(
        kind=tarfile.REGTYPE if member.isreg() else member.type,
        mode=member.mode,
        owner=(member.uid, member.gid),
        mtime=member.pax_headers.get("mtime", str(member.mtime)) if not member.isdir() else "",
        data=data,
        target=member.linkname,
        first=member.name,
        attributes=attributes,
    )
