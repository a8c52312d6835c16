"""A tree that is open is written and read at any depth, and through no link."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bottle.files import tree
from bottle.files.opentree import OpenTree
from bottle.files.tree import walk
from tests.support.trees import make_deep
from tests.unit.files.test_tree import DEEP, paths


def test_a_tree_is_written_and_read_at_any_depth(tmp_path: Path) -> None:
    path = make_deep(tmp_path, DEEP, "abcd", b"one")
    folder = path.rpartition("/")[0]
    with OpenTree(tmp_path) as below:
        with below.create(f"{folder}/more/file") as file:
            file.write(b"two")
        below.symlink("top-link", "nowhere")
        below.link("second", path)
        below.folder("empty/er", make=True)
        below.dress(path, mode=0o640, owner=None, mtime_ns=1_000_000_001)
        below.dress("top-link", mode=None, owner=None, mtime_ns=2_000_000_002)
        below.dress(".", mode=0o750, owner=None, mtime_ns=3_000_000_003)
        with below.open(path) as file, below.open(f"{folder}/more/file") as other, below.open("second") as second:
            assert (file.read(), other.read(), second.read()) == (b"one", b"two", b"one")
    found = {node.path: node.facts for node in walk(tmp_path)}
    assert (found[path].st_mode & 0o7777, found[path].st_mtime_ns) == (0o640, 1_000_000_001)
    assert found["second"].st_ino == found[path].st_ino
    assert found["top-link"].st_mtime_ns == 2_000_000_002
    assert found["empty/er"].st_mode & 0o777 == 0o700
    assert (tmp_path.stat().st_mode & 0o777, tmp_path.stat().st_mtime_ns) == (0o750, 3_000_000_003)
    tree.remove(tmp_path)


def test_nothing_is_written_or_read_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "sub").mkdir(parents=True)
    (outside / "sub/file").write_bytes(b"secret")
    top = tmp_path / "top"
    top.mkdir()
    (top / "way").symlink_to(outside, target_is_directory=True)
    (top / "file").symlink_to(outside / "sub/file")
    with OpenTree(top) as below:
        for do in (
            lambda: below.create("way/new"),
            lambda: below.create("file"),
            lambda: below.open("file"),
            lambda: below.open("way/sub/file"),
            lambda: below.folder("way/sub/deeper", make=True),
            lambda: below.link("second", "way/sub/file"),
        ):
            with pytest.raises(OSError, match=r"Too many levels|Not a directory|File exists"):
                do()
    assert paths(outside) == ["sub", "sub/file"]


def test_a_fifo_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with OpenTree(tmp_path) as below, pytest.raises(OSError, match="no regular file"):
        below.open("fifo")


def test_depth_costs_no_more_than_its_names(tmp_path: Path) -> None:
    """Each of 10,000 nested folders with a file of its own: no step goes back to the top."""
    began = time.monotonic()
    with OpenTree(tmp_path) as below:
        way = ""
        for _ in range(10_000):
            way = f"{way}d/"
            below.create(f"{way}f").close()
    assert sum(1 for _ in walk(tmp_path)) == 20_000
    tree.remove(tmp_path)
    assert time.monotonic() - began < 20
