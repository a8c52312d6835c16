"""What a bottle notes of the workspace that it leaves behind."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bottle.store.state import WORKSPACE_LEFT
from migrate.contents.index import Index, look
from migrate.contents.left import listing
from migrate.move import handoff
from tests.support.git import repository, worktree
from tests.support.moving import MoveRig as Rig


def test_a_move_notes_the_workspace_as_it_travelled(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    (rig.world.cwd / "file").write_text("before")
    register = handoff.Destination.register

    def edited(*args: object) -> None:
        (rig.world.cwd / "file").write_text("in the moment of the hand-over")
        register(*args)  # type: ignore[arg-type]

    expected = listing(rig.world.cwd, look(rig.world.cwd))
    monkeypatch.setattr(handoff.Destination, "register", edited)
    moved = rig.move()
    assert moved.account.edited == ("file",)
    assert (rig.bottle.path / WORKSPACE_LEFT).read_bytes() == expected != listing(rig.world.cwd, look(rig.world.cwd))


def test_a_copy_leaves_nothing_behind(rig: Rig) -> None:
    rig.move(keep=True)
    assert not (rig.bottle.path / WORKSPACE_LEFT).exists()


def test_a_worktree_is_no_place_for_the_repository_that_comes_back(rig: Rig, tmp_path: Path) -> None:
    worktree(repository(tmp_path / "main"), rig.world.cwd / "try")
    rig.bottle.note_workspace_left(b"of an earlier move that was cut")
    assert rig.move().account.carried
    assert not (rig.bottle.path / WORKSPACE_LEFT).exists()


def test_what_cannot_be_deleted_whole_is_not_noted(tmp_path: Path) -> None:
    seen = look(tmp_path)
    assert listing(tmp_path / "a\nline", seen) is None
    mounted = replace(seen.entries["."], device=seen.entries["."].device + 1)
    assert listing(tmp_path, replace(seen, entries={**seen.entries, "mounted": mounted})) is None


def test_a_listing_is_sorted_and_a_line_for_each_path(tmp_path: Path) -> None:
    for name in (b"b", b"a\nx", b"\xff"):
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).touch()
    seen: Index = look(tmp_path)
    lines = (listing(tmp_path, seen) or b"").removesuffix(b"\n").split(b"\n")
    assert lines[0] == bytes(tmp_path)
    assert lines[1:] == sorted(lines[1:])
    assert {line.split(b" ")[6] for line in lines[1:]} == {b"", b"b", b"a\x01x", b"\xff"}
