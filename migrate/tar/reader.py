"""Strict, forward-only reading of an untrusted tar: whatever is not as it should be is an error, never an early end.

`tarfile` takes a damaged header in the middle for the end of the archive; here that is damage. Formats: ustar (POSIX
IEEE 1003.1-1988) with pax records (POSIX.1-2001) and GNU's long names and base-256 sizes.
"""

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from bottle.errors import VerificationFailed
from migrate.tar.compression import CHUNK, Reader

BLOCK = tarfile.BLOCKSIZE
# Names and pax records of a single member; an engine's archive has a few hundred bytes of them.
_MAX_EXTENSION = 1 << 20
_MAX_MEMBERS = 1 << 17
_MAX_DIGITS = 19

_FILES = {tarfile.REGTYPE, tarfile.AREGTYPE}
_PLAIN = {tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE}
_SPECIAL = {tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE}
_ZERO = bytes(BLOCK)


@dataclass(frozen=True, slots=True)
class Member:
    """One entry. `name` and `link` are whatever the archive says: compare them, never use them as paths.

    `type` is tarfile's, `head` all that stands in front of the content, byte for byte.
    """

    name: str
    size: int
    is_file: bool
    link: str
    type: bytes
    head: bytes


class TarStream:
    """A tar that goes by once. Raises VerificationFailed at the first thing that no sound archive contains."""

    def __init__(self, chunks: Iterable[bytes], *, layer: bool = False) -> None:
        """`layer`: it is a filesystem's, so devices and fifos are in order, and so is any number of entries."""
        self._source = Reader(chunks)
        self._types = _FILES | _PLAIN | (_SPECIAL if layer else set())
        self._most = None if layer else _MAX_MEMBERS
        self._head = bytearray()
        self._offset = 0
        self._left = 0
        self._padding = 0

    def members(self) -> Iterator[Member]:
        """Each entry in turn; what was not read of one is skipped. Ends when the whole stream has been read."""
        for number in count():
            if number == self._most:
                raise self._damaged(f"more than {_MAX_MEMBERS} entries")
            self._skip_rest()
            member = self._next()
            if member is None:
                self._check_end()
                return
            yield member

    def data(self) -> Iterator[bytes]:
        """The content of the entry that was yielded last, in pieces."""
        while self._left:
            piece = self._source.read(min(self._left, CHUNK))
            if not piece:
                raise self._damaged("it ends in the middle of an entry")
            self._left -= len(piece)
            self._offset += len(piece)
            yield piece

    def whole(self, limit: int) -> bytes:
        """The content of the entry that was yielded last, if it has at most `limit` bytes."""
        if self._left > limit:
            raise self._damaged(f"an entry of {self._left} bytes where at most {limit} are in order")
        return b"".join(self.data())

    def _skip_rest(self) -> None:
        for _ in self.data():
            pass
        self._take(self._padding)
        self._padding = 0

    def _take(self, size: int) -> bytes:
        taken = self._source.exactly(size)
        self._offset += len(taken)
        if len(taken) < size:
            raise self._damaged("it ends too early")
        return taken

    def _next(self) -> Member | None:
        """The next header with what extends it, or None at the first block of the end mark."""
        extra: dict[str, str] = {}
        self._head.clear()
        while True:
            header = self._header()
            if header is None:
                if extra:
                    raise self._damaged("names without an entry")
                return None
            match header.type:
                case tarfile.XHDTYPE:
                    extra |= self._pax(self._extension(header.size))
                case tarfile.GNUTYPE_LONGNAME:
                    extra["path"] = self._text(self._extension(header.size).rstrip(b"\0"))
                case tarfile.GNUTYPE_LONGLINK:
                    extra["linkpath"] = self._text(self._extension(header.size).rstrip(b"\0"))
                case _:
                    return self._member(header, extra)

    def _header(self) -> tarfile.TarInfo | None:
        block = self._take(BLOCK)
        if block == _ZERO:
            return None
        self._head += block
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError) as exc:
            raise self._damaged("there is no header where one should be", block) from exc

    def _member(self, header: tarfile.TarInfo, extra: dict[str, str]) -> Member:
        size = self._number(extra["size"]) if "size" in extra else header.size
        if header.type not in self._types or size < 0 or (size and header.type not in _FILES):
            raise self._damaged(f"an entry of type {header.type!r} and size {size}")
        if any(key.startswith("GNU.sparse.") for key in extra):
            raise self._damaged("a sparse entry, whose name and size are not what its header says")
        self._left = size
        self._padding = -size % BLOCK
        return Member(
            name=extra.get("path", header.name),
            size=size,
            is_file=header.type in _FILES,
            link=extra.get("linkpath", header.linkname),
            type=header.type,
            head=bytes(self._head),
        )

    def _extension(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_EXTENSION:
            raise self._damaged(f"names of {size} bytes")
        data = self._take(size)
        self._head += data + self._take(-size % BLOCK)
        return data

    def _pax(self, data: bytes) -> dict[str, str]:
        """`LENGTH KEY=VALUE\\n` again and again; LENGTH counts itself and the newline."""
        records = {}
        at = 0
        while at < len(data):
            space = data.find(b" ", at, at + _MAX_DIGITS + 1)
            end = at + self._number(self._text(data[at : max(space, at)]))
            key, equals, value = data[space + 1 : end].partition(b"=")
            if not equals or not value.endswith(b"\n") or end > len(data):
                raise self._damaged("a malformed pax record")
            records[self._text(key)] = self._text(value[:-1])
            at = end
        return records

    def _number(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
            raise self._damaged(f"{text[:20]!r} where a number should be")
        return int(text)

    @staticmethod
    def _text(data: bytes) -> str:
        return data.decode("utf-8", "surrogateescape")

    def _check_end(self) -> None:
        """The end mark is two blocks of zeros; writers may add more zeros, and nothing else."""
        if self._take(BLOCK) != _ZERO:
            raise self._damaged("half an end mark")
        while piece := self._source.read(CHUNK):
            if piece.count(0) != len(piece):
                raise self._damaged("something follows after its end", piece.lstrip(b"\0"))
            self._offset += len(piece)

    def _damaged(self, why: str, found: bytes = b"") -> VerificationFailed:
        said = _readable(found[:BLOCK])
        return VerificationFailed(
            f"the archive is damaged at byte {self._offset}: {why}" + (f"; it says: {said}" if said else "")
        )


def _readable(data: bytes) -> str:
    """The text that `data` begins with, if it is one: how an engine reports an error that comes late."""
    text = " ".join(data.rstrip(b"\0").decode("ascii", "replace").split())
    return text[:200] if text.isprintable() and "\ufffd" not in text else ""
