"""The workspace that a bottle left behind when it moved away gives way to what comes back, if nobody has touched it."""

from __future__ import annotations

import mmap
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bottle.store.state import BottleState
from migrate.contents.index import GRAIN, look
from migrate.contents.left import listing
from migrate.host.arguments import Nonce
from migrate.host.commands import Clear, Withdraw
from migrate.host.probe import probe
from migrate.model import WorkspacePlace
from tests.unit.migrate.conftest import IDENTITY, TOOLS
from tests.unit.migrate.host.conftest import Rig

GNU = pytest.mark.parametrize("tools", ["gnu"])


def leave(rig: Rig) -> None:
    """As a move that went away leaves it: the workspace, with what is hard to name, and the note of it."""
    rig.make(rig.goal, "old")
    for name in ("two words", "a\nline", "a\x0cpodman=yes", "\udcff\x01", "back\\slash", "tab\t", " "):
        (rig.goal / name).write_text("old")
    (rig.goal / "empty").mkdir()
    os.mkfifo(rig.goal / "fifo")
    os.link(rig.goal / "file", rig.goal / "hard")
    os.utime(rig.goal / "file", ns=(0, -1_500_000_000))
    time.sleep(2 * GRAIN / 10**9)
    rig.state.mkdir(parents=True)
    BottleState(IDENTITY, rig.state).note_workspace_left(listing(rig.goal, look(rig.goal)))
    (rig.state / "moved-to.json").write_text('{"moved_at": "2026-01-01T00:00:00"}')


def contents(folder: Path) -> dict[str, tuple[int, str]]:
    """What is in a folder: inodes, and what is written there."""
    return {
        str(each.relative_to(folder)): (each.lstat().st_ino, each.read_text() if each.is_file() else "")
        for each in folder.rglob("*")
    }


def place(rig: Rig) -> WorkspacePlace | None:
    return probe(rig.remote, IDENTITY, str(rig.goal)).workspace


def shim(rig: Rig, program: str, script: str) -> None:
    """Have `script` run instead of a program, whose path it knows as `$real`."""
    path = rig.programs / program
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\nreal={shutil.which(program)}\n{script}\n")
    path.chmod(0o755)


@GNU
def test_what_nobody_touched_gives_way(rig: Rig) -> None:
    leave(rig)
    assert probe(rig.remote, IDENTITY, "").left == str(rig.goal)
    assert place(rig) is WorkspacePlace.LEFT
    rig.stage("n1")
    reply = rig.register("n1")
    assert (reply.status, reply.out) == (0, b""), reply.err
    rig.require_placed("n1")
    rig.run(Clear(identity=IDENTITY))
    assert probe(rig.remote, IDENTITY, str(rig.goal)).left is None


@pytest.mark.parametrize("tools", TOOLS[1:])
def test_where_nobody_can_tell_it_stays(rig: Rig) -> None:
    leave(rig)
    before = contents(rig.goal)
    seen = probe(rig.remote, IDENTITY, str(rig.goal))
    assert (seen.workspace, seen.differs, seen.differing) == (WorkspacePlace.FULL, (), 0)
    rig.stage("n1")
    assert rig.register("n1").status == 28
    assert contents(rig.goal) == before


@GNU
def test_a_folder_that_nobody_may_rename_stays(rig: Rig) -> None:
    leave(rig)
    rig.goal.parent.chmod(0o555)
    try:
        assert place(rig) is WorkspacePlace.FULL
    finally:
        rig.goal.parent.chmod(0o755)


def _write_at_the_same_time(folder: Path) -> None:
    times = (folder / "mod/cached").stat()
    (folder / "mod/cached").chmod(0o644)
    (folder / "mod/cached").write_text("new")
    os.utime(folder / "mod/cached", ns=(times.st_atime_ns, times.st_mtime_ns))


def _write_through_a_mapping(folder: Path) -> None:
    with (folder / "two words").open("r+b") as file, mmap.mmap(file.fileno(), 3) as mapping:
        mapping[0:3] = b"new"


