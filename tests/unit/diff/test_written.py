"""What a container has written, read out of its folder as a layer of it would say."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from bottle.diff.thing import Kind
from bottle.diff.written import digests_of_files, layer_of_deltas
from bottle.trees.delta import layer_delta
from bottle.trees.source import DirectReader


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
    assert digests_of_files(["hard", "gone/x", "d/file", "link", "fifo"], deltas, reader) == {
        "d/file": digest,
        "hard": digest,
    }


def test_what_a_socket_would_be_in_the_place_of_is_gone(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    os.mknod(tmp_path / "d" / "socket", 0o140600)
    reader = DirectReader(tmp_path)
    layer = layer_of_deltas(tuple(layer_delta((), reader.folders(), 0)), reader)
    assert (set(layer.things), layer.gone) == ({"d"}, {"d/socket"})


def test_what_is_gone_by_then_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("d")
    reader = DirectReader(tmp_path)
    deltas = tuple(layer_delta((), reader.folders(), 0))
    for name in ("file", "link"):
        (tmp_path / name).unlink()
    assert set(layer_of_deltas(deltas, reader).things) == {"file"}
    assert digests_of_files(["file"], deltas, reader) == {}
