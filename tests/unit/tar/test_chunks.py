"""Bytes that come in pieces are read as those of a file."""

from __future__ import annotations

import io

from hypothesis import given, strategies as st

from bottle.tar.chunks import ChunkReader


@given(st.lists(st.binary(max_size=5), max_size=6), st.lists(st.integers(-1, 9), max_size=6))
def test_a_reader_of_chunks_reads_like_a_file(chunks: list[bytes], sizes: list[int]) -> None:
    reader, file_like = ChunkReader(chunks), io.BytesIO(b"".join(chunks))
    for size in sizes:
        assert reader.read(size) == file_like.read(size)
    assert reader.read() == file_like.read()


@given(st.lists(st.binary(max_size=20)), st.integers(1, 30))
def test_a_reader_gives_all_in_order(chunks: list[bytes], size: int) -> None:
    whole = b"".join(chunks)
    reader = ChunkReader(chunks)
    assert reader.read(size) == whole[:size]
    pieces = list(iter(lambda: reader.some(size), b""))
    assert b"".join(pieces) == whole[size:]
    assert all(len(piece) <= size for piece in pieces)
