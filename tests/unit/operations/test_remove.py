"""`rm`: all of a bottle and nothing else, and never the only copy of work unasked."""

from __future__ import annotations

import fcntl
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from bottle.errors import BottleError, Conflict, EngineError, Locked, MovedAway, NeedsConsent
from bottle.launch import bare_spec, requests_volume
from bottle.model import MigrationPhase, MigrationRecord, Mount, MountKind, Tombstone
from bottle.operations import ForkRequest, commit, fork, plan_for, prune, remove, resume, stop
from bottle.operations.arriving import undisturbed
from bottle.plan.resume import ResumeRequest
from bottle.store.state import BottleState
from bottle.testing import FakeEngine
from tests.support.world import AGENT, BASE, Fate, Killed, World, every_moment

KEEPER = replace(AGENT, volumes=(Mount(kind=MountKind.VOLUME, source="cache", target="/cache"),), secrets=("T",))


def worked(world: World) -> BottleState:
    """A stopped bottle with a commit of all its work, a volume and a transcript."""
    bottle = world.start(KEEPER)
    world.work(bottle, "/root/.demo/log", b"line")
    stop(world.context, bottle)
    commit(world.context, bottle)
    (bottle.path / "arrived").write_text(f"{bottle.identity.suffix}\n")
    return bottle


def traces(world: World, bottle: BottleState) -> list[str]:
    """All that is left of a bottle."""
    mine = {"bottle.identity": str(bottle.identity)}
    found = [each.name for each in world.engine.containers(mine)]
    found += [each.id for each in world.engine.images(mine)]
    found += world.engine.volumes(mine)
    found += [str(path) for path in world.home.states.iterdir() if str(bottle.identity) in path.name]
    return found + [str(path) for path in world.runtime.iterdir() if path.name == str(bottle.identity)]


def run_by_hand(world: World, image: str, *, runs: bool) -> None:
    """`docker run --name mine IMAGE`: a container that bears the labels of the image, and has work in it."""
    world.engine.create(replace(bare_spec("mine", image), labels=()))
    world.engine.start("mine")
    world.engine.write("mine", "/root/notes", b"theirs")
    if not runs:
        world.engine.exit("mine")


def test_all_of_it_goes_and_nothing_else(world: World) -> None:
    bottle, other = worked(world), worked(world)
    kept = traces(world, other)
    removed = remove(world.context, bottle, consent=True)
    assert traces(world, bottle) == []
    assert traces(world, other) == kept
    assert world.engine.image(BASE) is not None
    assert removed.containers == (bottle.identity.container,)
    assert set(removed.images) == {bottle.identity.committed(1), bottle.identity.committed_latest}
    assert set(removed.volumes) == {bottle.identity.volume("cache"), requests_volume(bottle.identity)}


def test_an_image_built_for_it_alone_goes_too(world: World) -> None:
    bottle = world.start()
    (bottle.path / "Dockerfile").write_text(f"FROM {BASE}\n")
    world.lose_container(bottle)
    resume(world.context, bottle, ResumeRequest())
    stop(world.context, bottle)
    assert bottle.identity.rebuilt in remove(world.context, bottle, consent=True).images
    assert world.engine.image(bottle.identity.rebuilt) is None


def test_commits_that_lost_their_tags_go_last(world: World) -> None:
    bottle = worked(world)
    resume(world.context, bottle, ResumeRequest())
    commit(world.context, bottle)
    world.lose_container(bottle)
    world.engine.remove_image(bottle.identity.committed(1))  # others still stand on it
    remove(world.context, bottle, consent=True)
    assert traces(world, bottle) == []


def test_an_image_that_somebody_built_on_a_commit_stays(world: World) -> None:
    bottle = worked(world)
    (world.cwd / "Dockerfile").write_text(f"FROM {bottle.identity.committed(1)}\nRUN echo x > /x\n")
    world.engine.build(
        dockerfile=(world.cwd / "Dockerfile").read_bytes(),
        context=world.cwd,
        tag="mine:1",
        labels={},
        args={},
        secrets={},
        progress=world.progress,
    )
    remove(world.context, bottle, consent=True)
    assert world.engine.image("mine:1") is not None
    assert world.home.identities() == ()


