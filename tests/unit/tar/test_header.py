"""Headers are read as tarfile reads them, whichever way is taken."""

from __future__ import annotations

import tarfile

import pytest
from hypothesis import given, strategies as st

from bottle.tar.header import Header, _plain, read_header

FORMS = st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
TYPES = st.sampled_from([*(bytes([each]) for each in b"01234567xgLKS"), b"\0"])
NAMES = st.text(st.characters(codec="latin-1", exclude_characters="\0"), min_size=1, max_size=200) | st.just("folder/")


@st.composite
def blocks(draw: st.DrawFn) -> bytes:
    """The last header that tarfile writes for something, as it is or with some bytes changed and the sum set right."""
    info = tarfile.TarInfo(draw(NAMES))
    info.type, info.linkname = draw(TYPES), draw(st.just("") | NAMES)
    info.mode, info.uid, info.gid = draw(st.integers(0, 0o7777)), draw(st.integers(0, 1 << 22)), draw(st.integers(0, 9))
    info.size, info.mtime = draw(st.integers(0, 1 << 40)), draw(st.integers(0, 1 << 35))
    try:
        block = bytearray(info.tobuf(draw(FORMS), "utf-8", "surrogateescape")[-tarfile.BLOCKSIZE :])
    except ValueError:  # a name that is too long for ustar
        block = bytearray(tarfile.TarInfo("other").tobuf(tarfile.USTAR_FORMAT))
    for at in draw(st.lists(st.integers(0, 511), max_size=3)):
        block[at] = draw(st.sampled_from(b"\0 07a/") | st.integers(0, 255))
    if draw(st.booleans()):
        block[148:156] = b"%06o\0 " % (sum(block[:148]) + sum(block[156:]) + 256)
    return bytes(block)


def as_tarfile(block: bytes) -> Header | None:
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return None
    return Header(block, info.type, info.size, info.name, info.linkname)


@given(blocks())
def test_a_header_is_what_tarfile_says_it_is(block: bytes) -> None:
    expected = as_tarfile(block)
    if expected is None:
        with pytest.raises((tarfile.HeaderError, ValueError)):
            read_header(block)
    else:
        found = read_header(block)
        assert found == expected
        assert found.info.get_info() == tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape").get_info()


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT])
def test_the_usual_header_goes_the_short_way(form: int) -> None:
    info = tarfile.TarInfo("srv/work/0001")
    info.size, info.mtime = 12_000, 1_700_000_000
    block = info.tobuf(form)
    assert _plain(block) == as_tarfile(block)


def usual(**changes: object) -> bytes:
    """The block of a usual header, with some of it set."""
    info = tarfile.TarInfo("srv/work/0001")
    for name, value in changes.items():
        setattr(info, name, value)
    return info.tobuf(tarfile.USTAR_FORMAT)


def test_a_checksum_that_is_wrong_is_damage() -> None:
    block = bytearray(usual())
    block[0] ^= 1
    with pytest.raises(tarfile.HeaderError, match="bad checksum"):
        read_header(bytes(block))


def test_a_name_in_two_parts_is_one() -> None:
    name = "/".join(("folder",) * 20)
    assert read_header(usual(name=name)).name == name
