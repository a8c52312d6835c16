"""Deltas and members as they pass between the two ends.

A delta: `u32 path · u32 entry · u32 gone · u32 leaves · u8 opaque`, lengths, and then these four: entries as an index
has them, and the names of what is gone with a zero byte between two; sockets, which nobody reads, stay here. A member:
`u32 folder · i32 name, -1: none · u64 size`, folder and name, and the first bytes of its chunks; the others follow as
data.
"""

import struct
from collections.abc import Iterable, Iterator

from bottle.helper.frames import PIECE
from bottle.trees.delta import FolderDelta
from bottle.trees.index import Entry, Folder, pack
from bottle.trees.reader import Member

_DELTA = struct.Struct("<IIIIB")
_MEMBER = struct.Struct("<IiQ")
_NO_NAME = -1


def packed(deltas: Iterable[FolderDelta]) -> Iterator[bytes]:
    """Deltas, several together: as many as make a piece."""
    held, size = [], 0
    for delta in deltas:
        data = _packed(delta)
        held.append(data)
        size += len(data)
        if size >= PIECE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def unpacked(parts: Iterable[bytes]) -> Iterator[FolderDelta]:
    """The deltas in what `packed` made."""
    for part in parts:
        position = 0
        while position < len(part):
            *lengths, opaque = _DELTA.unpack_from(part, position)
            position += _DELTA.size
            fields = []
            for length in lengths:
                fields.append(part[position : position + length])
                position += length
            path, entry, gone, leaves = fields
            yield FolderDelta(
                path=path,
                entry=next(iter(_entries(entry)), None),
                opaque=bool(opaque),
                gone=tuple(gone.split(b"\0")) if gone else (),
                leaves=_entries(leaves),
            )


def head_of(member: Member) -> bytes:
    """What stands before a member's first bytes."""
    name = member.name or b""
    length = _NO_NAME if member.name is None else len(name)
    return _MEMBER.pack(len(member.folder), length, member.size) + member.folder + name


def split(data: bytes) -> tuple[bytes, bytes | None, int, bytes]:
    """Of a member its folder, its name, its size, and its first bytes."""
    folder, name, size = _MEMBER.unpack_from(data)
    start = _MEMBER.size + folder
    end = start + max(name, 0)
    return data[_MEMBER.size : start], None if name == _NO_NAME else data[start:end], size, data[end:]


def _packed(delta: FolderDelta) -> bytes:
    entry = b"" if delta.entry is None else pack(delta.entry)
    fields = (delta.path, entry, b"\0".join(delta.gone), b"".join(map(pack, delta.leaves)))
    return _DELTA.pack(*map(len, fields), delta.opaque) + b"".join(fields)


def _entries(data: bytes) -> tuple[Entry, ...]:
    return tuple(Folder(b"", data, 0).entries())
