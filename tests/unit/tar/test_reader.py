"""An untrusted tar is read strictly, in time and memory that its size and its headers bound."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterator

import pytest

from bottle.errors import VerificationFailed
from bottle.tar.reader import TarStream, whole


def extended(records: bytes) -> list[bytes]:
    """A tar of one entry with these pax records."""
    extension = tarfile.TarInfo("x")
    extension.type, extension.size = tarfile.XHDTYPE, len(records)
    padding = bytes(-len(records) % tarfile.BLOCKSIZE)
    return [extension.tobuf() + records + padding + tarfile.TarInfo("entry").tobuf() + bytes(2 * tarfile.BLOCKSIZE)]


def test_many_pax_records_take_time_for_each_and_no_more() -> None:
    before = time.process_time()
    (entry,) = TarStream(extended(b"9 path=a\n" * 100_000)).members()
    assert entry.name == "a"
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    "records",
    [
        b"x",
        b"9 path=a",
        b"9path=a\n",
        b" path=a\n",
        b"0 path=a\n",
        b"2 path=a\n",
        b"8 path=a\n",
        b"11 path=a\n",
        b"9 path a\n",
        b"-9 path=a\n",
        b"00000000000000000009 path=a\n",
        b"9 path=a\n\0",
    ],
)
def test_malformed_pax_records_are_damage(records: bytes) -> None:
    with pytest.raises(VerificationFailed, match="damaged"):
        list(TarStream(extended(records)).members())


def test_headers_without_end_are_not_held_in_memory() -> None:
    """Each extension by itself is small, and there is no last one."""
    given_out = 0

    def endless() -> Iterator[bytes]:
        nonlocal given_out
        extension = extended(b"9 path=a\n" * 1000)[0][: 512 + 9216]
        while True:
            given_out += len(extension)
            yield extension

    with pytest.raises(VerificationFailed, match="header"):
        list(TarStream(endless()).members())
    assert given_out < 2**22


# --- passed on as it is -----------------------------------------------------------------------------------------------


def tar_of(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 1.5
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


LARGE = tar_of({"a": b"a" * 5000, "b": b"", "c" * 120: b"c", "d": b"d" * 70_000})


def passed(data: bytes, size: int = 999) -> bytes:
    return b"".join(
        whole(
            (data[at : at + size] for at in range(0, len(data), size)),
            "the volume",
            left="all is as it was",
            next_step="look",
        )
    )


@pytest.mark.parametrize("size", [1, 512, 999, 1 << 20])
def test_a_whole_tar_is_passed_on_byte_for_byte(size: int) -> None:
    assert passed(LARGE, size) == LARGE
    assert passed(tar_of({}), size) == tar_of({})


def test_a_tar_that_is_torn_anywhere_is_not_passed_on_as_whole() -> None:
    ends = len(LARGE.rstrip(b"\0"))
    for end in (*range(0, ends, 512), *range(100, ends, 4096)):
        with pytest.raises(VerificationFailed, match="the volume is no whole tar"):
            passed(LARGE[:end])


@pytest.mark.parametrize("content", [b"", b"x" * 5000], ids=["empty files", "files"])
def test_a_tar_is_passed_on_while_it_comes(content: bytes) -> None:
    data = tar_of({str(number): content for number in range(500)})
    given = passed_on = 0

    def chunks() -> Iterator[bytes]:
        nonlocal given
        for at in range(0, len(data), 999):
            given += len(data[at : at + 999])
            yield data[at : at + 999]

    for piece in whole(chunks(), "the volume", left="", next_step=""):
        passed_on += len(piece)
        assert given - passed_on < 16_384
    assert passed_on == len(data)
