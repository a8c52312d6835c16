"""Streams in pieces, as an engine gives them: read as a file, let go of at the end, and seen to be whole."""

import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from bottle.errors import VerificationFailed

_CHUNK = 1024 * 1024
_END = 2 * tarfile.BLOCKSIZE  # zeros that every tar ends with


class ChunkReader:
    """A read-only file over an iterator of bytes; memory is one chunk."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        """Exactly `size` bytes unless the end comes first."""
        parts: list[bytes] = []
        while size != 0:
            if not self._rest:
                chunk = next(self._chunks, None)
                if chunk is None:
                    break
                self._rest = memoryview(chunk)
            piece = self._rest if size < 0 else self._rest[:size]
            self._rest = self._rest[len(piece) :]
            parts.append(bytes(piece))
            size = size - len(piece) if size > 0 else size
        return b"".join(parts)


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


class SealedReader(ChunkReader):
    """A reader of a tar that knows, at its end, whether it was whole: tarfile takes a header it cannot read for one."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        super().__init__(chunks)
        self._position = 0
        self._zeros_from = 0

    def read(self, size: int = -1) -> bytes:
        """As ChunkReader does."""
        data = super().read(size)
        written = len(data.rstrip(b"\0"))
        if written:
            self._zeros_from = self._position + written
        self._position += len(data)
        return data

    def finish(self, offset: int) -> None:
        """Read to the end. Raises EOFError unless from `offset`, where tarfile stopped, there are zeros: two blocks."""
        while self.read(65536):
            pass
        if self._zeros_from > offset or self._position < offset + _END:
            raise EOFError("it is torn")


def whole(tar: Iterable[bytes], what: str, *, left: str, next_step: str) -> Iterator[bytes]:
    """The very bytes of a tar of `what` that an engine makes. Raises VerificationFailed where it is torn.

    An engine that meets an error while it makes one only ends it early, and one that unpacks it takes that for its end.
    """
    read: list[bytes] = []

    def passing() -> Iterator[bytes]:
        for chunk in tar:
            read.append(chunk)
            yield chunk

    def passed() -> Iterator[bytes]:
        while read:
            yield read.pop(0)

    source = SealedReader(passing())
    try:
        with tarfile.open(mode="r|", fileobj=source) as archive:  # type: ignore[call-overload]
            for member in archive:
                file = archive.extractfile(member) if member.isreg() else None
                yield from passed()
                while file is not None and file.read(_CHUNK):
                    yield from passed()
        source.finish(archive.offset)
    except (tarfile.TarError, EOFError, ValueError) as exc:
        raise VerificationFailed(
            f"what Docker gave out of {what} is no whole tar: {exc}", left=left, next_step=next_step
        ) from exc
    yield from passed()
