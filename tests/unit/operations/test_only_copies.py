"""Every way to delete, at every place where a copy may be: what exists nowhere else never goes unasked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from bottle.errors import BottleError, NeedsConsent
from bottle.model import (
    Arrived,
    CommitSpec,
    ContainerFacts,
    ImageDefaults,
    Mount,
    MountKind,
    Retention,
    Status,
    Tombstone,
)
from bottle.operations import ForkRequest, approve, commit, fork, plan_for, prune, remove, resume, stop
from bottle.operations.prune import observe_prune
from bottle.operations.stop import end_session
from bottle.plan.prune import plan_prune
from bottle.plan.resume import ResumeRequest
from bottle.store.state import BottleState
from bottle.testing import FakeEngine
from tests.support.dashboard import ask
from tests.support.world import AGENT, World

NOW = timedelta(0)
KEEPS = replace(AGENT, transcript=(), keep=None)


def commit_work(world: World, bottle: BottleState, content: bytes) -> None:
    """A file in the bottle, and a commit of it, after its end."""
    world.work(bottle, "/work", content)
    stop(world.context, bottle)
    commit(world.context, bottle)


def history(world: World, *, apart: bool) -> BottleState:
    """A bottle with two commits, stopped, the second in force. `apart`: the first is no part of the second."""
    bottle = world.start(KEEPS)
    commit_work(world, bottle, b"one")
    if apart:
        world.lose_container(bottle)
        bottle.write_own_dockerfile("FROM debian:trixie-slim\n")
        bottle.mark_rebuild()
    resume(world.context, bottle, ResumeRequest())
    commit_work(world, bottle, b"two")
    return bottle


def there(*commits: int) -> Callable[[World, BottleState], None]:
    def move(world: World, bottle: BottleState) -> None:
        moment = world.engine.clock()
        bottle.tombstone.write(Tombstone(host="far.example", moved_at=moment, arrived=Arrived(commits=commits)))

    return move


def moved_by_an_older_version(world: World, bottle: BottleState) -> None:
    bottle.tombstone.write(Tombstone(host="far.example", moved_at=world.engine.clock()))


def forked(world: World, bottle: BottleState) -> None:
    fork(world.context, bottle, ForkRequest(at=1, share_cwd=True))
    there(2)(world, bottle)


def tagged(world: World, bottle: BottleState) -> None:
    world.engine.tag(bottle.identity.committed(1), "mine:1")
    there(2)(world, bottle)


# Where commit 1 is besides its image here; whether that is a copy.
PLACES: dict[str, tuple[Callable[[World, BottleState], None], bool]] = {
    "on the other host": (there(1, 2), True),
    "in a fork here": (forked, True),
    "under a name of the user's here": (tagged, True),
    "in the layers of what arrived": (there(2), False),
    "nowhere, by an older tombstone": (moved_by_an_older_version, False),
}


def removes(world: World, bottle: BottleState) -> None:
    remove(world.context, bottle, consent=False)


def prunes(world: World, bottle: BottleState) -> None:
    prune(world.context, plan_for(world.context, NOW), consent=False)


def ends_its_session(world: World, bottle: BottleState) -> None:
    (bottle.path / "preserved").unlink()
    end_session(world.context, bottle, remove=True)


def has_its_stale_plan_pruned(world: World, bottle: BottleState) -> None:
    """Somebody agrees to a plan that was made when nothing of the bottle was only here."""
    facts = observe_prune(world.context, NOW)
    bottles = {identity: replace(each, only_here=()) for identity, each in facts.bottles.items()}
    prune(world.context, plan_prune(replace(facts, bottles=bottles)), consent=True)


WAYS = (removes, prunes, ends_its_session, has_its_stale_plan_pruned)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("apart", [False, True])
def test_the_only_copy_of_a_commit_never_goes_unasked(
    world: World, way: Callable[[World, BottleState], None], place: str, apart: bool
) -> None:
    bottle = history(world, apart=apart)
    first = world.engine.image(bottle.identity.committed(1))
    assert first is not None
    put, is_copy = PLACES[place]
    put(world, bottle)
    try:
        way(world, bottle)
    except NeedsConsent as error:
        assert not is_copy
        assert "with commit 2, and this would delete what is only here: commit 1" in error.what
        assert f"docker save {bottle.identity.committed(1)} |" in error.next_step
        assert f"bottle rm {bottle.identity} --yes" in error.next_step
    kept = any(image.diff_ids == first.diff_ids for image in world.engine.images({}))
    assert kept or place == "on the other host"
    assert is_copy or bottle.exists()


@pytest.mark.parametrize("way", WAYS[:3])  # the plan of the last one has the image, and was agreed to
def test_what_somebody_committed_by_hand_never_goes_unasked(
    world: World, way: Callable[[World, BottleState], None]
) -> None:
    bottle = world.start(KEEPS)
    by_hand = CommitSpec(tag="x:1", labels=(), defaults=ImageDefaults(), message="")
    image = world.engine.commit(bottle.identity.container, by_hand)
    world.engine._tags.pop("x:1")
    commit_work(world, bottle, b"one")
    if way is ends_its_session:
        bottle.write_commits(())
    else:
        there(1)(world, bottle)
    with suppress(NeedsConsent):
        way(world, bottle)
    assert world.engine.image(image.id) is not None
    assert bottle.exists()


@pytest.mark.parametrize("place", PLACES)
def test_it_goes_when_somebody_says_so(world: World, place: str) -> None:
    for way in ("rm", "prune"):
        bottle = history(world, apart=True)
        PLACES[place][0](world, bottle)
        if way == "rm":
            remove(world.context, bottle, consent=True)
        else:
            prune(world.context, plan_for(world.context, NOW), consent=True)
        assert not bottle.exists()
        assert world.engine.image(bottle.identity.committed(1)) is None


def test_prune_names_what_is_only_here_before_anybody_agrees(world: World) -> None:
    bottle = history(world, apart=True)
    there(2)(world, bottle)
    (garbage,) = plan_for(world.context, NOW).garbage
    assert (garbage.consent, garbage.only_here) == (True, ("commit 1",))
    assert garbage.why == "lives on far.example now; ONLY HERE: commit 1"


@pytest.mark.parametrize("apart", [False, True])
def test_keep_gives_up_only_what_a_later_commit_has_come_from(world: World, apart: bool) -> None:
    """`keep` asks for the old to go; the end of another line of work is not older work of this one."""
    bottle = history(world, apart=apart)
    metadata = bottle.metadata()
    bottle.write_metadata(replace(metadata, agent=replace(metadata.agent, keep=Retention(commits=1))))
    resume(world.context, bottle, ResumeRequest())
    commit_work(world, bottle, b"three")
    world.lose_container(bottle)
    resume(world.context, bottle, ResumeRequest())
    commit_work(world, bottle, b"four")
    assert [each.number for each in bottle.commits() if each.expired] == ([2, 3] if apart else [1, 2, 3])


def test_going_back_lets_the_line_that_was_left_stay(world: World) -> None:
    bottle = world.start(replace(KEEPS, keep=Retention(commits=1)))
    commit_work(world, bottle, b"one")
    fork(world.context, bottle, ForkRequest(share_cwd=True))  # keeps commit 1
    resume(world.context, bottle, ResumeRequest())
    commit_work(world, bottle, b"left behind")
    resume(world.context, bottle, ResumeRequest(at=1, consent=True))
    for content in (b"three", b"four"):
        commit_work(world, bottle, content)
        resume(world.context, bottle, ResumeRequest())
    assert world.engine.image(bottle.identity.committed(2)) is not None
    assert [each.number for each in bottle.commits() if each.expired] == [3]


def test_approval_gives_up_no_volume_without_a_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = world.start(KEEPS)
    asked = ask(world.context, bottle, "FROM debian:trixie-slim\n")
    nameless = Mount(kind=MountKind.VOLUME, source="0" * 64, target="/data", anonymous=True)
    real = FakeEngine.container

    def with_nameless(engine: FakeEngine, ref: str) -> ContainerFacts | None:
        found = real(engine, ref)
        return found and replace(found, mounts=(*found.mounts, nameless))

    monkeypatch.setattr(FakeEngine, "container", with_nameless)
    with pytest.raises(BottleError, match=r"/data .* in a volume without a name") as caught:
        approve(world.context, bottle, asked.digest)
    assert caught.value.code == "PreflightRefused"
    assert world.status(bottle) is Status.RUNNING
    assert (bottle.own_dockerfile, bottle.requests()[0].status.open) == (None, True)
