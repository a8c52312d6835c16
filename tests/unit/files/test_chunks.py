"""Streams in pieces: read like a file, and passed on byte for byte if they are whole."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottle.errors import VerificationFailed
from bottle.files.chunks import ChunkReader, whole
from tests.unit.files.test_unpack import file, link, pieces, tar_of


@given(st.lists(st.binary(max_size=5), max_size=6), st.lists(st.integers(-1, 9), max_size=6))
def test_a_reader_of_chunks_reads_like_a_file(chunks: list[bytes], sizes: list[int]) -> None:
    reader, file_like = ChunkReader(chunks), io.BytesIO(b"".join(chunks))
    for size in sizes:
        assert reader.read(size) == file_like.read(size)
    assert reader.read() == file_like.read()


LARGE = tar_of(file("a", b"a" * 5000), file("b", b""), link("c", "a"), file("d", b"d" * 70_000))


def passed(data: bytes, size: int = 999) -> bytes:
    return b"".join(whole(pieces(data, size), "the volume", left="all is as it was", next_step="look"))


@pytest.mark.parametrize("size", [1, 512, 999, 1 << 20])
def test_a_whole_tar_is_passed_on_byte_for_byte(size: int) -> None:
    assert passed(LARGE, size) == LARGE
    assert passed(tar_of(), size) == tar_of()


def test_a_tar_that_is_torn_anywhere_is_not_passed_on_as_whole() -> None:
    ends = len(LARGE.rstrip(b"\0"))
    for end in (*range(0, ends, 512), *range(100, ends, 4096)):
        with pytest.raises(VerificationFailed, match="the volume is no whole tar"):
            passed(LARGE[:end])
