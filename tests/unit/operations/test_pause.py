"""A bottle that is held still goes on, whatever becomes of what it is held for."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from bottle.cli.terminal import ending_signals
from bottle.errors import (
    BottleError,
    CannotPause,
    Conflict,
    EngineError,
    EngineUnreachable,
    PreflightRefused,
    StillPaused,
)
from bottle.model import Agent, ContainerFacts, Mount, MountKind, Status
from bottle.operations import ForkRequest, commit, fork, list_bottles, pause as pausing, resume, stop
from bottle.operations.listing import unfinished
from bottle.operations.pause import paused
from bottle.plan.resume import ResumeRequest
from bottle.store.state import BottleState
from tests.support.world import BASE, World

AGENT = Agent(
    name="demo",
    image=BASE,
    command=("cat",),
    volumes=(Mount(kind=MountKind.VOLUME, source="cache", target="/root/.cache"),),
)
BROKE = EngineUnreachable("Too many open files")
Use = Callable[[World, BottleState], object]
USES: dict[str, Use] = {
    "a commit": lambda world, bottle: commit(world.context, bottle),
    "a fork": lambda world, bottle: fork(world.context, bottle, ForkRequest(share_cwd=True)),
}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pausing, "_TRIES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(pausing, "_BELIEVED", 0.2)
    monkeypatch.setattr(pausing, "_INTERVAL", 0.0)


@pytest.fixture
def bottle(world: World) -> BottleState:
    bottle = world.start(AGENT)
    commit(world.context, bottle)
    return bottle


def container_of(world: World, bottle: BottleState) -> ContainerFacts:
    container = world.context.container(bottle.identity)
    assert container is not None
    return container


def break_unpause(world: World, times: int) -> None:
    for _ in range(times):
        world.engine.fail_next("unpause", BROKE)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_an_unpause_that_fails_is_tried_again(world: World, bottle: BottleState, use: Use) -> None:
    break_unpause(world, 3)
    use(world, bottle)
    assert world.status(bottle) is Status.RUNNING
    assert bottle.paused_by is None
    assert world.progress.notes == []


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_one_that_fails_for_good_names_the_command_that_thaws_it(world: World, bottle: BottleState, use: Use) -> None:
    break_unpause(world, 4)
    with pytest.raises(StillPaused) as caught:
        use(world, bottle)
    assert world.status(bottle) is Status.PAUSED
    assert caught.value.next_step.startswith(f"docker unpause bottle-{bottle.identity}")
    assert caught.value.exit_code == 5
    assert unfinished(bottle).endswith(f"bottle resume {bottle.identity}")
    resume(world.context, bottle, ResumeRequest())  # the other one that is named
    assert world.status(bottle) is Status.RUNNING
    assert bottle.paused_by is None


def test_a_commit_whose_agent_stays_frozen_is_made_all_the_same_and_says_so(world: World, bottle: BottleState) -> None:
    world.work(bottle, "/work", b"x")
    break_unpause(world, 4)
    with pytest.raises(StillPaused, match="cannot be let go on") as caught:
        commit(world.context, bottle)
    assert bottle.committed_image() == bottle.identity.committed(2)
    assert bottle.intent.read() is None
    assert caught.value.left.startswith(f"commit 2 of {bottle.identity} is made")
    assert any("docker unpause" in note for note in world.progress.notes)  # whatever had come after it
    stop(world.context, bottle)
    assert world.status(bottle) is Status.EXITED
    world.check_tidy(bottle)


def test_the_first_error_is_the_one_that_is_told(world: World, bottle: BottleState) -> None:
    world.engine.fail_next("commit", EngineError("no space left on device"))
    break_unpause(world, 4)
    with pytest.raises(EngineError, match="no space left"):
        commit(world.context, bottle)
    (note,) = world.progress.notes
    assert "Too many open files" in note
    assert f"docker unpause bottle-{bottle.identity}" in note
    (view,) = list_bottles(world.context)
    assert view.state == "paused"


@pytest.mark.parametrize("error", [KeyboardInterrupt, BottleError])
def test_it_goes_on_after_any_error(world: World, bottle: BottleState, error: type[BaseException]) -> None:
    seen = []

    def work() -> None:
        with paused(world.context, bottle, container_of(world, bottle), "a test"):
            seen.append((world.status(bottle), bottle.paused_by))
            raise error("within")

    with pytest.raises(error, match="within"):
        work()
    assert seen == [(Status.PAUSED, "a test")]
    assert world.status(bottle) is Status.RUNNING
    assert bottle.paused_by is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("before", [None, KeyboardInterrupt, EngineError])
def test_an_interruption_waits_until_it_goes_on(
    world: World,
    bottle: BottleState,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    before: type[BaseException] | None,
) -> None:
    unpause = world.engine.unpause

    def struck(ref: str) -> None:
        signal.raise_signal(number)  # to this thread: one for the process may come late, to whatever runs then
        unpause(ref)

    def hold() -> None:
        with ending_signals(), paused(world.context, bottle, container_of(world, bottle), "x"):
            if before is not None:
                raise before("before")

    monkeypatch.setattr(world.engine, "unpause", struck)
    with pytest.raises(KeyboardInterrupt):
        hold()
    assert world.status(bottle) is Status.RUNNING
    assert bottle.paused_by is None


@pytest.mark.parametrize("status", [Status.PAUSED, Status.EXITED, Status.CREATED, None])
def test_what_does_not_run_is_left_alone(world: World, status: Status | None) -> None:
    bottle = world.start(AGENT)
    name = bottle.identity.container
    match status:
        case Status.PAUSED:
            world.engine.pause(name)
        case Status.EXITED:
            world.engine.stop(name)
        case Status.CREATED:
            world.engine.remove_container(name)
            resume(world.context, bottle, ResumeRequest(), begin=False)
        case _:
            world.lose_container(bottle)
    calls = len(world.engine.calls)
    with paused(world.context, bottle, world.context.container(bottle.identity), "a test"):
        assert bottle.paused_by is None
    assert world.status(bottle) is status
    assert not {"pause", "unpause"} & set(world.engine.methods[calls:])


def test_a_pause_or_an_unpause_that_does_nothing_is_noticed(
    world: World, bottle: BottleState, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = container_of(world, bottle)
    with monkeypatch.context() as patch:
        patch.setattr(world.engine, "pause", lambda _: None)
        with (
            pytest.raises(EngineError, match="could not be paused"),
            paused(world.context, bottle, container, "a test"),
        ):
            raise AssertionError("it was not paused")
    monkeypatch.setattr(world.engine, "unpause", lambda _: None)
    with pytest.raises(StillPaused), paused(world.context, bottle, container, "a test"):
        pass
    assert bottle.paused_by == "a test"


def test_one_of_which_the_daemon_says_too_early_that_it_runs_goes_on(
    world: World, bottle: BottleState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hears late of an earlier unpause: it says that it runs, refuses to unpause it, and then hears more."""
    container, look, unpause = container_of(world, bottle), world.engine.container, world.engine.unpause
    refused: list[str] = []

    def behind(ref: str) -> None:
        if len(refused) < 3:
            refused.append(ref)
            raise Conflict("is not paused")
        unpause(ref)

    def seen(ref: str) -> ContainerFacts | None:
        now = look(ref)
        return replace(now, status=Status.RUNNING) if now and 0 < len(refused) < 3 else now

    with paused(world.context, bottle, container, "a test"):
        monkeypatch.setattr(world.engine, "unpause", behind)
        monkeypatch.setattr(world.engine, "container", seen)
    assert len(refused) == 3
    assert world.status(bottle) is Status.RUNNING


