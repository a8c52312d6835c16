"""What layers say, read out of their tars and out of folders."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest

from bottle.diff.reading import layer_of_tar
from bottle.diff.thing import Kind, Thing
from bottle.errors import VerificationFailed
from bottle.tar.reader import TarStream


def tar_of(*members: tuple[str, bytes, bytes, str]) -> TarStream:
    """Members of a name, a type, a content, and where they lead."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, type_, data, link in members:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname, member.mode = type_, len(data), link, 0o640
            tar.addfile(member, io.BytesIO(data))
    return TarStream([buffer.getvalue()])


def test_a_tar_says_what_is_there_and_what_is_hidden() -> None:
    odd = b"\xff".decode("utf-8", "surrogateescape")
    layer = layer_of_tar(
        tar_of(
            ("./d/", tarfile.DIRTYPE, b"", ""),
            ("d/file", tarfile.REGTYPE, b"one", ""),
            ("d/hard", tarfile.LNKTYPE, b"", "d/file"),
            (f"d/{odd}", tarfile.SYMTYPE, b"", "/x"),
            ("d/.wh.old", tarfile.REGTYPE, b"", ""),
            ("e/.wh..wh..opq", tarfile.REGTYPE, b"", ""),
            (".wh..wh.plnk", tarfile.REGTYPE, b"", ""),
        )
    )
    one = Thing(kind=Kind.FILE, size=3, mode=0o640, digest=hashlib.sha256(b"one").digest())
    assert layer.things == {
        "d": Thing(kind=Kind.FOLDER, mode=0o640),
        "d/file": one,
        "d/hard": one,
        f"d/{odd}": Thing(kind=Kind.LINK, mode=0o777, link="/x"),
    }
    assert (layer.gone, layer.opaque) == ({"d/old"}, {"e"})


def test_what_is_not_wanted_is_not_kept_but_for_its_other_names() -> None:
    tar = tar_of(("a", tarfile.REGTYPE, b"one", ""), ("b", tarfile.LNKTYPE, b"", "a"), ("c", tarfile.REGTYPE, b"", ""))
    layer = layer_of_tar(tar, lambda path: path == "b")
    assert layer.things == {"b": Thing(kind=Kind.FILE, size=3, mode=0o640)}


def test_a_torn_tar_is_none() -> None:
    with pytest.raises(VerificationFailed):
        layer_of_tar(TarStream([b"x" * 700]))
