"""Strict, forward-only reading of an untrusted tar: whatever is not as it should be is an error, never an early end.

`tarfile` takes a damaged header in the middle for the end of the archive; here that is damage. Formats: ustar (POSIX
IEEE 1003.1-1988) with pax records (POSIX.1-2001) and GNU's long names and base-256 sizes.
"""

import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from bottle.errors import VerificationFailed
from bottle.tar.chunks import CHUNK, ChunkReader
from bottle.tar.header import Header, read_header

BLOCK = tarfile.BLOCKSIZE
# All headers of a single member; an engine's archive has a few hundred bytes of names and pax records.
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

    `head` is all that stands in front of the content, byte for byte: the `header`, and before it others, of the types
    in `extensions`, which said `records`.
    """

    name: str
    size: int
    link: str
    entry: Header
    records: Mapping[str, str]
    extensions: tuple[bytes, ...]
    head: bytes

    @property
    def type(self) -> bytes:
        """As tarfile has them."""
        return self.entry.type

    @property
    def header(self) -> tarfile.TarInfo:
        """The last header, without what others say."""
        return self.entry.info

    @property
    def is_file(self) -> bool:
        """Whether it has content."""
        return self.entry.type in _FILES


class TarStream:
    """A tar that goes by once. Raises VerificationFailed at the first thing that no sound archive contains."""

    def __init__(self, chunks: Iterable[bytes], *, image: bool = False) -> None:
        """`image`: it is an image's archive and no filesystem's: it has no devices or fifos, and few entries."""
        self._source = ChunkReader(chunks)
        self._types = _FILES | _PLAIN | (set() if image else _SPECIAL)
        self._most = _MAX_MEMBERS if image else None
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
            piece = self._source.some(min(self._left, CHUNK))
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
        if self._padding:
            self._take(self._padding)
            self._padding = 0

    def _take(self, size: int) -> bytes:
        taken = self._source.read(size)
        self._offset += len(taken)
        if len(taken) < size:
            raise self._damaged("it ends too early")
        return taken

    def _next(self) -> Member | None:
        """The next header with what extends it, or None at the first block of the end mark."""
        extra: dict[str, str] = {}
        extensions: list[bytes] = []
        self._head.clear()
        while True:
            header = self._header()
            if header is None:
                if extensions:
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
                    return self._member(header, extra, tuple(extensions))
            extensions.append(header.type)

    def _header(self) -> Header | None:
        block = self._take(BLOCK)
        if block == _ZERO:
            return None
        self._head += block
        try:
            return read_header(block)
        except (tarfile.HeaderError, ValueError) as exc:
            raise self._damaged("there is no header where one should be", block) from exc

    def _member(self, header: Header, extra: dict[str, str], extensions: tuple[bytes, ...]) -> Member:
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
            link=extra.get("linkpath", header.link),
            entry=header,
            records=extra,
            extensions=extensions,
            head=bytes(self._head),
        )

    def _extension(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_EXTENSION - len(self._head):
            raise self._damaged(f"a header with names of {size} bytes")
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
        while piece := self._source.some(CHUNK):
            if piece.count(0) != len(piece):
                raise self._damaged("something follows after its end", piece.lstrip(b"\0"))
            self._offset += len(piece)

    def _damaged(self, why: str, found: bytes = b"") -> VerificationFailed:
        said = _readable(found[:BLOCK])
        return VerificationFailed(
            f"the archive is damaged at byte {self._offset}: {why}" + (f"; it says: {said}" if said else "")
        )


@contextmanager
def given_out(what: str, *, left: str, next_step: str) -> Iterator[None]:
    """Say of a tar that is read here, and is none, that an engine gave it out of `what`. Raises VerificationFailed.

    An engine that meets an error while it makes one only ends it early, and one that unpacks it takes that for its end.
    """
    try:
        yield
    except VerificationFailed as exc:
        raise VerificationFailed(
            f"what Docker gave out of {what} is no whole tar: {exc.what}", left=left, next_step=next_step
        ) from exc


def whole(tar: Iterable[bytes], what: str, *, left: str, next_step: str) -> Iterator[bytes]:
    """The very bytes of a tar of `what` that an engine makes. Raises VerificationFailed where it is torn."""
    read: list[bytes] = []

    def passing() -> Iterator[bytes]:
        for chunk in tar:
            read.append(chunk)
            yield chunk

    def passed() -> Iterator[bytes]:
        while read:
            yield read.pop(0)

    stream = TarStream(passing())
    with given_out(what, left=left, next_step=next_step):
        for _ in stream.members():
            yield from passed()
            for _ in stream.data():
                yield from passed()
    yield from passed()


def _readable(data: bytes) -> str:
    """The text that `data` begins with, if it is one: how an engine reports an error that comes late."""
    text = " ".join(data.rstrip(b"\0").decode("ascii", "replace").split())
    return text[:200] if text.isprintable() and "\ufffd" not in text else ""