def test_an_earlier_pause_of_which_the_daemon_hears_late_is_waited_for(world: World, bottle: BottleState) -> None:
    for _ in range(2):
        world.engine.fail_next("pause", Conflict("is already paused"))
    with paused(world.context, bottle, container_of(world, bottle), "a test"):
        assert world.status(bottle) is Status.PAUSED
    assert world.status(bottle) is Status.RUNNING


def test_an_engine_that_cannot_pause_is_told_of_with_what_works(world: World, bottle: BottleState) -> None:
    world.engine.fail_next("pause", CannotPause("it has no cgroups to pause with", next_step="another engine"))
    with pytest.raises(CannotPause) as caught, paused(world.context, bottle, container_of(world, bottle), "a test"):
        raise AssertionError("it was not paused")
    assert caught.value.next_step == f"bottle stop {bottle.identity}, then the same again"
    assert bottle.paused_by is None
    assert world.status(bottle) is Status.RUNNING


def test_a_freezer_that_takes_long_is_tried_again(world: World, bottle: BottleState) -> None:
    for _ in range(3):
        world.engine.fail_next("pause", EngineError("unable to freeze"))
    with paused(world.context, bottle, container_of(world, bottle), "a test"):
        assert world.status(bottle) is Status.PAUSED
    assert world.status(bottle) is Status.RUNNING


