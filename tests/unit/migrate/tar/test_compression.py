"""Hashing, compressing and decompressing in passing."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given, strategies as st

from bottle.errors import VerificationFailed
from bottle.tar.chunks import CHUNK
from migrate.model import Codec
from migrate.tar.compression import CompressingWriter, Meter, compressor, decompress, sniff

CODECS = pytest.mark.parametrize("codec", list(Codec), ids=lambda codec: codec.name)
# More than the blocks that zstd's workers cut the input into.
SAMPLE = b"".join(random.Random(i).randbytes(1 << 16) + bytes(1 << 17) for i in range(120))


def cut(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def pack(data: bytes, codec: Codec, piece: int = CHUNK, threads: int = 1, level: int | None = None) -> bytes:
    out = io.BytesIO()
    writer = CompressingWriter(out, codec, level, threads)
    for chunk in cut(data, piece):
        writer.write(chunk)
    writer.finish()
    packed = out.getvalue()
    assert (writer.plain.digest, writer.plain.size) == (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))
    assert (writer.packed.digest, writer.packed.size) == (f"sha256:{hashlib.sha256(packed).hexdigest()}", len(packed))
    return packed


@CODECS
@given(data=st.binary(max_size=2000), piece=st.integers(1, 700))
def test_what_was_compressed_comes_back(codec: Codec, data: bytes, piece: int) -> None:
    packed = pack(data, codec, piece)
    assert b"".join(decompress(cut(packed, piece), codec)) == data
    assert codec is Codec.NONE or sniff(packed) is codec


@CODECS
def test_the_digest_depends_on_the_bytes_alone(codec: Codec) -> None:
    first = pack(SAMPLE, codec)
    assert (
        first == pack(SAMPLE, codec, piece=77_777) == pack(SAMPLE, codec, threads=2) == pack(SAMPLE, codec, threads=3)
    )


def test_other_programs_read_it() -> None:
    assert gzip.decompress(pack(SAMPLE, Codec.GZIP)) == SAMPLE
    assert zstandard.ZstdDecompressor().decompressobj().decompress(pack(SAMPLE, Codec.ZSTD)) == SAMPLE


@pytest.mark.parametrize("codec", [Codec.ZSTD, Codec.GZIP])
def test_the_level_counts(codec: Codec) -> None:
    words = [random.Random(i).randbytes(9) for i in range(3000)]
    text = b"".join(random.Random(1).choices(words, k=100_000))
    assert len(pack(text, codec, level=6)) < len(pack(text, codec, level=1))


@pytest.mark.parametrize("codec", [Codec.ZSTD, Codec.GZIP])
def test_several_frames_are_one_stream(codec: Codec) -> None:
    packed = b"".join(pack(part, codec) for part in (b"one", b"", b"two" * 1000))
    for piece in (1, 7, 1 << 20):
        assert b"".join(decompress(cut(packed, piece), codec)) == b"one" + b"two" * 1000


@pytest.mark.parametrize("codec", [Codec.ZSTD, Codec.GZIP])
def test_damage_does_not_pass_for_the_plain_bytes(codec: Codec) -> None:
    plain = SAMPLE[:300_000]
    packed = bytearray(pack(plain, codec))
    packed[5] ^= 0xFF
    packed[len(packed) // 2] ^= 0xFF
    # gzip always notices; zstd without checksums may give other bytes, which then have another digest.
    with suppress(VerificationFailed):
        assert b"".join(decompress(cut(bytes(packed), 1000), codec)) != plain
    with pytest.raises(VerificationFailed):
        list(decompress([b"no such format"], codec))


@pytest.mark.parametrize("codec", [Codec.ZSTD, Codec.GZIP])
def test_what_swells_comes_in_pieces(codec: Codec) -> None:
    bomb = pack(bytes(1 << 26), codec, level=1)
    assert len(bomb) < 1 << 19
    sizes = [len(piece) for piece in decompress([bomb], codec)]
    assert sum(sizes) == 1 << 26
    assert max(sizes) <= CHUNK


def test_many_small_gzip_members_take_time_for_each_and_no_more() -> None:
    """What is behind a member's end is handed back as a copy: a megabyte for each twenty bytes takes minutes."""
    members = gzip.compress(b"", mtime=0) * 200_000
    before = time.process_time()
    assert b"".join(decompress([members], Codec.GZIP)) == b""
    assert time.process_time() - before < 4


def test_a_window_larger_than_the_limit_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, compression_level=1, write_content_size=0)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(VerificationFailed):
        list(decompress([packed.compress(bytes(1 << 20)) + packed.flush()], Codec.ZSTD))


@pytest.mark.parametrize(
    ("head", "codec"),
    [
        (b"\x28\xb5\x2f\xfd\x00", Codec.ZSTD),
        (b"\x1f\x8b\x08\x00", Codec.GZIP),
        (b"\x1f\x8b\x07\x00", Codec.NONE),
        (b"etc/", Codec.NONE),
        (b"", Codec.NONE),
    ],
)
def test_sniff(head: bytes, codec: Codec) -> None:
    assert sniff(head) is codec


def test_gzip_carries_neither_name_nor_time() -> None:
    packed = compressor(Codec.GZIP)
    head = (packed.compress(b"x") + packed.flush())[:10]
    assert head[3:8] == bytes(5)


class Reluctant(io.BytesIO):
    """A file that takes fewer bytes than it is given."""

    def write(self, data) -> int:  # type: ignore[no-untyped-def, override]
        return super().write(bytes(data)[:100])


def test_a_short_write_loses_nothing() -> None:
    out = Reluctant()
    writer = CompressingWriter(out, Codec.NONE)
    writer.write(SAMPLE[:12_345])
    writer.finish()
    assert out.getvalue() == SAMPLE[:12_345]


def test_meter() -> None:
    meter = Meter()
    assert meter.digest == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    meter.update(b"abc")
    assert meter.size == 3
