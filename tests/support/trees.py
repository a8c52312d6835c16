"""What is on a disk, to be compared with what was."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bottle.files.opentree import OpenTree
from migrate.contents import archive as tarballs, packing

Snapshot = dict[str, tuple[int, bytes, str]]


def snapshot(folder: Path) -> Snapshot:
    """Every name below `folder` but locks, whose note tells of the last run: its mode, content and link target."""
    found: Snapshot = {}
    for root, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(root, name)
            if name == "lock":
                continue
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            target = str(path.readlink()) if path.is_symlink() else ""
            found[str(path.relative_to(folder))] = (path.lstat().st_mode, content, target)
    return found


def make_deep(top: Path, depth: int, name: str = "ab", leaf: bytes = b"deep") -> str:
    """`depth` folders in each other below `top`, and a file in the last one, whose path is told."""
    path = "/".join((name,) * depth) + "/leaf"
    with OpenTree(top) as below, below.create(path) as file:
        file.write(leaf)
    return path


def edit_while_packed(monkeypatch: pytest.MonkeyPatch, journal: Path, *, rounds: int) -> None:
    """Have somebody add a line to a file whenever its folder has just been packed, for so many times."""
    done = 0

    def edited(*args: Any, live: bool = False, **kwargs: Any) -> tarballs.Tarball:
        nonlocal done
        tarball = tarballs.pack_folder(*args, live=live, **kwargs)
        if live and done < rounds:
            done += 1
            with journal.open("a") as file:
                file.write("more\n")
        return tarball

    monkeypatch.setattr(packing, "pack_folder", edited)
