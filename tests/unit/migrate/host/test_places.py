"""What runs that were cut left in the places of a move, on a host whose user is not root: nothing of it is in the way.

Nor is anything taken for left over that somebody has worked in.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from migrate.host.arguments import Nonce
from migrate.host.commands import Clear, Withdraw
from migrate.host.probe import probe
from migrate.model import WorkspacePlace
from tests.unit.migrate.conftest import IDENTITY, TOOLS
from tests.unit.migrate.host.conftest import Rig


@pytest.mark.parametrize("tools", TOOLS)
@pytest.mark.parametrize("elsewhere", [False, True], ids=["one filesystem", "another filesystem"])
@pytest.mark.parametrize("left", ["near", "part"])
def test_what_lies_beside_the_goal_gives_way(rig: Rig, left: str, elsewhere: bool) -> None:
    rig.make(rig.near if left == "near" else rig.near.with_name(f"{rig.near.name}.part"), "old")
    if elsewhere:
        (rig.programs / "ln").unlink(missing_ok=True)
        (rig.programs / "ln").write_text("#!/bin/sh\nexit 1\n")
        (rig.programs / "ln").chmod(0o755)
    rig.stage("n1")
    reply = rig.register("n1")
    assert reply.status == 0, reply.err
    if left == "part" and not elsewhere:  # prune takes it, by the note in the staging area
        rig.run(Clear(identity=IDENTITY))
        shutil.rmtree(rig.near.with_name(f"{rig.near.name}.part"))
    rig.require_placed("n1")


@pytest.mark.parametrize("tools", TOOLS)
def test_a_workspace_that_was_placed_gives_way(rig: Rig) -> None:
    rig.cut_after_placing("n1")
    rig.stage("n2")
    reply = rig.register("n2")
    assert reply.status == 0, reply.err
    rig.require_placed("n2")


@pytest.mark.parametrize("tools", TOOLS)
def test_what_cannot_be_taken_away_ends_the_move_and_gets_nothing_put_into_it(rig: Rig) -> None:
    rig.make(rig.near, "old")
    (rig.programs / "rm").unlink(missing_ok=True)
    (rig.programs / "rm").write_text(
        '#!/bin/sh\ncase $2 in *incoming-*) echo "Device or resource busy" >&2; exit 1 ;; esac\n'
        f'exec {shutil.which("rm")} "$@"\n'
    )
    (rig.programs / "rm").chmod(0o755)
    rig.stage("n1")
    reply = rig.register("n1")
    assert (reply.status, rig.goal.exists(), rig.state.exists()) == (21, False, False)
    assert "busy" in reply.err
    assert reply.err.endswith(f"cannot take {rig.near} away")
    assert (rig.near / "file").read_text() == "old"


@pytest.mark.parametrize("tools", TOOLS)
def test_a_workspace_that_nobody_may_write_in_is_placed(rig: Rig) -> None:
    rig.stage("n1")
    (rig.incoming / "workspace-n1").chmod(0o555)
    reply = rig.register("n1")
    assert reply.status == 0, reply.err
    rig.require_placed("n1")
    assert rig.goal.stat().st_mode & 0o777 == 0o555


@pytest.mark.parametrize("tools", TOOLS)
def test_staging_is_cleared_and_links_in_it_lead_nowhere(rig: Rig) -> None:
    kept = rig.far / "kept"
    kept.mkdir(0o555)
    rig.stage("n1")
    (rig.incoming / "workspace-n1" / "out").symlink_to(kept)
    assert rig.run(Clear(identity=IDENTITY)).status == 0
    assert not rig.incoming.exists()
    assert kept.stat().st_mode & 0o777 == 0o555


# --- a workspace that was placed by a move that did not arrive --------------------------------------------------------


@pytest.mark.parametrize("tools", TOOLS)
def test_what_is_withdrawn_leaves_no_workspace_in_its_place(rig: Rig) -> None:
    rig.cut_after_placing("n1")
    assert rig.run(Withdraw(identity=IDENTITY, nonce=Nonce("n1"))).out == b"withdrawn\n"
    assert list(rig.goal.parent.iterdir()) == []
    assert probe(rig.remote, IDENTITY, str(rig.goal)).workspace is WorkspacePlace.FREE


def edit(folder: Path) -> None:
    (folder / "file").write_text("theirs")


def edit_as_before(folder: Path) -> None:
    """As `rsync -a` or `tar -x` does: the times of what was written are older than the move."""
    times = (folder / "file").stat()
    (folder / "file").write_text("theirs")
    os.utime(folder / "file", ns=(times.st_atime_ns, times.st_mtime_ns))


def add_as_before(folder: Path) -> None:
    times = folder.stat()
    (folder / "sub").mkdir()
    (folder / "sub" / "file").write_text("theirs")
    for path in (folder / "sub" / "file", folder / "sub", folder):
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("tools", TOOLS)
@pytest.mark.parametrize("deed", [edit, edit_as_before, add_as_before, lambda folder: (folder / "file").unlink()])
def test_what_somebody_did_in_a_workspace_that_was_placed_is_theirs(rig: Rig, deed: object) -> None:
    rig.cut_after_placing("n1")
    assert probe(rig.remote, IDENTITY, str(rig.goal)).workspace is WorkspacePlace.OURS
    deed(rig.goal)  # type: ignore[operator]
    theirs = {str(each): each.lstat().st_ino for each in rig.goal.rglob("*")}
    assert probe(rig.remote, IDENTITY, str(rig.goal)).workspace is WorkspacePlace.FULL
    rig.stage("n2")
    reply = rig.register("n2")
    assert reply.status == 28
    assert "worked there since" in reply.err
    assert rig.run(Withdraw(identity=IDENTITY, nonce=Nonce("n2"))).out == b"withdrawn\n"
    assert {str(each): each.lstat().st_ino for each in rig.goal.rglob("*")} == theirs
    assert not rig.near.exists()


@pytest.mark.parametrize("tools", ["gnu"])
def test_what_has_arrived_keeps_its_workspace_whatever_is_withdrawn(rig: Rig) -> None:
    rig.stage("n1")
    assert rig.register("n1").status == 0
    notes = [rig.incoming / name for name in ("placed", "landing")]
    assert not any(note.exists() for note in notes)
    # As after a cut right behind the last rename, and where an earlier version cleared nothing.
    notes[0].write_text(f"{rig.goal.stat().st_ino} {rig.goal}\n")
    notes[1].write_text(str(rig.goal))
    assert rig.run(Withdraw(identity=IDENTITY, nonce=Nonce("n2"))).out == b"withdrawn\n"
    rig.require_placed("n1")
    assert rig.run(Withdraw(identity=IDENTITY, nonce=Nonce("n1"))).out == b"arrived\n"
    assert not any(note.exists() for note in notes)
