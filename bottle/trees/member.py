"""What stands in front of a file's content in a layer: a ustar header, and a pax record for all that does not fit.

POSIX.1-2017, pax, "pax Interchange Format" and "ustar Interchange Format"; extended attributes as SCHILY.xattr.NAME,
their bytes as they are, as Go's archive/tar reads them and so every engine does.
"""

import stat
from collections.abc import Iterable, Mapping
from functools import lru_cache

BLOCK = 512
FILE, HARD_LINK, SYMLINK, DEVICE_C, DEVICE_B, FOLDER, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
WHITEOUT, OPAQUE_MARK = b".wh.", b".wh..wh..opq"  # OCI image-spec, layer.md

_KINDS = {
    stat.S_IFREG: FILE,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: DEVICE_C,
    stat.S_IFBLK: DEVICE_B,
    stat.S_IFDIR: FOLDER,
    stat.S_IFIFO: FIFO,
}
_EXTENSION = b"x"
_LARGEST_ID, _LARGEST_SIZE, _LAST_SECOND = 0o7777777, 0o77777777777, 0o77777777777
_SECOND = 1_000_000_000
_NO_ATTRIBUTES: Mapping[bytes, bytes] = {}


def kind_of(mode: int) -> bytes:
    """The type flag of what has this mode, as of lstat. Raises KeyError for a socket."""
    return _KINDS[stat.S_IFMT(mode)]


def head(
    path: bytes,
    kind: bytes,
    *,
    mode: int = 0,
    uid: int = 0,
    gid: int = 0,
    size: int = 0,
    mtime: int = 0,
    link: bytes = b"",
    device: tuple[int, int] = (0, 0),
    attributes: Mapping[bytes, bytes] = _NO_ATTRIBUTES,
) -> bytes:
    """All that stands before the content of a member. `path` and `link` are bytes of any kind, `mtime` nanoseconds."""
    records = []
    if len(path) > 100 or not path.isascii():
        records.append((b"path", path))
    if len(link) > 100 or not link.isascii():
        records.append((b"linkpath", link))
    seconds, fraction = divmod(mtime, _SECOND)
    if fraction or not 0 <= seconds <= _LAST_SECOND:
        records.append((b"mtime", _time(mtime)))
        seconds = min(max(seconds, 0), _LAST_SECOND)
    if size > _LARGEST_SIZE:
        records.append((b"size", b"%d" % size))
        size = 0
    if uid > _LARGEST_ID:
        records.append((b"uid", b"%d" % uid))
        uid = 0
    if gid > _LARGEST_ID:
        records.append((b"gid", b"%d" % gid))
        gid = 0
    records += [(b"SCHILY.xattr." + name, attributes[name]) for name in sorted(attributes)]
    block = _block(path, kind, mode, uid, gid, size, seconds, link, device)
    return _extension(records) + block if records else block


def marks(folder: bytes, *, opaque: bool, gone: Iterable[bytes]) -> bytes:
    """The members that say of a folder that nothing of it shows that lies below, or which names in it do not."""
    names = [OPAQUE_MARK] if opaque else []
    names += [WHITEOUT + name for name in gone]
    return b"".join(head(join(folder, name), FILE) for name in names)


def join(folder: bytes, name: bytes) -> bytes:
    """The path of what is called `name` in a folder."""
    return b"%b/%b" % (folder, name) if folder else name


def padding(size: int) -> bytes:
    """What follows content of `size` bytes."""
    return bytes(-size % BLOCK)


def _time(nanoseconds: int) -> bytes:
    sign, (seconds, fraction) = b"-" if nanoseconds < 0 else b"", divmod(abs(nanoseconds), _SECOND)
    return b"%b%d.%09d" % (sign, seconds, fraction)


def _block(  # noqa: PLR0917  (the fields of a header, in their order)
    path: bytes,
    kind: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    seconds: int,
    link: bytes,
    device: tuple[int, int],
) -> bytes:
    first = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        path[:100].ljust(100, b"\0"),
        mode & 0o7777,
        uid,
        gid,
        size,
        seconds,
    )
    last, of_last = _last(kind, link, device)
    return b"%b%06o\0 %b" % (first, sum(first) + of_last + 8 * 32, last)


@lru_cache(maxsize=64)
def _last(kind: bytes, link: bytes, device: tuple[int, int]) -> tuple[bytes, int]:
    """What stands behind the check sum, which most files have in common, and the sum of its bytes."""
    last = b"%b%bustar\x0000%b%07o\0%07o\0%b" % (
        kind,
        link[:100].ljust(100, b"\0"),
        bytes(64),
        *device,
        bytes(167),
    )
    return last, sum(last)


def _extension(records: list[tuple[bytes, bytes]]) -> bytes:
    data = b"".join(_record(key, value) for key, value in records)
    return _before_records(len(data)) + data + padding(len(data))


@lru_cache(maxsize=64)
def _before_records(size: int) -> bytes:
    """The header of `size` bytes of pax records, which are as many for most files."""
    return _block(b"pax", _EXTENSION, 0o644, 0, 0, size, 0, b"", (0, 0))


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where LENGTH counts itself."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) > len(str(rest)):
        length += 1
    return b"%d %b=%b\n" % (length, key, value)
