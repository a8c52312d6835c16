"""Bottles that share a workspace: it travels once, with the first of them, and the others join it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from bottle.cli.moved import plan_lines
from bottle.cli.movewords import SENDING
from bottle.errors import Conflict
from bottle.model import MigrationPhase
from bottle.moveoptions import MoveOptions
from bottle.operations import StartRequest, plan_start, start
from bottle.operations.stop import stop
from bottle.store.home import StateHome
from bottle.store.state import WORKSPACE_LEFT
from migrate.host.destination import Destination
from migrate.model import RemoteCommand, Reply
from migrate.move.execute import move, plan
from migrate.move.handoff import settle_handoff
from migrate.move.model import Moved
from tests.support.moving import MoveRig as Rig
from tests.support.world import AGENT, Killed

LARGE = 400_000  # bytes of a workspace that cannot be compressed


class Pair:
    """Two bottles of a workspace, the first of which has gone ahead with it."""

    def __init__(self, rig: Rig, within: str = ".") -> None:
        self.rig, self.context, self.here = rig, rig.world.context, rig.world.cwd
        (self.here / "sub").mkdir()
        (self.here / "sub" / "file").write_text("of both")
        (self.here / "large").write_bytes(os.urandom(LARGE))
        request = StartRequest(agent=AGENT, cwd=(self.here / within).resolve(), tty=False)
        self.second = self.context.home.bottle(start(self.context, plan_start(self.context, request)).identity)
        for bottle in (rig.bottle, self.second):
            stop(self.context, bottle)
        self.first = rig.move()
        self.there = Path(str(self.first.account.workspace))

    def move(self) -> Moved:
        return move(self.context, self.second, self.rig.remote, MoveOptions())

    @property
    def works_at(self) -> Path | None:
        """Where the second one works there."""
        return StateHome(self.rig.far / ".bottle").bottle(self.second.identity).metadata().cwd

    def refused(self) -> str:
        """Why the second one cannot go; it is here as it was, and so is the workspace there."""
        with pytest.raises(Conflict) as caught:
            self.move()
        assert self.second.tombstone.read() is None
        assert self.second.identity not in self.rig.there
        return caught.value.what


def test_the_second_one_joins_the_workspace_and_nothing_of_it_is_sent_again(rig: Rig) -> None:
    pair = Pair(rig)
    decided = plan(pair.context, pair.second, rig.remote, MoveOptions())
    assert (decided.workspace, decided.joins, decided.lands) == (str(pair.there), rig.bottle.identity, None)
    assert f"with {rig.bottle.identity}: it is there already" in "\n".join(plan_lines(decided, SENDING))
    moved = pair.move()
    assert moved.account.workspace == str(pair.there)
    assert pair.works_at == pair.there
    assert moved.account.staged < LARGE < pair.first.account.staged
    assert (pair.there / "sub" / "file").read_text() == "of both"
    tombstone = pair.second.tombstone.read()
    assert tombstone is not None
    assert tombstone.arrived is not None
    assert tombstone.arrived.workspace == pair.here
    left = [(bottle.path / WORKSPACE_LEFT).read_bytes() for bottle in (rig.bottle, pair.second)]
    assert left[0] == left[1]


def test_what_the_first_one_has_done_there_since_stays(rig: Rig) -> None:
    pair = Pair(rig)
    (pair.there / "sub" / "file").write_text("of the first one, there")
    pair.move()
    assert (pair.there / "sub" / "file").read_text() == "of the first one, there"


def test_one_that_works_in_a_folder_of_it_joins_that(rig: Rig) -> None:
    pair = Pair(rig, "sub")
    pair.move()
    assert pair.works_at == pair.there / "sub"
    assert not (pair.second.path / WORKSPACE_LEFT).exists()


def test_where_somebody_has_worked_here_since_it_stays_and_says_so(rig: Rig) -> None:
    pair = Pair(rig)
    (pair.here / "sub" / "file").write_text("newer")
    said = pair.refused()
    assert f"{rig.bottle.identity} brought it there, and somebody has worked in it here since: sub/file" in said


def test_where_it_is_not_known_what_travelled_it_stays(rig: Rig) -> None:
    pair = Pair(rig)
    rig.bottle.note_workspace_left(None)
    assert "whether it is still as it was here was not noted" in pair.refused()


@pytest.mark.parametrize("gone", ["moved on", "deleted", "elsewhere", "no folder"])
def test_where_the_first_one_does_not_work_there_it_stays(rig: Rig, gone: str) -> None:
    pair = Pair(rig)
    state = rig.far / ".bottle" / "state" / str(rig.bottle.identity)
    match gone:
        case "moved on":
            (state / "moved-to.json").write_text("{}")
        case "deleted":
            shutil.rmtree(state)
        case "elsewhere":
            metadata = state / "metadata.json"
            metadata.write_text(metadata.read_text().replace(str(pair.there), "/elsewhere"))
        case _:
            shutil.rmtree(pair.there)
    assert "does not work there any more" in pair.refused()


def test_one_that_is_said_to_land_elsewhere_takes_a_workspace_of_its_own(rig: Rig) -> None:
    pair = Pair(rig)
    moved = move(pair.context, pair.second, rig.remote, MoveOptions(workspace=rig.far / "own"))
    assert pair.works_at == rig.far / "own"
    assert moved.account.staged > LARGE
    assert (rig.far / "own" / "sub" / "file").read_text() == "of both"


def test_an_edit_before_the_hand_over_keeps_it_here(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    pair, unpack = Pair(rig), Destination.unpack

    def edited(*args: Any) -> None:
        unpack(*args)
        (pair.here / "sub" / "file").write_text("while it travelled")

    monkeypatch.setattr(Destination, "unpack", edited)
    said = pair.refused()
    assert "no longer the one" in said
    assert "sub/file" in said


def test_an_edit_in_the_moment_of_the_hand_over_is_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    pair, register = Pair(rig), Destination.register

    def edited(*args: Any) -> None:
        register(*args)
        (pair.here / "sub" / "file").write_text("in that moment")

    monkeypatch.setattr(Destination, "register", edited)
    assert pair.move().account.edited == ("sub/file",)


@pytest.mark.parametrize("arrives", [False, True])
def test_a_hand_over_that_is_cut_takes_no_workspace_away(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, arrives: bool
) -> None:
    pair, run = Pair(rig), rig.remote.run

    def mortal(command: RemoteCommand, *args: Any, **kwargs: Any) -> Reply:
        if command.name != "register":
            return run(command, *args, **kwargs)
        if arrives:
            run(command, *args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(rig.remote, "run", mortal)
        with pytest.raises(Killed):
            pair.move()
    record = pair.second.migration.read()
    assert record is not None
    assert record.phase is MigrationPhase.HANDING_OFF
    assert settle_handoff(pair.context, pair.second, record, rig.remote) is arrives
    assert (pair.there / "sub" / "file").read_text() == "of both"
    pair.move()
    assert pair.works_at == pair.there
    assert rig.bottle.identity in rig.there
    assert (pair.there / "sub" / "file").read_text() == "of both"
