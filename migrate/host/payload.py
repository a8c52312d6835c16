"""What is brought to another host, and the pieces in which it travels."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from migrate.host.arguments import PieceNumber
from migrate.image.load_archive import Archive, Layer
from migrate.model import Blob

# A piece costs a far command; two of them may be under way when a line breaks, and are then sent again.
_LEAST, _MOST, _SHARE = 512 * 1024, 8 * 1024**2, 20
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """Bytes to be brought there: a file of this host, or a few bytes in memory. `digest` is sha256, in hex."""

    digest: str
    size: int
    content: Path | bytes

    @classmethod
    def literal(cls, data: bytes) -> "Payload":
        """Payload that is in memory."""
        return cls(digest=hashlib.sha256(data).hexdigest(), size=len(data), content=data)

    @classmethod
    def of(cls, blob: Blob) -> "Payload":
        """What was spooled."""
        return cls(digest=blob.digest.removeprefix("sha256:"), size=blob.size, content=blob.path)

    def read(self, offset: int, length: int) -> Iterator[bytes]:
        """`length` bytes from `offset` on, a chunk at a time."""
        if isinstance(self.content, bytes):
            yield self.content[offset : offset + length]
            return
        with self.content.open("rb") as file:
            file.seek(offset)
            while length > 0 and (chunk := file.read(min(_CHUNK, length))):
                length -= len(chunk)
                yield chunk

    def is_whole(self) -> bool:
        """Whether its bytes, read again, have its digest."""
        digest = hashlib.sha256()
        for chunk in self.read(0, self.size):
            digest.update(chunk)
        return digest.hexdigest() == self.digest

    def discard(self) -> None:
        """Delete the file that it is, so that it is made anew; gone already is fine."""
        if isinstance(self.content, Path):
            self.content.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a payload, small enough to be sent again without regret."""

    payload: Payload
    number: int
    offset: int
    size: int

    @property
    def label(self) -> str:
        """Its number in the form that sorts."""
        return str(PieceNumber(self.number))

    def __iter__(self) -> Iterator[bytes]:
        """Its bytes, anew each time."""
        return self.payload.read(self.offset, self.size)

    def sha256(self) -> str:
        """Its digest in hex."""
        digest = hashlib.sha256()
        for chunk in self:
            digest.update(chunk)
        return digest.hexdigest()


def cut(payload: Payload) -> Iterator[Piece]:
    """The pieces of a payload. Their size follows from the payload's alone, so that the next run cuts alike."""
    size = min(max(payload.size // _SHARE, _LEAST), _MOST)
    for number, offset in enumerate(range(0, max(payload.size, 1), size)):
        yield Piece(payload, number, offset, min(size, payload.size - offset))


def payloads_of(archive: Archive) -> list[Payload]:
    """The parts of an archive, one after the other; those that are no layers are in memory."""
    return [Payload.of(part.blob) if isinstance(part, Layer) else Payload.literal(part.data) for part in archive.parts]


def names(payloads: Iterable[Payload]) -> bytes:
    """The digests of what travels, a line each."""
    return lines(each.digest for each in payloads)


def lines(digests: Iterable[str]) -> bytes:
    """Digests, a line each, as scripts read them."""
    return "".join(f"{digest}\n" for digest in sorted(set(digests))).encode()


def total(payloads: Iterable[Payload]) -> int:
    """The bytes of all of it; what is the same is staged once."""
    return sum({each.digest: each.size for each in payloads}.values())
