"""Indexes: what is written is read again, and what was cut or changed is not believed."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, strategies as st

from bottle.errors import StateDamaged
from bottle.trees.index import Entry, Folder, Header, is_within, pack, read_folders, read_header, sort_key, write_index

HEADER = Header(container="c", place="/up per", inode=7, synced_at=9, diff_ids=("sha256:a",))
U32, U64, TIME = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1)
NAMES = st.binary(min_size=1, max_size=255).filter(lambda name: b"/" not in name and b"\0" not in name)
ENTRIES = st.builds(Entry, NAMES, U32, U64, U64, TIME, TIME, U32, U32, U32, U64)
FOLDERS = st.builds(
    Folder,
    st.binary(max_size=20),
    st.lists(ENTRIES).map(lambda found: b"".join(map(pack, found))),
    TIME,
    U64,
    st.just(0),
)


def written(folders: list[Folder]) -> bytes:
    """An index, as it is on disk."""
    file = io.BytesIO()
    write_index(file, HEADER, folders)
    return file.getvalue()


def read(data: bytes) -> tuple[Header, list[Folder]]:
    """What an index says."""
    file = io.BytesIO(data)
    return read_header(file), list(read_folders(file))


@given(st.lists(FOLDERS, max_size=4))
def test_an_index_says_what_it_was_told(folders: list[Folder]) -> None:
    assert read(written(folders)) == (HEADER, folders)


@given(st.lists(ENTRIES))
def test_entries_are_unpacked_as_they_were_packed(entries: list[Entry]) -> None:
    assert list(Folder(b"", b"".join(map(pack, entries)), 0).entries()) == entries


def test_an_index_that_is_cut_or_changed_anywhere_is_damaged() -> None:
    data = written([Folder(b"a", pack(Entry(b"n", 1, 2, 3, 4, 5, 6, 7, 8, 9)), 5), Folder(b"a/b", b"", 0)])
    for position in range(len(data)):
        with pytest.raises(StateDamaged):
            read(data[:position])
    body = data.index(b"\n") + 1
    for position in range(body, len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        with pytest.raises(StateDamaged):
            read(bytes(changed))


@pytest.mark.parametrize("header", [b"", b"{}\n", b"[]\n", b"\xff\n", b'{"schema": 2}\n', b"[" * 100_000 + b"\n"])
def test_a_header_that_says_something_else_is_damaged(header: bytes) -> None:
    with pytest.raises(StateDamaged):
        read_header(io.BytesIO(header))


@given(st.lists(st.lists(NAMES, min_size=1, max_size=3), min_size=2, max_size=6))
def test_paths_are_in_the_order_of_a_walk(paths: list[list[bytes]]) -> None:
    by_key = sorted((b"/".join(path) for path in paths), key=sort_key)
    assert by_key == [b"/".join(path) for path in sorted(paths)]


def test_within_is_by_whole_names() -> None:
    assert is_within(b"a/b", b"a")
    assert is_within(b"a", b"")
    assert not is_within(b"ab", b"a")
