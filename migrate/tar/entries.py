"""The tars inside a bundle: read entry by entry, by the strict parser, with all that a file is besides its content."""

import math
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from bottle.errors import VerificationFailed
from bottle.files.limits import LONGEST_PATH
from bottle.files.unpack import relative
from migrate.tar.reader import BLOCK, Member, TarStream

CAPABILITY = "SCHILY.xattr.security.capability"
_MAX_ID = 2**32 - 2
_MAX_TIME = 2**36
_MAX_TARGET = 4096
_MAX_NAME = 255


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

    `link` of a symlink is whatever it says. `mtime` is in seconds. `capability` are the bytes of the file capability,
    as pax records carry them.
    """

    path: str
    type: ItemType
    mode: int
    uid: int
    gid: int
    mtime: float
    size: int
    link: str = ""
    capability: str = ""


class InnerTar(TarStream):
    """A tar of a bundle. Raises VerificationFailed at whatever no writer of ours produces."""

    def __init__(self, chunks: Iterable[bytes], *, rooted: bool = False) -> None:
        """`rooted`: absolute paths mean the top of the tree, as some builders of images write them."""
        super().__init__(chunks, layer=True)
        self._rooted = rooted
        self._header_of_item = tarfile.TarInfo()
        self._extra: dict[str, str] = {}
        self._extensions = 0
        self._paxes = 0

    def items(self) -> Iterator[Item]:
        """Each entry in turn; `data` gives the content of the one that was yielded last."""
        for member in self.members():
            yield self._item(member)

    def _item(self, member: Member) -> Item:
        header, extra = self._header_of_item, self._extra
        type_ = _TYPES[member.type]
        if header.name:  # another parser may go by the other name
            self._safe(header.name)
        path = self._safe(member.name)
        link = self._safe(member.link) if type_ is ItemType.HARDLINK else member.link
        if type_ is ItemType.SYMLINK and (not link or "\0" in link or len(link) > _MAX_TARGET):
            raise VerificationFailed(f"a link without a proper target: {path[:80]!r}")
        return Item(
            path=path,
            type=type_,
            mode=header.mode & 0o7777,
            uid=_id(extra.get("uid", header.uid)),
            gid=_id(extra.get("gid", header.gid)),
            mtime=_time(extra.get("mtime", header.mtime)),
            size=member.size,
            link=link if type_ in {ItemType.SYMLINK, ItemType.HARDLINK} else "",
            capability=extra.get(CAPABILITY, "") if type_ is ItemType.FILE else "",
        )

    def _safe(self, name: str) -> str:
        """The path that a name means below the top. Raises VerificationFailed for one that escapes."""
        path = relative(name.lstrip("/") or "." if self._rooted and name else name)
        if len(path) > LONGEST_PATH or any(len(part) > _MAX_NAME for part in path.split("/")):
            raise VerificationFailed(f"a path that is too long: {path[:80]!r}")
        return path

    def _member(self, header: tarfile.TarInfo, extra: dict[str, str]) -> Member:
        """Parsers differ in what a second extension of one entry does to the first, so that is in no order."""
        if self._paxes > 1 or (self._paxes and self._extensions > 1) or self._extensions > 2:
            raise self._damaged("an entry that is named more than once")
        self._header_of_item, self._extra = header, extra
        self._extensions = self._paxes = 0
        return super()._member(header, extra)

    def _extension(self, size: int) -> bytes:
        self._extensions += 1
        return super()._extension(size)

    def _pax(self, data: bytes) -> dict[str, str]:
        self._paxes += 1
        return super()._pax(data)


def item_header(item: Item, path: str, link: str) -> bytes:
    """The header of an entry that is called `path`; `link` is what a link leads to, or the name of the original."""
    member = tarfile.TarInfo(path)
    member.type, member.mode, member.uid, member.gid = _TARS[item.type], item.mode, item.uid, item.gid
    member.mtime, member.size, member.linkname = item.mtime, item.size, link
    if item.capability:
        member.pax_headers = {CAPABILITY: item.capability}
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


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


def _time(value: str | float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not abs(number) <= _MAX_TIME:
        raise VerificationFailed(f"a time that cannot be: {str(value)[:20]!r}")
    return number
