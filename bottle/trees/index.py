"""An index: what a tree holds, folder by folder, parents first and names sorted, as one walk has found it.

On disk it is one line of JSON, the header, and then frames, little endian, without padding:

```
u32 length of path · u32 length of data · i64 newest · u64 size · u8 flags · path · data
```
`path` is relative to the top, in bytes, empty for the top itself. `data` are the entries, each `u32 mode · u64 inode ·
u64 size · i64 mtime · i64 ctime · u32 uid · u32 gid · u32 links · u64 device · u16 length of name · name`; times are
nanoseconds since 1970. `newest` is the last moment at which one of them may have been changed by its ctime, `size` are
the bytes of its files. The last frame has the flag END, and as `newest` the CRC-32 of all frames before it.
"""

import json
import stat
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO, NamedTuple

from bottle.errors import StateDamaged

SCHEMA = 1
OPAQUE, SOCKETS, END = 1, 2, 4  # flags of a folder: nothing below it shows through; it has sockets; there is no more
FIXED = struct.Struct("<IQQqqIIIQH")
_LENGTH = struct.Struct("<H")  # its last field
_FRAME = struct.Struct("<IIqQB")
_LONGEST = 1 << 30
SECOND = 1_000_000_000


class Entry(NamedTuple):
    """What stands in a folder. Times are nanoseconds since 1970; `size` is that of a file, in bytes."""

    name: bytes
    mode: int
    inode: int
    size: int
    mtime: int
    ctime: int
    uid: int
    gid: int
    links: int
    device: int

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_whiteout(self) -> bool:
        """Whether it is overlay's mark of something deleted (Linux, Documentation/filesystems/overlayfs.rst)."""
        return stat.S_ISCHR(self.mode) and self.device == 0

    @property
    def is_socket(self) -> bool:
        """Whether it is a socket, of which no tar knows."""
        return stat.S_ISSOCK(self.mode)

    @property
    def is_linked(self) -> bool:
        """Whether it is no folder, and has more than one name."""
        return self.links > 1 and not stat.S_ISDIR(self.mode)


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of an index; `data` are its entries, packed."""

    path: bytes
    data: bytes
    newest: int
    size: int = 0
    flags: int = 0

    @property
    def opaque(self) -> bool:
        """Whether overlay shows nothing of what lies below it."""
        return bool(self.flags & OPAQUE)

    @property
    def has_sockets(self) -> bool:
        """Whether there are sockets in it."""
        return bool(self.flags & SOCKETS)

    def entries(self) -> Iterator[Entry]:
        """What is in it, by name."""
        return map(unpack, self.packed())

    def packed(self) -> Iterator[bytes]:
        """The same, each as it stands in `data`."""
        data, position, before = self.data, 0, FIXED.size - _LENGTH.size
        while position < len(data):
            (length,) = _LENGTH.unpack_from(data, position + before)
            end = position + FIXED.size + length
            yield data[position:end]
            position = end

    def only(self, wanted: Callable[[Entry], bool]) -> "Folder":
        """The same with those entries alone that are wanted."""
        kept = b"".join(pack(entry) for entry in self.entries() if wanted(entry))
        return self if len(kept) == len(self.data) else replace(self, data=kept)


def certain_from(ctime: int) -> int:
    """The last moment at which something may have been changed that has this ctime, in nanoseconds since 1970.

    Filesystems with inodes of 128 bytes (ext2, ext3, small ext4) keep whole seconds.
    """
    return ctime if ctime % SECOND else ctime + SECOND - 1


def pack(entry: Entry) -> bytes:
    """An entry as it stands in `Folder.data`."""
    return FIXED.pack(*entry[1:], len(entry.name)) + entry.name


def unpack(packed: bytes) -> Entry:
    """What `pack` has packed."""
    *facts, _ = FIXED.unpack_from(packed)
    return Entry(packed[FIXED.size :], *facts)


def sort_key(path: bytes) -> bytes:
    """By which paths stand in the order of an index: a folder, all that is below it, and then its next sibling."""
    return path.replace(b"/", b"\0")


def is_within(path: bytes, folder: bytes) -> bool:
    """Whether `path` is `folder` or below it."""
    return not folder or path == folder or path.startswith(folder + b"/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What an index belongs to, without which it says nothing.

    `container` is the id of a container, `place` the folder of what it has written and `inode` that folder's, and
    `diff_ids` are the layers of the image that shows what is indexed. What has a ctime of `synced_at` or later, in
    nanoseconds since 1970, may have been changed after it was looked at.
    """

    container: str
    place: str
    inode: int
    synced_at: int
    diff_ids: tuple[str, ...] = ()

    def of(self, diff_ids: tuple[str, ...]) -> "Header":
        """The same, of another image."""
        return replace(self, diff_ids=diff_ids)


def write_index(file: BinaryIO, header: Header, folders: Iterable[Folder]) -> None:
    """Write an index. Raises what `folders` raises, or OSError."""
    file.write(json.dumps({"schema": SCHEMA, **asdict(header)}).encode() + b"\n")
    write_folders(file, folders)


def write_folders(file: BinaryIO, folders: Iterable[Folder]) -> None:
    """The frames of an index, without its header."""
    crc = 0
    for folder in folders:
        lengths = len(folder.path), len(folder.data)
        frame = _FRAME.pack(*lengths, folder.newest, folder.size, folder.flags) + folder.path + folder.data
        crc = zlib.crc32(frame, crc)
        file.write(frame)
    file.write(_FRAME.pack(0, 0, crc, 0, END))


def read_header(file: BinaryIO) -> Header:
    """The header of an index. Raises StateDamaged."""
    try:
        document: Any = json.loads(file.readline(1 << 20))
    except (ValueError, RecursionError) as exc:
        raise _damaged("its header is none") from exc
    match document:
        case {
            "schema": 1,
            "container": str(container),
            "place": str(place),
            "inode": int(inode),
            "synced_at": int(synced_at),
            "diff_ids": list(diff_ids),
        } if all(isinstance(each, str) for each in diff_ids):
            return Header(container=container, place=place, inode=inode, synced_at=synced_at, diff_ids=tuple(diff_ids))
        case _:
            raise _damaged("its header says something else")


def read_folders(file: BinaryIO) -> Iterator[Folder]:
    """The folders of an index, from behind its header. Raises StateDamaged where it is cut off or was changed."""
    crc = 0
    while True:
        head = file.read(_FRAME.size)
        if len(head) < _FRAME.size:
            raise _damaged("it is cut off")
        path, data, newest, size, flags = _FRAME.unpack(head)
        if flags & END:
            if head != _FRAME.pack(0, 0, crc, 0, END):
                raise _damaged("its check sum is another one")
            return
        if path + data > _LONGEST:
            raise _damaged("it has a folder that is too large")
        body = file.read(path + data)
        if len(body) < path + data:
            raise _damaged("it is cut off")
        crc = zlib.crc32(body, zlib.crc32(head, crc))
        yield Folder(body[:path], body[path:], newest, size, flags)


def _damaged(what: str) -> StateDamaged:
    return StateDamaged(f"the index of what was committed is damaged: {what}")