def _turn_the_link(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("/elsewhere")


def _swap(folder: Path) -> None:
    (folder / "file").rename(folder / "third")
    (folder / "two words").rename(folder / "file")
    (folder / "third").rename(folder / "two words")


CHANGES: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "written, with its time": (_write_at_the_same_time, ("mod/cached",)),
    "written through a mapping": (_write_through_a_mapping, ("two words",)),
    "added": (lambda folder: (folder / "new").write_text(""), ("new",)),
    "removed": (lambda folder: (folder / "a\nline").unlink(), ("aline",)),
    "written, of an odd name": (lambda folder: (folder / "a\x0cpodman=yes").write_text("new"), ("a podman=yes",)),
    "a folder added": (lambda folder: (folder / "empty" / "inner").mkdir(), ("empty", "empty/inner")),
    "a folder removed": (lambda folder: (folder / "empty").rmdir(), (".", "empty")),
    "renamed": (lambda folder: (folder / "file").rename(folder / "other"), ("file", "hard", "other")),
    "swapped": (_swap, ("file", "hard", "two words")),
    "rights": (lambda folder: (folder / "file").chmod(0o600), ("file", "hard")),
    "rights of the top": (lambda folder: folder.chmod(0o711), (".",)),
    "a link turned": (_turn_the_link, ("link",)),
}


@GNU
@pytest.mark.parametrize(("change", "names"), CHANGES.values(), ids=CHANGES)
def test_what_somebody_has_worked_in_stays_and_is_named(
    rig: Rig, change: Callable[[Path], object], names: tuple[str, ...]
) -> None:
    leave(rig)
    change(rig.goal)
    before = contents(rig.goal)
    seen = probe(rig.remote, IDENTITY, str(rig.goal))
    assert (seen.workspace, seen.differing) == (WorkspacePlace.FULL, len(names))
    assert (seen.differs, seen.podman) == (names, False)
    rig.stage("n1")
    reply = rig.register("n1")
    assert reply.status == 28, reply.err
    assert contents(rig.goal) == before
    assert rig.run(Withdraw(identity=IDENTITY, nonce=Nonce("n1"))).out == b"withdrawn\n"
    assert contents(rig.goal) == before
    assert [each.name for each in rig.goal.parent.iterdir()] == [rig.goal.name]


@GNU
def test_a_folder_of_another_name_or_of_a_bottle_that_is_here_stays(rig: Rig) -> None:
    leave(rig)
    other = rig.make(rig.goal.with_name("other"), "mine")
    assert probe(rig.remote, IDENTITY, str(other)).workspace is WorkspacePlace.FULL
    (rig.state / "moved-to.json").unlink()
    assert place(rig) is WorkspacePlace.FULL
    assert probe(rig.remote, IDENTITY, "").left is None


@GNU
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("again", [False, True], ids=["withdrawn", "again"])
def test_killed_at_any_rename_one_of_both_is_there_whole(rig: Rig, step: int, after: bool, again: bool) -> None:
    """The renames: what came beside its place, what was left aside, what came into place, two of state folders."""
    leave(rig)
    before = contents(rig.goal)
    rig.stage("n1")
    steps = rig.far / "steps"
    kill = "kill -9 $PPID"
    shim(
        rig,
        "mv",
        f'echo >>{steps}; [ "$(wc -l <{steps})" -eq {step} ] || exec "$real" "$@"\n'
        + (f'"$real" "$@"; {kill}' if after else kill),
    )
    assert rig.register("n1").status != 0
    (rig.programs / "mv").unlink()
    time.sleep(1.1)
    arrived = step == 5 and after
    if again:
        rig.register("n1")
        if not arrived:
            assert place(rig) in {WorkspacePlace.FULL, WorkspacePlace.OURS}
        rig.require_placed("n1")
        return
    answer = rig.run(Withdraw(identity=IDENTITY, nonce=Nonce("n1"))).out
    assert answer == (b"arrived\n" if arrived else b"withdrawn\n")
    if arrived:
        rig.require_placed("n1")
    else:
        assert contents(rig.goal) == before
        assert [each.name for each in rig.goal.parent.iterdir()] == [rig.goal.name]
        assert place(rig) is WorkspacePlace.LEFT


@GNU
def test_what_is_written_while_it_is_moved_aside_ends_the_move(rig: Rig) -> None:
    leave(rig)
    rig.stage("n1")
    shim(rig, "mv", f'case $2 in */.bottle-left-*) echo new >>{rig.goal}/file ;; esac; exec "$real" "$@"')
    reply = rig.register("n1")
    assert reply.status == 28, reply.err
    assert (rig.goal / "file").read_text() == "oldnew\n"
    assert not rig.goal.with_name(f".bottle-left-{IDENTITY}").exists()