@pytest.mark.parametrize("runs", [True, False])
@pytest.mark.parametrize("moved", [True, False])
def test_a_container_that_somebody_made_of_a_commit_is_theirs(world: World, moved: bool, runs: bool) -> None:
    bottle = worked(world)
    run_by_hand(world, bottle.identity.committed(1), runs=runs)
    if moved:
        bottle.tombstone.write(Tombstone(host="far.example", moved_at=world.engine.clock()))
    before = traces(world, bottle)
    with pytest.raises(Conflict, match="container mine") as caught:
        remove(world.context, bottle, consent=not moved)
    assert caught.value.next_step.startswith("docker rm mine")
    assert traces(world, bottle) == before
    assert world.engine.read("mine", "/root/notes") == b"theirs"
    world.engine.remove_container("mine")
    remove(world.context, bottle, consent=True)
    assert traces(world, bottle) == []


def test_one_made_of_its_own_build_is_found_before_anything_is_deleted(world: World) -> None:
    bottle = world.start()
    (bottle.path / "Dockerfile").write_text(f"FROM {BASE}\n")
    world.lose_container(bottle)
    resume(world.context, bottle, ResumeRequest())
    stop(world.context, bottle)
    run_by_hand(world, bottle.identity.rebuilt, runs=False)
    before = traces(world, bottle)
    with pytest.raises(Conflict, match="container mine"):
        remove(world.context, bottle, consent=True)
    assert traces(world, bottle) == before


def test_what_stands_on_the_image_of_a_fork_stays(world: World) -> None:
    bottle = worked(world)
    forked = fork(world.context, bottle, ForkRequest(share_cwd=True)).identity
    resume(world.context, world.home.bottle(forked), ResumeRequest())
    run_by_hand(world, forked.committed(1), runs=True)
    helper = f"bottle-read-{'0' * 12}"
    world.engine.create(bare_spec(helper, forked.committed(1)))  # a move of the fork reads through it
    assert world.engine.container("mine").labels["bottle.identity"] == str(bottle.identity)  # type: ignore[union-attr]
    assert remove(world.context, bottle, consent=True).containers == (bottle.identity.container,)
    assert all(world.engine.container(name) for name in ("mine", helper, forked.container))
    world.check_tidy(world.home.bottle(forked))


def test_containers_that_a_run_left_which_died_go_too(world: World) -> None:
    bottle = worked(world)
    for name in (bottle.identity.draft, f"bottle-check-{'0' * 12}"):
        world.engine.create(bare_spec(name, bottle.identity.committed(1)))
    assert len(remove(world.context, bottle, consent=True).containers) == 3
    assert traces(world, bottle) == []


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ("container", "a container that has run"),
        ("commits", "commit 1"),
        ("volumes", r"volume bottle-demo-\w{5}-cache"),
        ("transcript", "a transcript"),
    ],
)
def test_work_goes_only_with_consent(world: World, held: str, words: str) -> None:
    bottle = world.start(KEEPER if held == "volumes" else AGENT)
    match held:
        case "commits":
            commit(world.context, bottle)
        case "transcript":
            stop(world.context, bottle)
        case _:
            world.engine.exit(bottle.identity.container)
    if held != "container":
        world.lose_container(bottle)
    before = traces(world, bottle)
    with pytest.raises(NeedsConsent, match=words) as caught:
        remove(world.context, bottle, consent=False)
    assert caught.value.next_step == f"bottle rm {bottle.identity} --yes"
    assert traces(world, bottle) == before
    remove(world.context, bottle, consent=True)
    assert traces(world, bottle) == []


def test_a_yes_holds_for_what_was_shown(world: World) -> None:
    bottle = worked(world)
    with pytest.raises(NeedsConsent) as asked:
        remove(world.context, bottle, consent=False)
    resume(world.context, bottle, ResumeRequest())
    world.work(bottle, "/since", b"x")
    stop(world.context, bottle)
    commit(world.context, bottle)
    with pytest.raises(NeedsConsent, match="commits 1 and 2") as again:
        remove(world.context, bottle, consent=False, agreed=asked.value.parts)
    assert bottle.exists()
    remove(world.context, bottle, consent=False, agreed=again.value.parts)
    assert traces(world, bottle) == []


def test_a_volume_is_work_though_the_newest_container_never_ran(world: World) -> None:
    bottle = world.start(KEEPER)
    world.lose_container(bottle)
    world.engine.fail_next("start", EngineError("port is in use"))
    with pytest.raises(EngineError):
        resume(world.context, bottle, ResumeRequest())
    with pytest.raises(NeedsConsent, match=r"volume bottle-demo-\w{5}-cache"):
        remove(world.context, bottle, consent=False)