def test_a_pause_that_fails_and_has_been_is_one(world: World, bottle: BottleState) -> None:
    world.engine.fail_next("pause", EngineError("did not answer in time"), afterwards=True)
    with paused(world.context, bottle, container_of(world, bottle), "a test"):
        assert world.status(bottle) is Status.PAUSED
    assert world.status(bottle) is Status.RUNNING


def test_a_bottle_that_cannot_be_paused_is_told_of(world: World, bottle: BottleState) -> None:
    for _ in range(4):
        world.engine.fail_next("pause", EngineError("unable to freeze"))
    held = paused(world.context, bottle, container_of(world, bottle), "a test")
    with pytest.raises(EngineError, match="freeze") as caught, held:
        raise AssertionError("it was not paused")
    assert (caught.value.left, world.status(bottle)) == ("nothing was made of it; it goes on", Status.RUNNING)


def test_descriptors_that_run_out_within_are_there_to_let_it_go_on(
    world: World, bottle: BottleState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `(ulimit -n 16; bottle commit ID)`: an engine is talked to through a descriptor, and so is the state."""
    container, unpause = container_of(world, bottle), world.engine.unpause
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    hoard: list[int] = []
    free: list[int] = []

    def use_up() -> int:
        before = len(hoard)
        with suppress(OSError):
            while True:
                hoard.append(os.open(os.devnull, os.O_RDONLY))
        return len(hoard) - before

    def let_go(count: int) -> None:
        for _ in range(count):
            os.close(hoard.pop())

    def counting(ref: str) -> None:
        free.append(use_up())
        let_go(free[-1])
        unpause(ref)

    monkeypatch.setattr(world.engine, "unpause", counting)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 20, limits[1]))
    try:
        with paused(world.context, bottle, container, "a test"):
            use_up()
        use_up()
        let_go(1)
        with pytest.raises(PreflightRefused, match="descriptors"), paused(world.context, bottle, container, "a test"):
            raise AssertionError("it was paused without a way to let it go on")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        let_go(len(hoard))
    assert free == [4]
    assert (world.status(bottle), bottle.paused_by) == (Status.RUNNING, None)


def test_one_that_ended_or_went_on_meanwhile_is_no_error(world: World, bottle: BottleState) -> None:
    container = container_of(world, bottle)
    with paused(world.context, bottle, container, "a test"):
        world.engine.unpause(container.id)
    with paused(world.context, bottle, container, "a test"):
        world.engine.stop(container.id)
    assert world.status(bottle) is Status.EXITED
    with pytest.raises(Conflict), paused(world.context, bottle, container, "a test"):
        raise AssertionError("it had ended before")
    assert bottle.paused_by is None


@pytest.mark.parametrize("note", ["", "a fork\n"])
def test_the_note_of_one_that_died_is_told_and_lets_it_go_on(world: World, bottle: BottleState, note: str) -> None:
    (bottle.path / "paused").write_text(note)  # empty: by an earlier version
    world.engine.pause(bottle.identity.container)
    assert unfinished(bottle) == f"a fork was cut that had paused it: bottle resume {bottle.identity}"
    commit(world.context, bottle)
    assert world.status(bottle) is Status.RUNNING
    assert bottle.paused_by is None
    assert any("left paused by a fork that died" in each for each in world.progress.notes)


def test_a_resume_that_lets_nothing_go_on_is_none(
    world: World, bottle: BottleState, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.engine.pause(bottle.identity.container)
    with monkeypatch.context() as patch:
        patch.setattr(world.engine, "unpause", lambda _: None)
        with pytest.raises(StillPaused, match="is paused still"):
            resume(world.context, bottle, ResumeRequest())
    break_unpause(world, 3)
    assert resume(world.context, bottle, ResumeRequest()).running
    assert world.status(bottle) is Status.RUNNING
