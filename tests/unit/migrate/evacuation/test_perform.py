"""Evacuations of a world with an engine in memory, to a far host whose scripts are the real ones."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bottle.errors import Conflict, PreflightRefused
from bottle.model import MigrationPhase, MigrationRecord, Status, Tombstone
from bottle.moveoptions import MoveOptions
from bottle.operations import StartRequest, plan_start, start
from bottle.operations.stop import stop
from bottle.store.home import StateHome
from bottle.store.state import BottleState
from migrate.evacuation import perform
from migrate.evacuation.model import EvacuationPlan, Outcome, Result
from migrate.evacuation.observe import observe_all
from migrate.evacuation.perform import evacuate
from migrate.evacuation.plan import plan_evacuation
from migrate.evacuation.workers import Worker
from migrate.host.destination import Destination, ResumedThere
from migrate.model import RemoteCommand, Reply
from migrate.move import facts, image
from migrate.move.plan import workspace_path
from migrate.transport.testing import LocalRemote
from tests.support.git import repository, worktree
from tests.support.moving import DOCKER
from tests.support.world import AGENT, Killed, World

LARGE = 300_000


class Rig:
    """Bottles here, and a host there, where each workspace lands below another root: both share a filesystem."""

    def __init__(self, tmp_path: Path, far: Path, remote: LocalRemote) -> None:
        self.world = World(tmp_path / "here")
        self.far, self.remote = far, remote
        self.outcomes: list[Outcome] = []
        self.resumed: list[str] = []

    def start(self, folder: str) -> BottleState:
        cwd = self.world.cwd / folder
        if not cwd.exists():
            cwd.mkdir(parents=True)
            (cwd / "name").write_text(folder)
            (cwd / "large").write_bytes(os.urandom(LARGE))
        request = StartRequest(agent=AGENT, cwd=cwd, tty=False)
        return self.world.home.bottle(start(self.world.context, plan_start(self.world.context, request)).identity)

    def stopped(self, folder: str) -> BottleState:
        bottle = self.start(folder)
        stop(self.world.context, bottle)
        return bottle

    def plan(self, **asked: Any) -> EvacuationPlan:
        states = [self.world.home.bottle(each) for each in self.world.home.identities()]
        found = observe_all(self.world.context, states, self.remote, MoveOptions(**asked), lambda _: ())
        return plan_evacuation(found, self.remote.name)

    def evacuate(self, *, jobs: int = 1, **asked: Any) -> dict[str, Result]:
        plan, workers = self.plan(**asked), [Worker(context=self.world.context, remote=self.remote)] * jobs
        self.outcomes = []
        evacuate(
            plan, workers, MoveOptions(**asked), self.outcomes.append, carry=lambda _: (),
            interrupted=lambda exc: isinstance(exc.__context__, KeyboardInterrupt),
        )  # fmt: skip
        return self.results

    @property
    def results(self) -> dict[str, Result]:
        found = {str(each.identity): each.result for each in self.outcomes}
        assert len(found) == len(self.outcomes)
        return found

    def why(self, bottle: BottleState) -> Any:
        return next(each.error for each in self.outcomes if each.identity == bottle.identity)

    def cwd_there(self, bottle: BottleState) -> Path | None:
        return StateHome(self.far / ".bottle").bottle(bottle.identity).metadata().cwd

    def dying(self, when: str, number: int, patch: pytest.MonkeyPatch) -> None:
        """The process dies after the script `when` has run there for the `number`th time, before that is heard."""
        run, seen = self.remote.run, list[str]()

        def mortal(command: RemoteCommand, *args: Any, **kwargs: Any) -> Reply:
            reply = run(command, *args, **kwargs)
            seen.append(command.name)
            if command.name == when and seen.count(when) == number:
                raise Killed(when)
            return reply

        patch.setattr(self.remote, "run", mortal)


@pytest.fixture
def rig(tmp_path: Path, far: Path, programs: Path, remote: LocalRemote, monkeypatch: pytest.MonkeyPatch) -> Rig:
    (programs / "docker").write_text(
        DOCKER.format(info='{"ServerVersion": "26.1.0", "Architecture": "a", "DockerRootDir": "/", "ID": "theirs"}')
    )
    (programs / "bottle").write_text("#!/bin/sh\necho 1\n")
    (programs / "bottle").chmod(0o755)
    made = Rig(tmp_path, far, remote)

    def elsewhere(*args: Any) -> str | None:
        found = workspace_path(*args)
        return str(far / "at" / Path(found).relative_to(made.world.cwd)) if found is not None else None

    def resume(there: Destination) -> ResumedThere:
        made.resumed.append(str(there.identity))
        return ResumedThere(said="it runs", running=0.0)

    monkeypatch.setattr(image, "measure_link", lambda *_: 1e9)
    monkeypatch.setattr(facts, "workspace_path", elsewhere)
    monkeypatch.setattr(Destination, "verify_image", lambda *_, **__: None)
    monkeypatch.setattr(Destination, "resume", resume)
    return made


def test_a_shared_workspace_travels_once_and_all_are_stopped_before(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    sharing, other = [rig.start("shared") for _ in range(3)], rig.start("other")
    move, seen = perform.move, list[set[Status | None]]()

    def watched(*args: Any) -> Any:
        if args[1].identity != other.identity:
            seen.append({rig.world.status(each) for each in sharing})
        return move(*args)

    monkeypatch.setattr(perform, "move", watched)
    assert set(rig.evacuate().values()) == {Result.WENT}
    assert seen == [{Status.EXITED}] * 3
    assert {rig.cwd_there(each) for each in sharing} == {rig.far / "at" / "shared"}
    moves = {each.identity: each.moved for each in rig.outcomes}
    staged = [moved.account.staged for each in sharing if (moved := moves[each.identity]) is not None]
    assert sorted(amount > LARGE for amount in staged) == [False, False, True]
    assert rig.resumed == []


def test_a_second_run_finds_that_they_went(rig: Rig) -> None:
    rig.start("a")
    rig.evacuate()
    assert set(rig.evacuate().values()) == {Result.WENT_BEFORE}
    assert [each.place for each in rig.outcomes] == [str(rig.far / "at" / "a")]


def test_one_that_cannot_go_keeps_no_other_here(rig: Rig) -> None:
    bad, good = rig.stopped("bad"), rig.start("good")
    (rig.far / "at" / "bad").mkdir(parents=True)
    (rig.far / "at" / "bad" / "theirs").touch()
    assert rig.evacuate() == {str(bad.identity): Result.STAYS, str(good.identity): Result.WENT}
    assert isinstance(rig.why(bad), Conflict)
    assert bad.tombstone.read() is None


@pytest.mark.parametrize("asked", [{"resume": True}, {"live": True}], ids=["resume", "live"])
def test_what_ran_here_is_started_there_and_nothing_else(rig: Rig, asked: dict[str, Any]) -> None:
    runs, shares = rig.start("a"), [rig.start("shared"), rig.stopped("shared")]
    rig.stopped("b")
    assert set(rig.evacuate(**asked).values()) == {Result.WENT}
    assert set(rig.resumed) == {str(runs.identity), str(shares[0].identity)}


@pytest.mark.parametrize("script", ["staged", "verify", "register"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_cut_anywhere_it_goes_on_and_starts_there_what_ran_here(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, script: str, number: int
) -> None:
    sharing, other = [rig.start("shared"), rig.stopped("shared"), rig.start("shared")], rig.start("other")
    for _ in range(2):
        with monkeypatch.context() as patch:
            rig.dying(script, number, patch)
            with suppress(Killed):  # in the second run there may be less to do than that
                rig.evacuate(resume=True)
    rig.evacuate(resume=True)
    assert set(rig.results.values()) <= {Result.WENT, Result.WENT_BEFORE}
    assert {rig.cwd_there(each) for each in sharing} == {rig.far / "at" / "shared"}
    assert set(rig.resumed) == {str(each.identity) for each in (sharing[0], sharing[2], other)}
    assert not list((rig.far / ".bottle").glob("incoming/*"))
    assert (rig.far / "at" / "shared" / "name").read_text() == "shared"


def test_one_that_was_handed_over_when_it_was_cut_is_asked_about_first(rig: Rig) -> None:
    bottle = rig.stopped("a")
    record = MigrationRecord(
        phase=MigrationPhase.HANDING_OFF, host=rig.remote.name, nonce="a" * 32, commit=1,
        started_at=rig.world.context.now(), arrives_as=bottle.identity,
    )  # fmt: skip
    bottle.migration.write(record)
    ((candidate,),) = rig.plan().groups
    assert (candidate.begun, candidate.decided) == (True, None)
    assert rig.evacuate() == {str(bottle.identity): Result.WENT}

    elsewhere = rig.stopped("b")
    elsewhere.migration.write(replace(record, host="another", arrives_as=elsewhere.identity))
    assert rig.evacuate()[str(elsewhere.identity)] is Result.STAYS
    assert "cut while it was handed over" in rig.why(elsewhere).what


def test_one_of_a_group_that_fails_says_that_it_was_stopped(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    sharing = [rig.start("shared"), rig.start("shared")]
    bad = max(sharing, key=lambda each: each.identity)
    move = perform.move

    def refusing(*args: Any) -> Any:
        if args[1].identity == bad.identity:
            raise PreflightRefused("no room", left="nothing was changed", next_step="free space")
        return move(*args)

    monkeypatch.setattr(perform, "move", refusing)
    assert rig.evacuate()[str(bad.identity)] is Result.STAYS
    error = rig.why(bad)
    assert "was stopped to leave with others" in error.left
    assert f"its workspace is here, and since {min(each.identity for each in sharing)} left, at" in error.left
    assert error.next_step == f"free space; or to stay on this host: bottle resume {bad.identity}"
    assert (rig.world.cwd / "shared" / "name").read_text() == "shared"


def test_those_that_share_what_went_before_are_stopped_together_too(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.stopped("shared")
    rig.evacuate()
    others = [rig.start("shared"), rig.start("shared")]
    move, seen = perform.move, list[set[Status | None]]()

    def watched(*args: Any) -> Any:
        seen.append({rig.world.status(each) for each in others})
        return move(*args)

    monkeypatch.setattr(perform, "move", watched)
    results = rig.evacuate(live=True)
    assert [results[str(each.identity)] for each in others] == [Result.WENT] * 2
    assert seen == [{Status.EXITED}] * 2
    assert {rig.cwd_there(each) for each in others} == {rig.far / "at" / "shared"}
    assert set(rig.resumed) == {str(each.identity) for each in others}


def test_those_that_could_not_join_a_worktree_are_told_before_they_are_stopped(rig: Rig, tmp_path: Path) -> None:
    sharing = sorted((rig.start("shared"), rig.start("shared")), key=lambda each: each.identity)
    worktree(repository(tmp_path / "main"), rig.world.cwd / "shared" / "try")
    assert rig.evacuate() == {str(sharing[1].identity): Result.STAYS, str(sharing[0].identity): Result.WENT}
    assert "no other bottle can join it there" in rig.why(sharing[1]).what
    assert rig.world.status(sharing[1]) is Status.RUNNING


def test_one_that_is_locked_stays_and_the_others_of_its_workspace_go(rig: Rig) -> None:
    locked, free = sorted((rig.start("shared"), rig.start("shared")), key=lambda each: each.identity)
    plan = rig.plan()
    workers = [Worker(context=rig.world.context, remote=rig.remote)]
    with locked.locked("bottle exec"):
        evacuate(
            plan, workers, MoveOptions(), rig.outcomes.append, carry=lambda _: (), interrupted=lambda _: False
        )  # fmt: skip
    assert rig.results == {str(locked.identity): Result.STAYS, str(free.identity): Result.WENT}
    assert rig.world.status(locked) is Status.RUNNING


def test_an_interruption_tells_of_each_where_it_is(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    bottles = sorted((rig.stopped(name) for name in "abc"), key=lambda each: each.identity)
    move, calls = perform.move, list[str]()

    def interrupted(*args: Any) -> Any:
        calls.append(str(args[1].identity))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return move(*args)

    monkeypatch.setattr(perform, "move", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rig.evacuate()
    results = rig.results
    assert [results[each] for each in calls] == [Result.WENT, Result.STAYS]
    assert sorted(results) == [str(each.identity) for each in bottles]
    assert list(results.values()).count(Result.STAYS) == 2


def test_several_at_once(rig: Rig) -> None:
    for number in range(5):
        rig.stopped(f"{number % 4}")
    assert list(rig.evacuate(jobs=3).values()) == [Result.WENT] * 5


@pytest.mark.parametrize(("starts", "unfinished", "asked", "expected"), [
    (True, False, {"resume": True}, True), (True, False, {}, False), (False, True, {"resume": True}, False),
])  # fmt: skip
def test_what_went_is_finished(rig: Rig, starts: bool, unfinished: bool, asked: dict[str, Any], expected: bool) -> None:
    bottle = rig.stopped("a")
    rig.evacuate()
    tombstone = bottle.tombstone.read()
    assert isinstance(tombstone, Tombstone)
    bottle.tombstone.write(replace(tombstone, starts=starts))
    left = rig.world.home.path / "outgoing" / str(bottle.identity)
    if unfinished:
        left.mkdir(parents=True)
    assert rig.evacuate(**asked) == {str(bottle.identity): Result.WENT_BEFORE}
    assert rig.resumed == ([str(bottle.identity)] if expected else [])
    assert not left.exists()
    after = bottle.tombstone.read()
    assert after is not None
    assert after.starts is (starts and not expected)
