"""The header of one entry of a tar, as cheaply as there are many of them.

Nearly all are of one plain form (POSIX IEEE 1003.1-1988, "ustar Interchange Format", and GNU's variant of it): octal
numbers of full width, no prefix. Of these no more is taken than what every reader wants; everything else is
tarfile's.
"""

import re
import struct
import tarfile
from dataclasses import dataclass
from functools import cached_property

# Name, numbers from mode to mtime, checksum, type, link, magic and version, names of owners, device numbers, prefix.
_FIELDS = struct.Struct("100s48s8sc100s8s64s16s155s12x")
_NUMBERS = re.compile(rb"(?:[0-7]{7}\0){3}([0-7]{11})\0[0-7]{11}\0")
_CHECKSUM = re.compile(rb"([0-7]{6})\0 ")
_DEVICES = re.compile(rb"(?:[0-7]{7}\0){2}|\0{16}")
_MAGICS = {b"ustar\x0000", b"ustar  \0"}
_TYPES = {tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.XHDTYPE}
_BLANKS = 8 * 0x20  # what the checksum's own field counts as


@dataclass(frozen=True)
class Header:
    """What stands in the block of 512 bytes before an entry's content: type, size in bytes, name and link's target."""

    block: bytes
    type: bytes
    size: int
    name: str
    link: str

    @cached_property
    def info(self) -> tarfile.TarInfo:
        """All of it."""
        return _parsed(self.block)


def read_header(block: bytes) -> Header:
    """The header in a block. Raises tarfile.HeaderError or ValueError where there is none."""
    plain = _plain(block)
    if plain is not None:
        return plain
    info = _parsed(block)
    return Header(block, info.type, info.size, info.name, info.linkname)


def _plain(block: bytes) -> Header | None:
    """A header of the plain form; None for any other, or none."""
    name, numbers, checksum, kind, link, magic, _, devices, prefix = _FIELDS.unpack(block)
    size, said = _NUMBERS.fullmatch(numbers), _CHECKSUM.fullmatch(checksum)
    if size is None or said is None or prefix[0] or magic not in _MAGICS or kind not in _TYPES:
        return None
    if not _DEVICES.fullmatch(devices) or int(said[1], 8) != sum(block) - sum(checksum) + _BLANKS:
        return None
    path = _text(name)
    return Header(block, kind, int(size[1], 8), path.rstrip("/") if kind == tarfile.DIRTYPE else path, _text(link))


def _parsed(block: bytes) -> tarfile.TarInfo:
    return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")
