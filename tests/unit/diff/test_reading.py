"""What layers say, read out of their tars and out of folders."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from bottle.diff.reading import digests_in, layer_of_deltas, layer_of_tar
from bottle.diff.thing import Kind, Thing
from bottle.errors import VerificationFailed
from bottle.tar.reader import TarStream
from bottle.trees.delta import layer_delta
from bottle.trees.source import DirectReader


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


def test_a_folder_says_what_a_layer_of_it_would(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o750)
    (tmp_path / "d" / "file").write_bytes(b"two")
    os.link(tmp_path / "d" / "file", tmp_path / "hard")
    (tmp_path / "link").symlink_to("d")
    os.mkfifo(tmp_path / "fifo", 0o600)
    reader = DirectReader(tmp_path)
    deltas = tuple(layer_delta((), reader.folders(), 0))
    layer = layer_of_deltas(deltas, reader)
    kinds = {path: (thing.kind, thing.size, thing.link) for path, thing in layer.things.items()}
    assert kinds == {
        "d": (Kind.FOLDER, 0, ""),
        "d/file": (Kind.FILE, 3, ""),
        "hard": (Kind.FILE, 3, ""),
        "link": (Kind.LINK, 0, "d"),
        "fifo": (Kind.FIFO, 0, ""),
    }
    digest = hashlib.sha256(b"two").digest()
    assert digests_in(deltas, reader, {"hard", "gone/x", "d/file"}) == {"d/file": digest, "hard": digest}
    assert digests_in(deltas, reader, {"hard", "link", "fifo"}) == {"hard": digest}
    (tmp_path / "hard").unlink()
    (tmp_path / "link").unlink()
    assert digests_in(deltas, reader, {"hard"}) == {}
    assert "link" not in layer_of_deltas(deltas, reader).things
