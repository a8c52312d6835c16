"""`fork`: a whole new bottle off a commit, or nothing, whatever fails and wherever it dies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from socket import AF_UNIX, socket

import pytest

from bottle.errors import BottleError, EngineError, MovedAway, NotFound, PathTooLong, UsageError, VerificationFailed
from bottle.model import Lineage, MigrationPhase, MigrationRecord, Mount, MountKind, Status, Tombstone
from bottle.operations import ForkRequest, commit, fork, history, plan_for, prune, remove, resume, stop
from bottle.operations.settle import settle
from bottle.plan.resume import FromCommit, ResumeRequest
from bottle.store.state import DOCKERFILE, BottleState
from tests.support.git import git, repository
from tests.support.trees import make_deep
from tests.support.world import AGENT, Fate, Killed, World, every_moment

SHARED = ForkRequest(share_cwd=True)
GOES_ON = {
    f"{when} {call}" for when in ("before", "after") for call in ("pause", "unpause", "container", "read_archive")
}
CACHER = replace(AGENT, volumes=(Mount(kind=MountKind.VOLUME, source="cache", target="/root/.cache"),))


def committed(world: World, **options: object) -> BottleState:
    """A bottle with two commits."""
    bottle = world.start(replace(CACHER, **options))
    world.work(bottle, "/root/.demo/log", b"first")
    world.work(bottle, "/root/.cache/deep/file", b"cached")
    commit(world.context, bottle, message="one")
    world.work(bottle, "/root/.demo/log", b"second")
    world.work(bottle, "/work", b"later")
    commit(world.context, bottle, message="two")
    return bottle


def test_a_fork_is_a_bottle_of_its_own_off_the_commit_in_force(world: World) -> None:
    bottle = committed(world)
    forked = fork(world.context, bottle, SHARED)
    new = world.home.bottle(forked.identity)
    assert new.metadata().copied_from == forked.origin == Lineage(identity=bottle.identity, commit=2)
    assert [(each.number, each.tag, each.parent, each.mark) for each in new.commits()] == [
        (2, new.identity.committed(2), None, None)
    ]
    assert new.committed_image() == new.identity.committed(2)
    assert new.preserved
    assert forked.shared == world.cwd
    resumed = resume(world.context, new, ResumeRequest())
    assert isinstance(resumed.plan, FromCommit)
    assert world.content(new, "/work") == b"later"
    assert world.content(new, "/root/.cache/deep/file") == b"cached"
    assert world.status(bottle) is Status.RUNNING
    assert commit(world.context, new).commit.number == 3
    assert len(bottle.commits()) == 2


def test_an_older_commit_brings_the_transcript_of_its_time(world: World) -> None:
    bottle = committed(world)
    new = world.home.bottle(fork(world.context, bottle, replace(SHARED, at=1)).identity)
    assert (new.transcript / "files/root/.demo/log").read_bytes() == b"first"
    assert (bottle.transcript / "files/root/.demo/log").read_bytes() == b"second"
    assert [commit.number for commit in new.commits()] == [1]


def test_what_fork_and_origin_write_then_is_apart(world: World) -> None:
    bottle = committed(world)
    new = world.home.bottle(fork(world.context, bottle, SHARED).identity)
    resume(world.context, new, ResumeRequest())
    world.work(new, "/root/.cache/deep/file", b"changed")
    assert world.content(bottle, "/root/.cache/deep/file") == b"cached"


def test_what_the_copy_of_a_volume_lacks_is_told(world: World, tmp_path: Path) -> None:
    bottle = committed(world)
    volume = tmp_path / "volume"
    volume.mkdir()
    with socket(AF_UNIX) as server:
        server.bind(str(volume / "s"))
    world.engine.volumes_on_disk[bottle.identity.volume("cache")] = volume
    notes = fork(world.context, bottle, SHARED).notes
    assert f"the copy of volume {bottle.identity.volume('cache')}: 1 socket: s" in notes


def test_a_volume_that_is_gone_is_no_obstacle(world: World) -> None:
    bottle = committed(world)
    stop(world.context, bottle)
    world.lose_container(bottle)
    world.engine.remove_volume(bottle.identity.volume("cache"))
    new = fork(world.context, bottle, SHARED)
    assert new.volumes == (new.identity.volume("cache"),)


def test_a_volume_that_docker_cannot_copy_whole_is_not_forked(world: World, tmp_path: Path) -> None:
    bottle = committed(world)
    volume = tmp_path / "volume"
    volume.mkdir()
    make_deep(volume, 20, name="x" * 200)
    world.engine.volumes_on_disk[bottle.identity.volume("cache")] = volume
    with pytest.raises(PathTooLong, match="volume bottle-"):
        fork(world.context, bottle, SHARED)
    assert world.home.identities() == (bottle.identity,)
    assert world.status(bottle) is Status.RUNNING


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9], ids=str)
def test_a_volume_that_comes_out_torn_is_not_forked(world: World, monkeypatch: pytest.MonkeyPatch, kept: float) -> None:
    bottle = committed(world)
    world.work(bottle, "/root/.cache/large", b"x" * 5000)
    read = world.engine.read_archive

    def torn(ref: str, path: str) -> Iterator[bytes]:
        tar = b"".join(read(ref, path))
        end = int(len(tar.rstrip(b"\0")) * kept)
        yield tar[: end - end % 512] if path.startswith("/bottle-volume-") else tar

    with monkeypatch.context() as patch:
        patch.setattr(world.engine, "read_archive", torn)
        with pytest.raises(VerificationFailed, match=r"volume bottle-.* is no whole tar"):
            fork(world.context, bottle, SHARED)
    assert world.home.identities() == (bottle.identity,)
    assert world.status(bottle) is Status.RUNNING
    assert fork(world.context, bottle, SHARED).volumes


def test_the_origin_may_go(world: World) -> None:
    bottle = committed(world)
    new = world.home.bottle(fork(world.context, bottle, replace(SHARED, at=1)).identity)
    stop(world.context, bottle)
    remove(world.context, bottle, consent=True)
    world.check(new)
    resume(world.context, new, ResumeRequest())
    assert world.content(new, "/root/.demo/log") == b"first"
    stop(world.context, new)
    remove(world.context, new, consent=True)
    assert not [tag for image in world.engine.images({}) for tag in image.tags if "committed" in tag]
    assert world.engine.volumes({"bottle.identity": None}) == ()


def test_a_fork_may_go_and_its_origin_stays(world: World) -> None:
    bottle = committed(world)
    new = world.home.bottle(fork(world.context, bottle, SHARED).identity)
    assert remove(world.context, new, consent=True).images
    world.check(bottle)
    assert [entry.image for entry in history(world.context, bottle).entries] == ["present", "present"]


@pytest.mark.parametrize("request_", [ForkRequest(), ForkRequest(share_cwd=True, cwd=Path("/"))])
def test_a_mounted_workspace_needs_a_word(world: World, request_: ForkRequest) -> None:
    bottle = committed(world)
    with pytest.raises(UsageError):
        fork(world.context, bottle, request_)
    assert world.home.identities() == (bottle.identity,)


def test_another_workspace(world: World, tmp_path: Path) -> None:
    bottle = committed(world)
    other = tmp_path / "other"
    with pytest.raises(UsageError, match="no folder"):
        fork(world.context, bottle, ForkRequest(cwd=other))
    other.mkdir()
    forked = fork(world.context, bottle, ForkRequest(cwd=other))
    assert (forked.cwd, forked.shared) == (other, None)
    assert world.home.bottle(forked.identity).metadata().cwd == other


def test_a_copied_workspace_is_the_forks_own(world: World) -> None:
    bottle = world.start(AGENT, copy_cwd=True)
    commit(world.context, bottle)
    with pytest.raises(UsageError, match="inside its image"):
        fork(world.context, bottle, SHARED)
    assert fork(world.context, bottle, ForkRequest()).shared is None


def test_what_cannot_be_forked(world: World) -> None:
    bottle = world.start()
    with pytest.raises(NotFound, match="no commit to fork off"):
        fork(world.context, bottle, SHARED)
    commit(world.context, bottle)
    with pytest.raises(NotFound, match="no commit 7"):
        fork(world.context, bottle, replace(SHARED, at=7))
    world.engine.add_image(bottle.identity.committed(1), {"/else": b""})
    with pytest.raises(VerificationFailed):
        fork(world.context, bottle, SHARED)
    world.lose_images(bottle)
    with pytest.raises(NotFound, match="is gone"):
        fork(world.context, bottle, SHARED)
    bottle.tombstone.write(Tombstone(host="other", moved_at=world.engine.clock()))
    with pytest.raises(MovedAway):
        fork(world.context, bottle, SHARED)
    assert world.home.identities() == (bottle.identity,)
    assert world.home.leftovers() == ()


def nothing_is_left(world: World, origin: BottleState) -> bool:
    """Nothing but the origin is known to disk and engine."""
    tags = {tag for image in world.engine.images({}) for tag in image.tags if "committed" in tag}
    return (
        world.home.identities() == (origin.identity,)
        and world.home.leftovers() == ()
        and all(tag.startswith(origin.identity.committed_repository) for tag in tags)
        and world.engine.volumes({}) == world.engine.volumes({"bottle.identity": str(origin.identity)})
        and {each.name for each in world.engine.containers({})} == {origin.identity.container}
    )


@pytest.mark.parametrize("deadly", [False, True])
def test_wherever_it_ends_there_is_a_whole_fork_or_none(tmp_path: Path, deadly: bool) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world = World(tmp_path / str(next(numbers)))
        bottle = committed(world)
        try:
            with world.doomed(fate) as context:
                fork(context, bottle, SHARED)
        except (BottleError, Killed):
            made = [identity for identity in world.home.identities() if identity != bottle.identity]
            for identity in made:  # it ended after the rename
                new = world.home.bottle(identity)
                world.check(new)
                resume(world.context, new, ResumeRequest())
                assert world.content(new, "/root/.cache/deep/file") == b"cached"
            if deadly and not made:
                prune(world.context, plan_for(world.context, timedelta(0)), consent=False)
            settle(world.context, bottle)
            assert bottle.paused_by is None
            assert made or nothing_is_left(world, bottle) or "remove_" in fate.last, fate.last
        else:
            assert not fate.came or fate.last in GOES_ON, fate.last
        assert world.status(bottle) is Status.RUNNING, fate.last
        world.check(bottle)

    assert every_moment(run, deadly=deadly) > 20


def test_an_origin_that_somebody_paused_stays_so(world: World) -> None:
    bottle = committed(world)
    world.engine.pause(bottle.identity.container)
    fork(world.context, bottle, SHARED)
    assert world.status(bottle) is Status.PAUSED


def test_an_origin_that_does_not_pause_is_not_copied_while_it_writes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bottle = committed(world)
    monkeypatch.setattr(world.engine, "pause", lambda ref: None)
    with pytest.raises(EngineError, match="could not be paused"):
        fork(world.context, bottle, SHARED)
    assert nothing_is_left(world, bottle)
    assert bottle.paused_by is None


def test_a_fork_leaves_the_note_of_a_move_alone(world: World) -> None:
    bottle = committed(world)
    note = MigrationRecord(
        phase=MigrationPhase.STAGING, host="far", nonce="n", commit=2, started_at=world.engine.clock()
    )
    bottle.migration.write(note)
    fork(world.context, bottle, SHARED)
    assert bottle.migration.read() == note


def test_a_fork_of_what_was_imported_is_built_with_its_own_folder(world: World) -> None:
    bottle = committed(world)
    metadata = bottle.metadata()
    imported = replace(metadata.agent, image=None, dockerfile=bottle.path / DOCKERFILE)
    bottle.write_metadata(replace(metadata, agent=imported))
    new = world.home.bottle(fork(world.context, bottle, SHARED).identity)
    assert new.metadata().agent.dockerfile == new.path / DOCKERFILE


def test_a_fork_in_a_git_worktree_is_told_to_be_without_git(world: World, tmp_path: Path) -> None:
    bottle = committed(world)
    git(repository(tmp_path / "main"), "worktree", "add", "--quiet", str(tmp_path / "try"))
    forked = fork(world.context, bottle, ForkRequest(cwd=tmp_path / "try"))
    assert any("git does not work in the bottle" in note for note in forked.notes)
