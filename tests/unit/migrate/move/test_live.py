"""A move in rounds while the agent works, on a far host that takes everything and proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from bottle.cli.moved import moved_document, moved_lines, plan_lines
from bottle.cli.movewords import SENDING
from bottle.errors import (
    BottleError,
    Conflict,
    ConnectionLost,
    EngineError,
    PreflightRefused,
    RemoteError,
    VerificationFailed,
)
from bottle.model import CommitRecord, MigrationPhase, Mount, MountKind, Status
from bottle.naming import Identity
from bottle.operations.stop import stop
from bottle.store.home import StateHome
from migrate.host.destination import Destination
from migrate.host.probe import probe
from migrate.model import RemoteCommand, Reply
from migrate.move import facts, live
from migrate.move.model import Round
from migrate.move.rounds import downtime, is_last, require_short
from tests.support.moving import MoveRig
from tests.support.world import Killed

KEY = b"key = gh" + b"p_" + b"aZ3bY4cX5dW6eV7fU2gT" + b"aZ3bY4cX5dW6eV7f"
BOTTLE = "#!/bin/sh\n[ $1 = --version ] && echo bottle 1.0 || echo it runs\n"
IDENTITY = Identity.parse("demo-abcde")
ROUNDS = st.lists(
    st.builds(Round, commit=st.just(1), staged=st.integers(0, 1 << 30), seconds=st.floats(0.01, 1000)), min_size=1
)


@pytest.fixture
def rig(rig: MoveRig) -> MoveRig:
    """The bottle runs, and bottle is installed there."""
    rig.program("bottle", BOTTLE)
    return rig


def while_it_travels(rig: MoveRig, monkeypatch: pytest.MonkeyPatch, script: str, act: Callable[[int], None]) -> None:
    """Whenever `script` has run there, do something; it is told how often that was."""
    run, times = rig.remote.run, 0

    def meddled(command: RemoteCommand, *args: Any, **kwargs: Any) -> Reply:
        nonlocal times
        reply = run(command, *args, **kwargs)
        if command.name == script:
            times += 1
            act(times)
        return reply

    monkeypatch.setattr(rig.remote, "run", meddled)


def fail_to_verify(monkeypatch: pytest.MonkeyPatch, when: int, error: BaseException) -> None:
    """From the image numbered `when` on none proves itself."""
    seen: list[str] = []

    def verify(_: Destination, commit: CommitRecord, tag: str, **__: object) -> None:
        seen.append(tag)
        if len(seen) >= when:
            raise error

    monkeypatch.setattr(Destination, "verify_image", verify)


# --- what moves -------------------------------------------------------------------------------------------------------


def test_what_is_done_while_it_travels_goes_along_and_the_agent_goes_on_there(
    rig: MoveRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, bottle = rig.world, rig.bottle
    seen: list[Status | None] = []
    brought: list[int] = []
    (world.cwd / "early").write_text("1")

    def work(times: int) -> None:
        seen.append(world.status(bottle))
        if seen[-1] is Status.RUNNING:
            world.work(bottle, "/work.txt", f"{times}".encode())
            (world.cwd / f"later-{times}").write_text("2")
        brought.append(len(list((rig.far / ".bottle" / "incoming").glob("*/workspace-*/later-*"))))

    monkeypatch.setattr(live, "is_last", lambda rounds, most: len(rounds) == most)
    while_it_travels(rig, monkeypatch, "load", work)
    moved = rig.move(live=True, rounds=3)
    assert seen[:3] == [Status.RUNNING] * 3
    assert seen[-1] is not Status.RUNNING
    assert brought == [0, 0, 1, 2]  # each round brings what was done in the one before
    assert [each.commit for each in moved.rounds] == [1, 2, 3]
    assert moved.account.commit == 4
    assert moved.resumed == "it runs"
    assert rig.there == (bottle.identity,)
    there = StateHome(rig.far / ".bottle").bottle(bottle.identity)
    assert [each.number for each in there.commits()] == [1, 2, 3, 4]
    assert there.committed_image() == bottle.identity.committed(4)
    workspace = there.metadata().cwd
    assert workspace is not None
    assert sorted(each.name for each in workspace.iterdir()) == ["early", "later-1", "later-2", "later-3"]
    assert bottle.tombstone.read() is not None


def test_a_round_that_brings_little_is_the_last_but_one(rig: MoveRig) -> None:
    moved = rig.move(live=True)
    assert [each.commit for each in moved.rounds] == [1]
    assert moved.account.commit == 2
    told = moved_document(moved, SENDING, moved.host)
    assert told["rounds"] == [{"commit": 1, "staged_bytes": moved.rounds[0].staged, "seconds": moved.rounds[0].seconds}]
    assert told["downtime_seconds"] is not None
    assert any("stood still for" in line for line in moved_lines(moved, SENDING, moved.host))


def test_the_rounds_are_told_one_by_one(rig: MoveRig) -> None:
    rig.move(live=True)
    notes = [note for note in rig.world.progress.notes if "round" in note]
    assert len(notes) == 2
    assert notes[0].startswith("round 1: commit 1, ")
    assert notes[1].startswith("the last round: ")


def test_the_time_that_it_runs_there_already_is_no_downtime(rig: MoveRig) -> None:
    rig.program("bottle", BOTTLE.replace("echo it runs", "{ sleep 1; echo it runs; }"))
    script = (rig.programs / "docker").read_text()
    rig.program(
        "docker", script.replace("load*)", "inspect*StartedAt*) date -u -d '1 second ago' +%FT%T.%NZ ;;\nload*)")
    )
    downtime_known = rig.move(live=True).downtime
    assert downtime_known is not None
    assert downtime_known < 1


def test_one_that_does_not_run_is_moved_and_not_started(rig: MoveRig) -> None:
    stop(rig.world.context, rig.bottle)
    moved = rig.move(live=True)
    assert (moved.rounds, moved.downtime, moved.resumed) == ((), None, None)
    assert rig.there == (rig.bottle.identity,)


def test_one_whose_agent_ends_while_it_travels_is_not_started(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    container = rig.bottle.identity.container
    while_it_travels(
        rig, monkeypatch, "load", lambda times: rig.world.engine.stop(container, 0) if times == 1 else None
    )
    moved = rig.move(live=True)
    assert (moved.downtime, moved.resumed) == (None, None)
    assert rig.there == (rig.bottle.identity,)


def test_a_plan_says_so_and_changes_nothing(rig: MoveRig) -> None:
    lines = plan_lines(rig.plan(live=True), SENDING)
    assert [line.split(None, 1)[1] for line in lines if line.startswith("would:")][:4] == [
        "bring it there in rounds while its agent works",
        "stop it",
        "commit it",
        "start it there",
    ]
    assert (rig.bottle.commits(), rig.world.status(rig.bottle)) == ((), Status.RUNNING)
    stop(rig.world.context, rig.bottle)
    assert not rig.plan(live=True).live


# --- what ends it -----------------------------------------------------------------------------------------------------


def require_unnoticed(rig: MoveRig) -> None:
    """The agent works here, nobody else has the bottle, and it can be moved yet."""
    assert rig.world.status(rig.bottle) is Status.RUNNING
    assert (rig.there, rig.bottle.tombstone.read(), rig.bottle.paused_by) == ((), None, None)
    assert rig.move(live=True).resumed == "it runs"
    assert rig.there == (rig.bottle.identity,)


def test_no_bottle_there_is_refused_before_anything_is_done(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "probe", lambda *args: replace(probe(*args), bottle=None))
    with pytest.raises(PreflightRefused, match="no bottle to resume with"):
        rig.move(live=True)
    assert (rig.bottle.commits(), rig.bottle.migration.read()) == ((), None)
    assert rig.world.status(rig.bottle) is Status.RUNNING


def test_a_credential_ends_it_while_the_agent_works(rig: MoveRig) -> None:
    rig.world.work(rig.bottle, "/leaked", KEY)
    with pytest.raises(PreflightRefused) as caught:
        rig.move(live=True)
    assert "goes on as it was" in caught.value.left
    assert "bottle resume" not in caught.value.next_step
    assert rig.world.status(rig.bottle) is Status.RUNNING
    assert rig.move(live=True, allow_secrets=True).account.along


def test_what_would_stand_still_too_long_is_not_stopped(rig: MoveRig) -> None:
    with pytest.raises(PreflightRefused, match="that would be about") as caught:
        rig.move(live=True, max_downtime=0.001)
    assert "was not stopped" in caught.value.left
    require_unnoticed(rig)


@pytest.mark.parametrize("error", [VerificationFailed("not the one"), RemoteError("no room"), ConnectionLost("gone")])
def test_a_round_that_fails_is_not_noticed(rig: MoveRig, monkeypatch: pytest.MonkeyPatch, error: BottleError) -> None:
    with monkeypatch.context() as patch:
        fail_to_verify(patch, 1, error)
        with pytest.raises(type(error)) as caught:
            rig.move(live=True)
    assert "goes on as it was" in caught.value.left
    require_unnoticed(rig)


@pytest.mark.parametrize("end", [KeyboardInterrupt, Killed])
@pytest.mark.parametrize("script", ["images", "staged", "piece", "check", "load", "extract"])
def test_a_round_that_is_interrupted_is_not_noticed(rig: MoveRig, script: str, end: type[BaseException]) -> None:
    def strike(_: int) -> None:
        raise end

    (rig.world.cwd / "file").write_text("1")
    with pytest.MonkeyPatch.context() as patch:
        while_it_travels(rig, patch, script, strike)
        with pytest.raises(end):
            rig.move(live=True)
    require_unnoticed(rig)


@pytest.mark.parametrize("error", [VerificationFailed("not the one"), RemoteError("no room"), ConnectionLost("gone")])
def test_where_the_last_round_fails_the_agent_goes_on_here(
    rig: MoveRig, monkeypatch: pytest.MonkeyPatch, error: BottleError
) -> None:
    with monkeypatch.context() as patch:
        fail_to_verify(patch, 2, error)
        with pytest.raises(type(error)) as caught:
            rig.move(live=True)
    assert "its agent goes on here" in caught.value.left
    assert "bottle resume" not in caught.value.next_step
    assert rig.world.content(rig.bottle, "/work.txt") == b"1"
    require_unnoticed(rig)


def test_one_that_had_ended_is_not_started_again_here(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    container = rig.bottle.identity.container
    while_it_travels(rig, monkeypatch, "load", lambda times: rig.world.engine.stop(container, 0))
    fail_to_verify(monkeypatch, 2, RemoteError("no room"))
    with pytest.raises(RemoteError):
        rig.move(live=True)
    assert rig.world.status(rig.bottle) is Status.EXITED


def test_one_that_ends_at_once_here_does_not_go_on(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_to_verify(monkeypatch, 2, RemoteError("no room"))
    monkeypatch.setattr(rig.world.engine, "ended_within", lambda *_: 1)
    with pytest.raises(RemoteError) as caught:
        rig.move(live=True)
    assert "is stopped" in caught.value.left
    assert caught.value.next_step.startswith(f"bottle resume {rig.bottle.identity}")


def test_what_is_no_error_of_ours_brings_it_back_too(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_to_verify(monkeypatch, 2, OSError("input/output error"))
    with pytest.raises(OSError, match="input/output"):
        rig.move(live=True)
    assert rig.world.status(rig.bottle) is Status.RUNNING


def test_one_that_somebody_stops_after_a_round_was_cut_is_not_started(rig: MoveRig) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fail_to_verify(patch, 1, Killed())
        with pytest.raises(Killed):
            rig.move(live=True)
    stop(rig.world.context, rig.bottle)
    assert rig.move(live=True).resumed is None


def test_what_a_workspace_came_to_need_is_told_while_the_agent_works(
    rig: MoveRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = rig.world.folder / "outside"
    outside.mkdir()

    def link(times: int) -> None:
        if times == 1:
            (rig.world.cwd / "link").symlink_to(outside)

    monkeypatch.setattr(live, "is_last", lambda rounds, most: len(rounds) == most)
    while_it_travels(rig, monkeypatch, "load", link)
    with pytest.raises(Conflict, match="came to need"):
        rig.move(live=True, rounds=2)
    assert rig.world.status(rig.bottle) is Status.RUNNING


def test_where_it_cannot_go_on_here_either_both_are_told(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_to_verify(monkeypatch, 2, RemoteError("no room"))
    rig.world.engine.fail_next("start", EngineError("the port is taken"))
    with pytest.raises(RemoteError, match="no room"):
        rig.move(live=True)
    assert any("could not be started again here: the port is taken" in note for note in rig.world.progress.notes)
    assert rig.bottle.tombstone.read() is None


def test_one_that_was_killed_in_its_last_round_goes_on_there(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        fail_to_verify(patch, 2, Killed())
        with pytest.raises(Killed):
            rig.move(live=True)
    assert rig.world.status(rig.bottle) is not Status.RUNNING
    record = rig.bottle.migration.read()
    assert record is not None
    assert record.phase is MigrationPhase.STAGING
    moved = rig.move(live=True)
    assert (moved.resumed, rig.there) == ("it runs", (rig.bottle.identity,))


@pytest.mark.parametrize("script", ["register", "resume", "clear"])
def test_one_that_was_killed_in_its_hand_over_goes_on_there(rig: MoveRig, script: str) -> None:
    rig.die_after(script, live=True)
    moved = rig.move(live=True)
    assert (moved.resumed, moved.downtime, rig.there) == ("it runs", None, (rig.bottle.identity,))
    assert rig.bottle.tombstone.read() is not None


# --- when a round is the last one -------------------------------------------------------------------------------------


@given(rounds=ROUNDS, most=st.none() | st.integers(1, 20))
def test_rounds_come_to_an_end(rounds: list[Round], most: int | None) -> None:
    if is_last(rounds, most):
        return
    assert len(rounds) < (most or 10)
    assert len(rounds) < 2 or rounds[-1].seconds <= 0.8 * rounds[-2].seconds


@given(rounds=ROUNDS, whole=st.none() | st.integers(0, 1 << 34), most=st.floats(0.01, 1000))
def test_an_agent_is_not_stopped_for_longer_than_it_may(rounds: list[Round], whole: int | None, most: float) -> None:
    expected = downtime(rounds, whole or 0)
    assert expected > rounds[-1].seconds
    refused = pytest.raises(PreflightRefused, match="not known" if whole is None else "about")
    with refused if whole is None or expected > most else nullcontext():
        require_short(rounds, whole, most, identity=IDENTITY, host="there")


def test_what_travels_whole_counts_by_how_fast_the_rounds_were() -> None:
    rounds = [Round(commit=1, staged=100_000_000, seconds=10), Round(commit=2, staged=100_000, seconds=1)]
    assert downtime(rounds, 0) == pytest.approx(2)
    assert downtime(rounds, 50_000_000) == pytest.approx(7)


def test_volumes_that_cannot_be_looked_into_are_no_promise(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "volumes_of", lambda _: (Mount(kind=MountKind.VOLUME, source="cache", target="/cache"),))
    with pytest.raises(PreflightRefused, match="is not known"):
        rig.move(live=True, max_downtime=1000)
    rig.move(live=True)
    assert rig.world.progress.notes[-1] == "the last round: the agent is stopped"
