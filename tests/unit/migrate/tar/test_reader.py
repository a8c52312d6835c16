"""Reading an untrusted tar takes time in proportion to its size."""

from __future__ import annotations

import tarfile
import time

import pytest

from bottle.errors import VerificationFailed
from migrate.tar.reader import TarStream


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
