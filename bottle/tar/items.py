"""The files of a tar: read one by one, by the strict reader, with all that a file is besides its content."""

import posixpath
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from bottle.errors import VerificationFailed
from bottle.tar.reader import BLOCK, Member, TarStream

LONGEST_PATH = 1 << 16  # bytes of a path below a folder that travels; a tar repeats it for each entry
MOST_NAMES = 1 << 28  # bytes of all paths of one tree that travels: what has to be known of it is kept in memory
CAPABILITY = "SCHILY.xattr.security.capability"
_MAX_ID = 2**32 - 2
_MAX_TIME = 2**40  # seconds: in the year 9999 there are files
_MAX_TARGET = 4096
_MAX_NAME = 255
_SET_IDS = 0o6000


class ItemType(Enum):
    """What an entry is."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    HARDLINK = "hard link"
    FIFO = "fifo"
    DEVICE = "device"


_TYPES = {
    tarfile.REGTYPE: ItemType.FILE,
    tarfile.AREGTYPE: ItemType.FILE,
    tarfile.DIRTYPE: ItemType.FOLDER,
    tarfile.SYMTYPE: ItemType.SYMLINK,
    tarfile.LNKTYPE: ItemType.HARDLINK,
    tarfile.FIFOTYPE: ItemType.FIFO,
    tarfile.CHRTYPE: ItemType.DEVICE,
    tarfile.BLKTYPE: ItemType.DEVICE,
}
_TARS = {
    ItemType.FILE: tarfile.REGTYPE,
    ItemType.FOLDER: tarfile.DIRTYPE,
    ItemType.SYMLINK: tarfile.SYMTYPE,
    ItemType.HARDLINK: tarfile.LNKTYPE,
    ItemType.FIFO: tarfile.FIFOTYPE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An entry. `path` is relative and does not climb, `.` for the top; so is `link` of a hard link.

    `link` of a symlink is whatever it says. `mtime_ns` are nanoseconds. `capability` are the bytes of the file
    capability, as pax records carry them. `sha256`, in hex, is there where somebody has hashed the content.
    """

    path: str
    type: ItemType
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int
    link: str = ""
    capability: str = ""
    sha256: str = ""

    @property
    def lends(self) -> bool:
        """Whether it is a file with set-id bits, which lends whoever runs it the rights of its owner."""
        return self.type is ItemType.FILE and bool(self.mode & _SET_IDS)


def relative(name: str) -> str:
    """A member's name as a safe relative path. Raises VerificationFailed."""
    path = posixpath.normpath(name)
    if not name or "\0" in name or path.startswith("/") or ".." in path.split("/"):
        raise VerificationFailed(
            f"an archive holds a path that escapes: {name[:80]!r}", left="nothing was taken from it"
        )
    return path


class ItemReader(TarStream):
    """The files of a tar of a filesystem. Raises VerificationFailed at whatever no file can be."""

    def __init__(
        self, chunks: Iterable[bytes], *, layer: bool = False, renamed: Callable[[str], str] = lambda path: path
    ) -> None:
        """`layer`: the engine will read it too. Absolute paths mean the top there, as some builders write them.

        Each path is told as what it is `renamed` to, a safe one as what may be none.
        """
        super().__init__(chunks)
        self._layer = layer
        self._renamed = renamed

    def items(self) -> Iterator[Item]:
        """Each entry in turn; `data` gives the content of the one that was yielded last."""
        for member in self.members():
            yield self._item(member)

    def _item(self, member: Member) -> Item:
        header, records = member.header, member.records
        paxes, extensions = member.extensions.count(tarfile.XHDTYPE), len(member.extensions)
        if paxes > 1 or (paxes and extensions > 1) or extensions > 2:  # parsers differ in which of them counts
            raise self._damaged("an entry that is named more than once")
        if self._layer and header.name:  # another parser may go by the other name
            self._safe(header.name)
        type_ = _TYPES[member.type]
        path = self._safe(member.name)
        if type_ is ItemType.SYMLINK and (not member.link or "\0" in member.link or len(member.link) > _MAX_TARGET):
            raise VerificationFailed(f"a link without a proper target: {path[:80]!r}")
        return Item(
            path=path,
            type=type_,
            mode=header.mode & 0o7777,
            uid=_id(records.get("uid", header.uid)),
            gid=_id(records.get("gid", header.gid)),
            mtime_ns=_nanoseconds(records.get("mtime", header.mtime)),
            size=member.size,
            link=self._link(type_, member.link),
            capability=records.get(CAPABILITY, "") if type_ is ItemType.FILE else "",
        )

    def _link(self, type_: ItemType, link: str) -> str:
        match type_:
            case ItemType.SYMLINK:
                return link
            case ItemType.HARDLINK:
                return self._safe(link)
            case _:
                return ""

    def _safe(self, name: str) -> str:
        """The path that a name means below the top. Raises VerificationFailed for one that escapes."""
        path = relative(self._renamed(relative(name.lstrip("/") or "." if self._layer and name else name)))
        if len(path) > LONGEST_PATH or any(len(part) > _MAX_NAME for part in path.split("/")):
            raise VerificationFailed(f"a path that is too long: {path[:80]!r}")
        return path


def item_header(item: Item, path: str, link: str) -> bytes:
    """The header of an entry that is called `path`; `link` is what a link leads to, or the name of the original."""
    member = tarfile.TarInfo(path)
    member.type, member.mode, member.uid, member.gid = _TARS[item.type], item.mode, item.uid, item.gid
    member.size, member.linkname = item.size, link
    if item.capability:
        member.pax_headers = {CAPABILITY: item.capability}
    set_time(member, item.mtime_ns)
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def set_time(member: tarfile.TarInfo, nanoseconds: int) -> None:
    """Give a member a time; tarfile would spell a float, which is good for some hundred nanoseconds."""
    member.mtime, beyond = divmod(nanoseconds, 10**9)
    if beyond:
        seconds, rest = divmod(abs(nanoseconds), 10**9)
        spelt = f"{'-' if nanoseconds < 0 else ''}{seconds}.{rest:09d}"
        member.pax_headers = {**member.pax_headers, "mtime": spelt}


def write_tar(entries: Iterable[tuple[bytes, Iterable[bytes], int]]) -> Iterator[bytes]:
    """A tar of our own making: for each entry its header, its content, and how many bytes that has."""
    for head, data, size in entries:
        yield head
        yield from data
        yield bytes(-size % BLOCK)
    yield bytes(2 * BLOCK)


def _id(value: str | int) -> int:
    number = int(value) if isinstance(value, int) or (value.isascii() and value.isdigit() and len(value) < 20) else -1
    if not 0 <= number <= _MAX_ID:
        raise VerificationFailed(f"an owner that cannot be: {str(value)[:20]!r}")
    return number


def _nanoseconds(seconds: str | float) -> int:
    try:
        number = Decimal(seconds)
        sound = abs(number) <= _MAX_TIME
    except (ArithmeticError, ValueError):
        sound = False
    if not sound:
        raise VerificationFailed(f"a time that cannot be: {str(seconds)[:20]!r}")
    return int(number * 10**9)
