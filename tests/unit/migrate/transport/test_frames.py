"""The frames of a pull: whatever is sent is read again, however it is cut; what is no frame is an error."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, strategies as st

from bottle.errors import RemoteError
from migrate.transport.frames import DATA_LIMIT, JSON_LIMIT, Decoder, FrameKind, WireFrame, pieces
from tests.contract.duplex import cut

NUMBERS = st.integers(0, 2**32 - 1)
JSON = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()))
FRAMES = st.one_of(
    st.builds(WireFrame, st.sampled_from([FrameKind.DATA, FrameKind.OUT]), NUMBERS, st.binary(max_size=300)),
    st.builds(WireFrame.of, st.sampled_from([kind for kind in FrameKind if not kind.is_plain]), JSON, NUMBERS),
)


@given(st.lists(FRAMES), st.lists(st.integers(0, 2000)))
def test_what_is_sent_is_read_however_it_is_cut(frames: list[WireFrame], places: list[int]) -> None:
    decoder = Decoder()
    data = b"".join(frame.encode() for frame in frames)
    assert [frame for piece in cut(data, places) for frame in decoder.feed(piece)] == frames


@given(JSON)
def test_documents_come_back(document: dict[str, object]) -> None:
    assert WireFrame.of(FrameKind.NOTE, document).document == document


def test_surrogates_of_odd_file_names_come_back() -> None:
    assert WireFrame.of(FrameKind.OPEN, {"args": ["\udcff"]}).document == {"args": ["\udcff"]}


@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000)))
def test_garbage_is_read_or_refused_and_never_kept(garbage: bytes, places: list[int]) -> None:
    decoder = Decoder()
    try:
        for piece in cut(garbage, places):
            for frame in decoder.feed(piece):
                assert len(frame.payload) <= JSON_LIMIT
    except RemoteError:
        pass


@pytest.mark.parametrize(("kind", "limit"), [(FrameKind.DATA, DATA_LIMIT), (FrameKind.HELLO, JSON_LIMIT)])
def test_a_huge_frame_is_refused_by_its_header(kind: FrameKind, limit: int) -> None:
    header = bytes([kind]) + bytes(4) + (limit + 1).to_bytes(4, "big")
    with pytest.raises(RemoteError, match="longer than allowed"):
        list(Decoder().feed(header))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(RemoteError, match="no message of bottle"):
        list(Decoder().feed(b"HTTP/1.1 200 OK\r\n"))


@pytest.mark.parametrize("payload", [b"[]", b"1", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteError):
        _ = WireFrame(FrameKind.NOTE, 0, payload).document


def test_a_document_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(RemoteError, match="too much"):
        WireFrame.of(FrameKind.NOTE, {"text": "x" * JSON_LIMIT})


@pytest.mark.parametrize("size", [0, 1, DATA_LIMIT, DATA_LIMIT + 1, 3 * DATA_LIMIT])
def test_data_is_cut_into_frames_that_are_allowed(size: int) -> None:
    data = os.urandom(size)
    frames = list(pieces(FrameKind.DATA, 7, data))
    assert b"".join(frame.payload for frame in frames) == data
    assert all(0 < len(frame.payload) <= DATA_LIMIT and frame.request == 7 for frame in frames)
