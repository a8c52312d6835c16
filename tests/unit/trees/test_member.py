"""Heads of members: what a reader of tars finds in them is what they were made of."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, strategies as st

from bottle.trees.member import FILE, SYMLINK, head, kind_of, marks

PATHS = st.binary(min_size=1, max_size=300).filter(lambda path: b"\0" not in path and not path.endswith(b"/"))
IDS = st.integers(0, 2**32 - 2)
VALUES = st.binary(max_size=200)


def parsed(data: bytes) -> list[tarfile.TarInfo]:
    """The members of a tar without content."""
    with tarfile.open(fileobj=io.BytesIO(data + bytes(1024)), errors="surrogateescape") as tar:
        return tar.getmembers()


@given(path=PATHS, link=PATHS, uid=IDS, gid=IDS, mtime=st.integers(-(10**18), 10**19))
def test_names_owners_and_times_are_kept(path: bytes, link: bytes, uid: int, gid: int, mtime: int) -> None:
    (found,) = parsed(head(path, SYMLINK, mode=0o777, uid=uid, gid=gid, mtime=mtime, link=link))
    assert found.name.encode("utf-8", "surrogateescape") == path
    assert found.linkname.encode("utf-8", "surrogateescape") == link
    assert (found.uid, found.gid) == (uid, gid)
    seconds, _, fraction = found.pax_headers.get("mtime", str(int(found.mtime))).partition(".")
    sign = -1 if seconds.startswith("-") else 1
    assert int(seconds) * 10**9 + sign * int(fraction or 0) == mtime


@given(st.dictionaries(st.sampled_from([b"user.a", b"user.b", b"security.capability"]), VALUES))
def test_attributes_are_kept_byte_for_byte(attributes: dict[bytes, bytes]) -> None:
    data = head(b"f", FILE, attributes=attributes)
    for name, value in attributes.items():
        assert b" SCHILY.xattr.%b=%b\n" % (name, value) in data
    assert len(data) % 512 == 0


@pytest.mark.parametrize("length", range(80, 110))
def test_a_record_counts_its_own_length(length: int) -> None:
    (found,) = parsed(head(b"f", FILE, attributes={b"user.a": b"v" * length}))
    assert found.pax_headers["SCHILY.xattr.user.a"] == "v" * length


def test_a_size_beyond_eight_gibibytes_is_kept() -> None:
    data = head(b"f", FILE, size=9 << 30)
    info = tarfile.TarInfo.frombuf(data[1024:1536], "utf-8", "surrogateescape")
    assert (info.size, b"size=9663676416\n" in data) == (0, True)


def test_marks() -> None:
    names = [member.name for member in parsed(marks(b"d", opaque=True, gone=[b"x"]))]
    assert names == ["d/.wh..wh..opq", "d/.wh.x"]
    assert marks(b"d", opaque=False, gone=[]) == b""


def test_a_socket_has_no_kind() -> None:
    with pytest.raises(KeyError):
        kind_of(0o140755)