def test_where_there_is_no_work_no_consent_is_needed(world: World) -> None:
    bottle = world.start()
    world.lose_container(bottle)
    remove(world.context, bottle, consent=False)
    assert world.home.identities() == ()


def test_what_runs_or_is_locked_or_hangs_between_two_hosts_is_left_alone(world: World) -> None:
    bottle = world.start()
    with pytest.raises(Conflict, match="running"):
        remove(world.context, bottle, consent=True)
    world.engine.pause(bottle.identity.container)
    with pytest.raises(Conflict, match="paused"):
        remove(world.context, bottle, consent=True)
    world.engine.exit(bottle.identity.container)
    with bottle.locked("bottle migrate"), pytest.raises(Locked):
        remove(world.context, bottle, consent=True)
    moment = world.engine.clock()
    bottle.migration.write(
        MigrationRecord(phase=MigrationPhase.HANDING_OFF, host="far.example", nonce="n", commit=1, started_at=moment)
    )
    with pytest.raises(MovedAway, match=r"far\.example"):
        remove(world.context, bottle, consent=True)
    bottle.migration.clear()
    commit(world.context, bottle)
    bottle.tombstone.write(Tombstone(host="far.example", moved_at=moment))
    remove(world.context, bottle, consent=False)  # it lives elsewhere now, with all that it was
    assert world.home.identities() == ()


def test_a_damaged_bottle_can_be_removed(world: World) -> None:
    bottle = worked(world)
    for name in ("metadata.json", "commits.json"):
        path = bottle.path / name
        path.write_bytes(path.read_bytes()[:20])
    remove(world.context, bottle, consent=True)
    assert traces(world, bottle) == []


@pytest.mark.parametrize("prunes", [False, True])
def test_one_that_may_be_coming_back_stays(world: World, prunes: bool) -> None:
    bottle, now = worked(world), datetime.now(UTC)
    world.engine.clock.now = now
    bottle.tombstone.write(Tombstone(host="far.example", moved_at=now))
    plan = plan_for(world.context)

    def go() -> object:
        return prune(world.context, plan, consent=True) if prunes else remove(world.context, bottle, consent=False)

    def stays() -> None:
        before = traces(world, bottle)
        if prunes:
            assert [each.name for each in go().left] == [f"{bottle.identity} (moved to far.example)"]  # type: ignore[attr-defined]
        else:
            with pytest.raises(Locked, match="may be sending"):
                go()
        assert traces(world, bottle) == before

    staging = world.home.path / "incoming" / str(bottle.identity)
    (staging / "blobs").mkdir(parents=True)
    stays()
    world.engine.clock.now = now + timedelta(days=2)
    held = os.open(staging, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)  # as the scripts do that run here for the other host
    stays()
    os.close(held)
    go()
    assert traces(world, bottle) == []
    assert staging.exists()


def test_staging_is_kept_out_while_it_goes_and_is_not_made_to_stay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bottle = worked(world)
    bottle.tombstone.write(Tombstone(host="far.example", moved_at=world.engine.clock()))
    staging = world.home.path / "incoming" / str(bottle.identity)
    staging.mkdir(parents=True)  # one that was killed has left it
    seen = []

    def look(engine: FakeEngine, name: str) -> None:
        seen.append(name)
        with pytest.raises(Locked), undisturbed(staging):
            pass
        real(engine, name)

    real = FakeEngine.remove_volume
    monkeypatch.setattr(FakeEngine, "remove_volume", look)
    remove(world.context, bottle, consent=False)
    assert seen
    assert not staging.parent.exists()


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("deadly", [False, True])
def test_wherever_it_ends_the_next_one_finishes_it(tmp_path: Path, deadly: bool, moved: bool) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world = World(tmp_path / str(next(numbers)))
        bottle = worked(world)
        if moved:
            bottle.tombstone.write(Tombstone(host="far.example", moved_at=world.engine.clock()))
        try:
            with world.doomed(fate) as context:
                remove(context, bottle, consent=True)
        except (Killed, BottleError):
            assert fate.came
        if bottle.exists():
            remove(world.context, bottle, consent=True)
        left = [each for each in traces(world, bottle) if not each.endswith(".deleted")]
        assert left == [], fate.last
        kept = world.home.path / "arrived" / str(bottle.identity)
        assert kept.read_text() == f"{bottle.identity.suffix}\n", fate.last

    assert every_moment(run, deadly=deadly) >= 10