@GNU
def test_what_is_written_there_to_the_last_is_kept(rig: Rig) -> None:
    """By a program that had been in that folder before: it has no name any more by which another could find it."""
    leave(rig)
    rig.stage("n1")
    left, kept = rig.goal.with_name(f".bottle-left-{IDENTITY}"), rig.goal.with_name(f"goal.before-{IDENTITY}")
    shim(rig, "mv", f'case $2 in */state/{IDENTITY}) echo new >>{left}/file ;; esac; exec "$real" "$@"')
    reply = rig.register("n1")
    assert (reply.status, reply.out) == (0, f"kept={kept}\n".encode()), reply.err
    assert (kept / "file").read_text() == "oldnew\n"
    shutil.move(kept, rig.far / "kept")
    rig.require_placed("n1")
    rig.run(Clear(identity=IDENTITY))


@GNU
def test_a_placed_workspace_that_somebody_worked_in_keeps_its_place_and_the_one_before_is_beside_it(rig: Rig) -> None:
    leave(rig)
    rig.cut_after_placing("n1")
    (rig.goal / "theirs").write_text("x")
    beside = rig.goal.with_name(f"goal.before-{IDENTITY}")
    beside.mkdir()  # of an earlier time
    said = rig.run(Withdraw(identity=IDENTITY, nonce=Nonce("n1"))).out
    assert said == f"withdrawn\nkept={beside}-2\n".encode()
    assert (rig.goal / "theirs").read_text() == "x"
    assert (beside.with_name(f"{beside.name}-2") / "file").read_text() == "old"


@GNU
def test_what_a_program_has_open_is_kept(rig: Rig) -> None:
    leave(rig)
    rig.stage("n1")
    with (rig.goal / "two words").open("a") as file:
        reply = rig.register("n1")
        file.write("later")
    kept = rig.goal.with_name(f"goal.before-{IDENTITY}")
    assert (reply.status, reply.out) == (0, f"kept={kept}\n".encode()), reply.err
    assert (kept / "two words").read_text() == "oldlater"


@GNU
def test_what_cannot_be_deleted_is_said_and_nobody_is_said_to_work_there(rig: Rig) -> None:
    leave(rig)
    rig.stage("n1")
    shim(rig, "rm", 'case $2 in *.old) "$real" "$2/file"; exit 1 ;; *) exec "$real" "$@" ;; esac')
    reply = rig.register("n1")
    old = rig.near.with_name(f"{rig.near.name}.old")
    assert (reply.status, reply.out) == (0, f"rest={old}\n".encode()), reply.err
    assert (old / "two words").exists()


@GNU
def test_what_an_earlier_time_could_not_delete_hides_nothing(rig: Rig) -> None:
    leave(rig)
    rig.stage("n1")
    old = rig.near.with_name(f"{rig.near.name}.old")
    old.mkdir()
    kept = rig.goal.with_name(f"goal.before-{IDENTITY}")
    reply = rig.register("n1")
    assert (reply.status, reply.out) == (0, f"kept={kept}\n".encode()), reply.err
    assert (kept / "two words").read_text() == "old"
    assert not old.exists()


@GNU
def test_who_else_works_there_is_told(rig: Rig) -> None:
    leave(rig)
    spelling = rig.far / "spelling"
    spelling.symlink_to(rig.goal.parent)
    mounts = {
        "whole": str(rig.goal), "inner,other/alias": f"volume,{rig.goal}/mod", "around": str(rig.goal.parent),
        "beside": f"{rig.goal}-other", "volume": "goal",
    }  # fmt: skip
    listed = "\n".join(f"{name}|{mount}" for name, mount in mounts.items())
    asked = f"case \"$*\" in version*) echo amd64 ;; *Mounts*) echo '{listed}' ;; esac"
    (rig.programs / "docker").write_text(f"#!/bin/sh\n{asked}\n")
    for name, more in (("owner-00000", ""), ("moved-00000", "moved-to.json")):
        folder = rig.state.with_name(name)
        folder.mkdir()
        (folder / "metadata.json").write_text(f'{{"cwd": "{rig.goal}"}}')
        if more:
            (folder / more).write_text("{}")
    assert probe(rig.remote, IDENTITY, str(rig.goal)).used == ("whole", "inner", "around", "owner-00000")
    assert probe(rig.remote, IDENTITY, "").used == ()
