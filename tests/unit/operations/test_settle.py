"""What whoever comes next does for a commit that died."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module

import pytest

from bottle.errors import StateDamaged, TwoContainers
from bottle.launch import bare_spec
from bottle.model import CommitIntent, CommitSpec, ImageDefaults, MigrationPhase, MigrationRecord, Status
from bottle.naming import LABEL_IDENTITY, LABEL_NONCE
from bottle.operations import Context, commit, remove, resume, stop
from bottle.operations.settle import settle
from bottle.plan.resume import ResumeRequest, StartAgain
from bottle.store.state import BottleState
from tests.support.trees import snapshot
from tests.support.world import Killed, World


def intent(world: World, bottle: BottleState, *, paused: bool = True) -> CommitIntent:
    """A commit that was begun, and of which nothing more is known."""
    container = world.engine.container(bottle.identity.container)
    assert container is not None
    begun = CommitIntent(nonce="0" * 32, number=1, message="cut", container_id=container.id, paused=paused)
    bottle.intent.write(begun)
    return begun


def finished(world: World, bottle: BottleState, begun: CommitIntent) -> None:
    """The engine has finished its part."""
    spec = CommitSpec(
        tag=bottle.identity.committing(begun.nonce),
        labels=((LABEL_NONCE, begun.nonce), (LABEL_IDENTITY, str(bottle.identity))),
        defaults=ImageDefaults(),
        message="cut",
    )
    world.engine.commit(bottle.identity.container, spec)


def test_where_nothing_is_left_nothing_is_changed(world: World) -> None:
    bottle = world.start()
    commit(world.context, bottle)
    before = snapshot(world.home.path)
    settle(world.context, bottle)
    assert snapshot(world.home.path) == before
    assert world.progress.notes == []


@pytest.mark.parametrize(("paused", "status"), [(True, Status.RUNNING), (False, Status.PAUSED)])
def test_only_what_the_commit_paused_goes_on(world: World, paused: bool, status: Status) -> None:
    bottle = world.start()
    world.engine.pause(bottle.identity.container)
    intent(world, bottle, paused=paused)
    settle(world.context, bottle)
    assert world.status(bottle) is status
    assert bottle.intent.read() is None
    assert bottle.committed_image() is None


@pytest.mark.parametrize(
    ("phase", "stays"), [(MigrationPhase.QUIESCING, False), (MigrationPhase.STAGING, True)], ids=str
)
def test_what_an_earlier_version_paused_for_a_copy_or_an_export_goes_on(
    world: World, phase: MigrationPhase, stays: bool
) -> None:
    bottle = world.start()
    note = MigrationRecord(phase=phase, host="far", nonce="n", commit=1, started_at=world.engine.clock())
    bottle.migration.write(replace(note, paused=True))
    world.engine.pause(bottle.identity.container)
    settle(world.context, bottle)
    assert world.status(bottle) is Status.RUNNING
    assert bottle.migration.read() == (note if stays else None)


def test_an_image_that_is_whole_is_adopted_and_that_is_said(world: World) -> None:
    bottle = world.start()
    world.work(bottle, "/work", b"x")
    finished(world, bottle, intent(world, bottle))
    settle(world.context, bottle)
    (record,) = bottle.commits()
    assert (record.number, record.message, record.tag) == (1, "cut", bottle.identity.committed(1))
    assert bottle.committed_image() == record.tag
    assert bottle.preserved
    assert any("adopted" in note for note in world.progress.notes)
    world.check_tidy(bottle)


def test_a_container_that_may_have_worked_on_since_comes_before_what_was_adopted(world: World) -> None:
    bottle = world.start()
    finished(world, bottle, intent(world, bottle))
    world.work(bottle, "/work", b"since")
    stop(world.context, bottle)
    assert isinstance(resume(world.context, bottle, ResumeRequest()).plan, StartAgain)
    assert world.content(bottle, "/work") == b"since"


def test_what_was_committed_of_a_container_that_is_gone_is_adopted_too(world: World) -> None:
    bottle = world.start()
    finished(world, bottle, intent(world, bottle))
    world.lose_container(bottle)
    settle(world.context, bottle)
    (record,) = bottle.commits()
    assert record.parent is None
    assert bottle.committed_image() == record.tag


def test_a_record_of_a_commit_that_cannot_be_read_stops_everything_before_it_begins(world: World) -> None:
    bottle = world.start()
    commit(world.context, bottle)
    (bottle.path / "commit-intent.json").write_bytes(b'{"schema": 1, "nonce": "ab')
    before, calls = snapshot(world.home.path), len(world.engine.calls)
    for operation in (commit, stop):
        with pytest.raises(StateDamaged, match=r"commit-intent\.json"):
            operation(world.context, bottle)
    assert snapshot(world.home.path) == before
    assert {call.method for call in world.engine.calls[calls:]} <= {"container", "container_summaries"}


def test_what_somebody_committed_by_hand_is_not_taken_for_what_died(world: World) -> None:
    """A commit died after it was made, and a container made of it, by hand, was committed by hand."""
    bottle = world.start()
    begun = intent(world, bottle)
    finished(world, bottle, begun)
    by_hand = CommitSpec(tag="x:1", labels=(), defaults=ImageDefaults(), message="")
    world.engine.create(replace(bare_spec("mine", bottle.identity.committing(begun.nonce)), labels=()))
    world.engine.start("mine")
    world.engine.write("mine", "/mine", b"x")
    image = world.engine.commit("mine", by_hand)
    assert image.labels[LABEL_NONCE] == begun.nonce
    settle(world.context, bottle)
    assert [each.number for each in bottle.commits()] == [1]
    kept = world.engine.image("x:1")
    assert kept is not None
    assert kept.tags == ("x:1",)


def test_halves_that_a_death_left_behind_go(world: World) -> None:
    bottle = world.start()
    commit(world.context, bottle)
    (bottle.path / ".metadata.json.abcdef.tmp").touch()
    (bottle.path / "transcript").rename(bottle.path / "transcript.old")
    (bottle.path / "transcript.new").mkdir()
    world.engine.create(bare_spec(bottle.identity.draft, bottle.identity.committed(1)))
    world.engine.create(bare_spec("unrelated", bottle.identity.committed(1)))
    settle(world.context, bottle)
    assert (bottle.path / "transcript").is_dir()
    assert {each.name for each in world.engine.containers({})} == {bottle.identity.container, "unrelated"}
    world.engine.remove_container("unrelated")
    world.check_tidy(bottle)


@pytest.mark.parametrize("operation", [commit, stop])
@pytest.mark.parametrize("runs", [True, False])
def test_a_container_that_somebody_called_like_a_draft_is_the_bottle_s(
    world: World, operation: Callable[[Context, BottleState], object], runs: bool
) -> None:
    bottle = world.start()
    world.work(bottle, "/work", b"hours")
    if not runs:
        world.engine.stop(bottle.identity.container)
    world.engine.rename(bottle.identity.container, bottle.identity.draft)
    operation(world.context, bottle)
    assert world.content(bottle, "/work") == b"hours"
    resume(world.context, bottle, ResumeRequest())
    assert world.content(bottle, "/work") == b"hours"
    world.check_tidy(bottle)


def test_a_draft_that_a_cut_resume_left_and_somebody_worked_in_is_the_bottle_s(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bottle = world.start()
    world.work(bottle, "/work", b"hours")
    stop(world.context, bottle)
    commit(world.context, bottle)

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(world.engine, "rename", die)
        patch.setattr(import_module("bottle.operations.start"), "remove_draft_containers", lambda *_: None)
        with pytest.raises(Killed):
            resume(world.context, bottle, ResumeRequest())
    assert [each.name for each in world.engine.containers({})] == [bottle.identity.draft]
    world.engine.start(bottle.identity.draft)
    world.engine.write(bottle.identity.draft, "/more", b"since")
    commit(world.context, bottle)
    assert (world.content(bottle, "/work"), world.content(bottle, "/more")) == (b"hours", b"since")
    assert [each.number for each in bottle.commits()] == [1, 2]
    world.check_tidy(bottle)


def test_one_that_ran_beside_the_bottle_s_own_is_not_chosen_from(world: World) -> None:
    bottle = world.start()
    commit(world.context, bottle)
    world.engine.create(bare_spec(bottle.identity.draft, bottle.identity.committed(1)))
    world.engine.start(bottle.identity.draft)
    for operation in (commit, stop, partial(remove, consent=True)):
        with pytest.raises(TwoContainers):
            operation(world.context, bottle)
    assert len(world.engine.containers({})) == 2
