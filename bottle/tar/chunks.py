"""Bytes that come in pieces of any size, read as a file is; memory is one piece."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

CHUNK = 1 << 20


class ChunkReader:
    """A read-only file over an iterator of bytes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = b""
        self._at = 0

    def some(self, size: int) -> bytes:
        """At least one byte and at most `size`; empty at the end."""
        while self._at == len(self._chunk):
            following = next(self._chunks, None)
            if following is None:
                return b""
            self._chunk, self._at = following, 0
        whole = self._at == 0 and len(self._chunk) <= size
        piece = self._chunk if whole else self._chunk[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def read(self, size: int = -1) -> bytes:
        """Exactly `size` bytes unless the end comes first; all that is left where it is negative."""
        pieces = []
        while size and (piece := self.some(size if size > 0 else CHUNK)):
            pieces.append(piece)
            size = size - len(piece) if size > 0 else size
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def __iter__(self) -> Iterator[bytes]:
        """The rest, in pieces of at most CHUNK."""
        while piece := self.some(CHUNK):
            yield piece


@contextmanager
def reading(chunks: Iterable[bytes]) -> Iterator[Iterable[bytes]]:
    """Read an engine's stream, and let go of it at the end, however that comes.

    While a container is being read the engine answers nothing else about it: who gives up in the middle, and then wants
    to let it go on or delete it, would wait for ever.
    """
    try:
        yield chunks
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


def at_most(chunks: Iterable[bytes], size: int, too_much: Exception) -> Iterator[bytes]:
    """`chunks`, passed through. Raises `too_much` when they are more than `size` bytes."""
    for chunk in chunks:
        size -= len(chunk)
        if size < 0:
            raise too_much
        yield chunk
