"""Count, hash, compress and decompress bytes while they are copied: memory is a chunk, whatever a layer's size."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import zstandard

from bottle.errors import VerificationFailed
from bottle.ports import Progress
from bottle.tar.chunks import CHUNK, ChunkReader
from migrate.model import Blob, Codec

SNIFF = 4

# 128 MiB, what `zstd -d` takes without being asked for more; levels up to 19 stay below.
_ZSTD_WINDOW = 1 << 27
_GZIP_WINDOW = 31
_SIP = 512  # bytes that a gzip member is first given; what is behind its end is copied, and there may be many of them
_ZSTD_JOB = 2 << 20  # bytes that zstd's threads take at a time, and keep some of; level 3 gives 0.4 % more
_FED = 1 << 15  # bytes that a compressor is fed at a time: zstd holds more with each when it is fed more
_DEFAULT_LEVEL = {Codec.ZSTD: 3, Codec.GZIP: 6, Codec.NONE: 0}


class Meter:
    """Counts bytes and hashes them."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.size = 0

    def update(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._hash.update(chunk)
        self.size += len(chunk)

    @property
    def digest(self) -> str:
        """`sha256:<64 hex>` of all bytes so far."""
        return f"sha256:{self._hash.hexdigest()}"


def digest_of(data: bytes) -> str:
    """`sha256:<64 hex>` of bytes in memory."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def metered(pieces: Iterable[bytes], meter: Meter) -> Iterator[bytes]:
    """`pieces`, passed through."""
    for piece in pieces:
        meter.update(piece)
        yield piece


def told(pieces: Iterable[bytes], progress: Progress) -> Iterator[bytes]:
    """`pieces`, passed through, while somebody watches how far it has come."""
    for piece in pieces:
        progress.advance(len(piece))
        yield piece


class Compressor(Protocol):
    """Turns bytes into fewer."""

    def compress(self, data: bytes | memoryview) -> bytes:
        """What is ready once `data` was taken; often nothing."""

    def flush(self) -> bytes:
        """The rest."""


class _Store:
    """No compression."""

    def compress(self, data: bytes | memoryview) -> bytes:
        return bytes(data)

    def flush(self) -> bytes:
        return b""


def compressor(codec: Codec, level: int | None = None, threads: int = 1) -> Compressor:
    """A compressor whose output depends on the bytes, the codec and the level alone.

    Neither the time, nor how the bytes are cut into chunks, nor `threads` shows in it, so that a layer compressed
    anew has the digest that it had before, and what was sent of it already counts. Only zstd uses more threads.
    zstd at level 3 takes 16 MB and 4 MB more for each further thread; from level 9 on it is several times as much.
    """
    level = _DEFAULT_LEVEL[codec] if level is None else level
    match codec:
        case Codec.ZSTD:
            # Without workers zstd cuts its blocks elsewhere than with one: at least one, always.
            parameters = zstandard.ZstdCompressionParameters.from_level(
                level, threads=max(1, threads), job_size=_ZSTD_JOB
            )
            return zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        case Codec.GZIP:
            return zlib.compressobj(level, zlib.DEFLATED, _GZIP_WINDOW)  # zlib's own header: no name, no time
        case Codec.NONE:
            return _Store()


class CompressingWriter:
    """Copies a tar into `out`, compressed, and knows size and digest of both."""

    def __init__(self, out: BinaryIO, codec: Codec, level: int | None = None, threads: int = 1) -> None:
        self._out = out
        self._compressor = compressor(codec, level, threads)
        self.plain = Meter()
        self.packed = Meter()

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the tar."""
        self.plain.update(chunk)
        rest = memoryview(chunk)
        while rest:
            self._put(self._compressor.compress(rest[:_FED]))
            rest = rest[_FED:]

    def finish(self) -> None:
        """The tar is whole: write what the compressor still holds."""
        self._put(self._compressor.flush())

    def _put(self, packed: bytes) -> None:
        self.packed.update(packed)
        rest = memoryview(packed)
        while rest:  # an unbuffered file may take less than it is given
            rest = rest[self._out.write(rest) :]


def sniff(head: bytes) -> Codec:
    """How the file that begins with `head` is compressed (RFC 1952, RFC 8878)."""
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return Codec.ZSTD
    if head.startswith(b"\x1f\x8b\x08"):
        return Codec.GZIP
    return Codec.NONE


def decompress(chunks: Iterable[bytes], codec: Codec) -> Iterator[bytes]:
    """The plain bytes, in pieces of at most CHUNK, however far a small input swells.

    All of `chunks` is read. Raises VerificationFailed when they are not what `codec` says; a stream that is cut off
    ends early instead, so the caller must check the digest of what came.
    """
    match codec:
        case Codec.ZSTD:
            yield from _unzstd(chunks)
        case Codec.GZIP:
            yield from _gunzip(chunks)
        case Codec.NONE:
            yield from chunks


def packed(blob: Blob) -> Iterator[bytes]:
    """The file of what was spooled, as it is."""
    return pieces_of(blob.path)


def pieces_of(path: Path) -> Iterator[bytes]:
    """The content of a file, a chunk at a time."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def plain(blob: Blob) -> Iterator[bytes]:
    """The tar in it. Raises VerificationFailed where it is damaged; one that was cut off ends early."""
    return decompress(packed(blob), blob.codec)


def _unzstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(
        cast("BinaryIO", ChunkReader(chunks)), read_size=CHUNK, read_across_frames=True
    )
    try:
        while piece := reader.read(CHUNK):
            yield piece
    except zstandard.ZstdError as exc:
        raise VerificationFailed(f"zstd data is damaged: {exc}") from exc


def _gunzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Several members one after the other are one stream (RFC 1952, section 2.2), as pigz and others write them."""
    inflater, sip = zlib.decompressobj(_GZIP_WINDOW), _SIP
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            if inflater.eof:
                inflater, sip = zlib.decompressobj(_GZIP_WINDOW), _SIP
            given = rest[:sip]
            try:
                piece = inflater.decompress(given, CHUNK)
            except zlib.error as exc:
                raise VerificationFailed(f"gzip data is damaged: {exc}") from exc
            if piece:
                yield piece
            rest = rest[len(given) - len(inflater.unused_data) - len(inflater.unconsumed_tail) :]
            sip = min(2 * sip, CHUNK)
