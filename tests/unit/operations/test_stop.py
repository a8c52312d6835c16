"""`stop`, and the end of a session."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from bottle import runtime
from bottle.errors import BottleError, EngineError, Locked, MovedAway, NotFound
from bottle.model import CommitSpec, ImageDefaults, Status, Tombstone
from bottle.operations import Context, commit, end_session, resume, stop
from bottle.plan.resume import ResumeRequest, StartAgain
from bottle.store.state import BottleState
from tests.support.trees import snapshot
from tests.support.world import AGENT, Fate, Killed, World, every_moment


def test_it_ends_the_agent_keeps_its_work_and_saves_its_transcript(world: World) -> None:
    world.environ["TOKEN"] = "hunter2"
    bottle = world.start(replace(AGENT, secrets=("TOKEN",)))
    world.work(bottle, "/root/.demo/log", b"line")
    stopped = stop(world.context, bottle)
    assert (stopped.was_running, stopped.exit_code, stopped.notes) == (True, 143, ())
    assert world.status(bottle) is Status.EXITED
    assert (bottle.transcript / "files/root/.demo/log").read_bytes() == b"line"
    assert not (world.runtime / str(bottle.identity) / "secrets").exists()
    assert not stop(world.context, bottle).was_running


def test_a_paused_one_is_woken_to_end(world: World) -> None:
    bottle = world.start()
    world.engine.pause(bottle.identity.container)
    assert stop(world.context, bottle).was_running
    assert world.status(bottle) is Status.EXITED


def test_what_cannot_be_stopped_is_refused(world: World) -> None:
    bottle = world.start()
    with bottle.locked("bottle commit"), pytest.raises(Locked):
        stop(world.context, bottle)
    stop(world.context, bottle)
    bottle.tombstone.write(Tombstone(host="far.example", moved_at=world.engine.clock()))
    with pytest.raises(MovedAway):
        stop(world.context, bottle)
    bottle.tombstone.clear()
    world.lose_container(bottle)
    with pytest.raises(NotFound):
        stop(world.context, bottle)


@pytest.mark.parametrize("policy", ["always", "unless-stopped", "on-failure"])
def test_what_is_stopped_stays_so(world: World, policy: str) -> None:
    bottle = world.start()
    world.engine.update(bottle.identity.container, restart=policy)
    world.engine.fail_next("stop", EngineError("did not answer in time"))
    with pytest.raises(EngineError):
        stop(world.context, bottle)
    container = world.engine.container(bottle.identity.container)
    assert container is not None
    assert container.restart == "no"  # taken away before it is stopped
    world.engine.update(container.id, restart=policy)
    (note,) = stop(world.context, bottle).notes
    assert policy in note
    world.engine.reboot()
    assert world.status(bottle) is Status.EXITED


@pytest.mark.parametrize("paused", [False, True])
def test_what_a_bottle_that_moved_left_running_here_is_stopped_and_nothing_else_is_touched(
    world: World, paused: bool
) -> None:
    bottle = world.start()
    world.work(bottle, "/root/.demo/log", b"line")
    stop(world.context, bottle)
    bottle.tombstone.write(Tombstone(host="far.example", moved_at=world.engine.clock()))
    world.engine.update(bottle.identity.container, restart="always")
    world.engine.reboot()
    world.work(bottle, "/root/.demo/log", b"since")
    if paused:
        world.engine.pause(bottle.identity.container)
    before = snapshot(bottle.path)
    stopped = stop(world.context, bottle)
    assert (stopped.was_running, stopped.moved_to) == (True, "far.example")
    assert any("restart policy 'always'" in note for note in stopped.notes)
    assert any(f"bottle resume {bottle.identity} --force" in note for note in stopped.notes)
    world.engine.reboot()
    assert world.status(bottle) is Status.EXITED
    assert {name: facts for name, facts in snapshot(bottle.path).items() if name != "lock"} == {
        name: facts for name, facts in before.items() if name != "lock"
    }
    with pytest.raises(MovedAway):
        stop(world.context, bottle)
    assert isinstance(resume(world.context, bottle, ResumeRequest(force=True)).plan, StartAgain)
    assert world.content(bottle, "/root/.demo/log") == b"since"


@pytest.mark.parametrize("deadly", [False, True])
def test_wherever_it_ends_the_next_one_works(tmp_path: Path, deadly: bool) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world = World(tmp_path / str(next(numbers)))
        bottle = world.start()
        world.work(bottle, "/root/.demo/log", b"line")
        try:
            with world.doomed(fate) as context:
                stop(context, bottle)
        except (Killed, BottleError):
            assert fate.came
        stop(world.context, bottle)
        assert world.status(bottle) is Status.EXITED
        assert (bottle.transcript / "files/root/.demo/log").read_bytes() == b"line", fate.last
        world.check_tidy(bottle)

    assert every_moment(run, deadly=deadly) >= 10


def test_a_session_that_ended_leaves_a_bottle_to_be_resumed(world: World) -> None:
    bottle = world.start()
    world.work(bottle, "/root/.demo/log", b"line")
    world.engine.exit(bottle.identity.container, 3)
    ended = end_session(world.context, bottle, remove=False)
    assert (ended.exit_code, ended.removed) == (3, False)
    assert (bottle.transcript / "files/root/.demo/log").read_bytes() == b"line"
    resume(world.context, bottle, ResumeRequest())
    assert end_session(world.context, bottle, remove=True).was_running  # somebody else brought it back: hands off


def test_with_rm_nothing_is_left_unless_it_was_committed(world: World) -> None:
    one, other = world.start(), world.start()
    commit(world.context, other)
    for bottle, removed in ((one, True), (other, False)):
        world.engine.exit(bottle.identity.container)
        assert end_session(world.context, bottle, remove=True).removed is removed
    assert world.home.identities() == (other.identity,)


def test_with_rm_a_commit_that_was_cut_but_finished_is_kept(world: World) -> None:
    bottle = world.start()
    world.work(bottle, "/work", b"x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bottle.store.state.BottleState.append_commit", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            commit(world.context, bottle)
    world.engine.exit(bottle.identity.container)
    assert not end_session(world.context, bottle, remove=True).removed
    assert bottle.committed_image() == bottle.identity.committed(1)


def test_a_session_whose_end_cannot_be_looked_after_says_so(world: World) -> None:
    bottle = world.start()
    world.engine.exit(bottle.identity.container)
    for _ in ("its requests", "its transcript"):
        world.engine.fail_next("read_archive", EngineError("broke"))
    ended = end_session(world.context, bottle, remove=True)
    assert not ended.removed
    assert any("could not be taken in" in note for note in ended.notes)
    assert any("the transcript could not be copied" in note for note in ended.notes)
    assert world.status(bottle) is Status.EXITED


def test_with_rm_what_was_committed_by_hand_is_kept(world: World) -> None:
    bottle = world.start()
    spec = CommitSpec(tag="x:1", labels=(), defaults=ImageDefaults(), message="")
    image = world.engine.commit(bottle.identity.container, spec)
    world.engine._tags.pop("x:1")
    world.engine.exit(bottle.identity.container)
    assert not end_session(world.context, bottle, remove=True).removed
    assert world.engine.image(image.id) is not None


@pytest.mark.parametrize("operation", [stop, partial(end_session, remove=False), commit])
def test_no_room_for_secrets_hinders_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, operation: Callable[[Context, BottleState], object]
) -> None:
    bottle = world.start(replace(AGENT, secrets=("TOKEN",)))
    world.work(bottle, "/root/.demo/log", b"line")
    if operation is not stop:
        world.engine.exit(bottle.identity.container)
    runtime.forget(world.runtime, bottle.identity)  # a reboot

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(runtime, "_put", full)
    operation(world.context, bottle)
    assert any("No space left" in note for note in world.progress.notes)
    assert (bottle.transcript / "files/root/.demo/log").read_bytes() == b"line"
