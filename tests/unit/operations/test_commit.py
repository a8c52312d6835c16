"""`commit`: a snapshot in force, or the one before it, whatever fails and wherever it dies."""

from __future__ import annotations

import itertools
import tarfile
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from bottle.errors import (
    BackendUnsupported,
    BottleError,
    EngineError,
    Locked,
    MovedAway,
    NotFound,
    PreflightRefused,
    VerificationFailed,
)
from bottle.losses import unseen
from bottle.model import ImageDefaults, Mount, MountKind, Status, Tombstone
from bottle.operations import Committed, commit, inspect, remove, resume, stop
from bottle.plan.resume import Attach, FromCommit, ResumeRequest
from bottle.store.state import BottleState
from bottle.testing.image import FakeImage
from bottle.testing.tree import FakeNode
from tests.support.trees import snapshot
from tests.support.world import AGENT, Fate, Killed, World, every_moment


def test_a_commit_is_an_image_a_record_and_what_resume_uses(world: World) -> None:
    bottle = world.start()
    world.work(bottle, "/work", b"one")
    world.work(bottle, "/root/.demo/log", b"line")
    committed = commit(world.context, bottle, message="first")
    record = committed.commit
    image = world.engine.image(record.tag)
    assert image is not None
    assert bottle.commits() == (record,)
    assert bottle.committed_image() == record.tag == f"bottle-committed-{bottle.identity}:1"
    assert (record.number, record.message, record.parent) == (1, "first", None)
    assert (record.diff_ids, record.config_digest) == (image.diff_ids, image.config_digest)
    assert set(image.tags) == {record.tag, bottle.identity.committed_latest}
    assert image.labels["bottle.commit"] == "1"
    assert bottle.preserved
    assert (bottle.transcript / "files/root/.demo/log").read_bytes() == b"line"
    assert world.status(bottle) is Status.RUNNING
    assert (committed.resume_line, committed.save_line) == (
        f"bottle resume {bottle.identity}",
        f"docker save {record.tag} | zstd > {bottle.identity}.tar.zst",
    )
    world.check_tidy(bottle)


def test_commits_are_numbered_and_latest_follows(world: World) -> None:
    bottle = world.start()
    for number in (1, 2, 3):
        world.work(bottle, "/work", b"%d" % number)
        assert commit(world.context, bottle).commit.number == number
    assert [each.parent for each in bottle.commits()] == [None, 1, 2]
    latest = world.engine.image(bottle.identity.committed_latest)
    assert latest is not None
    assert bottle.committed_image() in latest.tags
    world.check_tidy(bottle)


@pytest.mark.parametrize(("pause", "paused"), [(True, True), (False, False)])
def test_a_running_bottle_is_paused_for_that_time_unless_the_user_says_so(
    world: World, pause: bool, paused: bool
) -> None:
    bottle = world.start()
    commit(world.context, bottle, pause=pause)
    methods = world.engine.methods
    if paused:
        order = [methods.index(name) for name in ("pause", "commit", "unpause")]
        assert order == sorted(order)
    else:
        assert "pause" not in methods
    assert world.status(bottle) is Status.RUNNING


@pytest.mark.parametrize("status", [Status.PAUSED, Status.EXITED, Status.CREATED])
def test_what_does_not_run_stays_as_it_is(world: World, status: Status) -> None:
    bottle = world.start()
    world.engine._container(bottle.identity.container).status = status
    commit(world.context, bottle)
    assert world.status(bottle) is status
    assert "pause" not in world.engine.methods


def test_what_is_mounted_is_not_in_it_and_that_is_said(world: World) -> None:
    agent = replace(AGENT, secrets=("T",), volumes=(Mount(kind=MountKind.VOLUME, source="cache", target="/cache"),))
    bottle = world.start(agent)
    world.work(bottle, "/cache/x", b"in a volume")
    committed = commit(world.context, bottle)
    assert committed.left_out == (
        f"/cache (volume {bottle.identity.volume('cache')})",
        f"/workspace (bind {world.cwd})",
    )


def test_what_docker_drops_is_said(world: World, tmp_path: Path) -> None:
    bottle = world.start()
    world.work(bottle, "/srv/file", b"x")
    assert "not checked" in commit(world.context, bottle).dropped[0]
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "file").touch()
    world.engine.layers_on_disk[bottle.identity.container] = layer
    assert commit(world.context, bottle).dropped == ("the fractions of a second of 1 modification time",)


def test_what_holds_of_nearly_every_commit_is_kept_and_not_told_each_time(world: World, tmp_path: Path) -> None:
    bottle = world.start()
    world.work(bottle, "/srv/file", b"x")
    first, second = commit(world.context, bottle), commit(world.context, bottle)
    assert first.dropped == second.dropped == first.told == unseen()
    assert second.told == ()
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "file").touch()
    world.engine.layers_on_disk[bottle.identity.container] = layer
    third = commit(world.context, bottle)
    assert third.dropped == ("the fractions of a second of 1 modification time",)
    assert third.told == ()
    assert bottle.commits()[-1].dropped == third.dropped


def test_where_nothing_was_written_nothing_can_be_dropped(world: World) -> None:
    assert commit(world.context, world.start()).dropped == ()


@pytest.mark.parametrize(
    ("entrypoint", "command"), list(itertools.product((None, ["/entry", "-x"]), (None, ["serve", "all"])))
)
def test_entrypoint_and_command_are_those_of_the_agents_image(
    world: World, entrypoint: list[str] | None, command: list[str] | None
) -> None:
    world.engine.add_image("shaped", {"/bin/sh": b""}, Entrypoint=entrypoint, Cmd=command, User="")
    bottle = world.start(replace(AGENT, image="shaped", secrets=("T",)))
    tag = commit(world.context, bottle).commit.tag
    world.lose_container(bottle)
    resume(world.context, bottle, ResumeRequest())
    tags = (tag, commit(world.context, bottle).commit.tag)
    for image in map(world.engine.image, tags):
        assert image is not None
        assert image.defaults == ImageDefaults(entrypoint=tuple(entrypoint or ()), command=tuple(command or ()))


# --- what is refused --------------------------------------------------------------------------------------------------


def refused(world: World, bottle: BottleState, error: type[BottleError], words: str) -> BottleError:
    """Try to commit; nothing on the disk and no image is different afterwards."""
    before, images = snapshot(world.home.path), world.engine.images({})
    with pytest.raises(error, match=words) as caught:
        commit(world.context, bottle)
    assert snapshot(world.home.path) == before
    assert world.engine.images({}) == images
    return caught.value


def test_another_backend_is_refused_by_name(world: World) -> None:
    bottle = world.start()
    bottle.write_metadata(replace(bottle.metadata(), backend="smolmachines"))
    assert refused(world, bottle, BackendUnsupported, "'smolmachines'").exit_code == 4


def test_a_bottle_that_moved_is_refused(world: World) -> None:
    bottle = world.start()
    bottle.tombstone.write(Tombstone(host="far.example", moved_at=world.engine.clock()))
    assert refused(world, bottle, MovedAway, r"far\.example").exit_code == 4


def test_a_bottle_without_container_is_refused(world: World) -> None:
    bottle = world.start()
    world.lose_container(bottle)
    assert refused(world, bottle, NotFound, "no container").exit_code == 3


def test_a_whiteout_is_refused_by_name(world: World) -> None:
    bottle = world.start()
    world.work(bottle, "/srv/.wh.foo", b"")
    assert refused(world, bottle, PreflightRefused, r"/srv/\.wh\.foo").exit_code == 8
    assert world.status(bottle) is Status.RUNNING
    assert "pause" not in world.engine.methods


def test_the_disk_that_must_have_room_is_the_engines(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = world.start()
    here = replace(world.engine.info(), root_dir=str(world.folder))
    monkeypatch.setattr(world.engine, "info", lambda: here)
    monkeypatch.setattr(world.engine, "writable_size", lambda _: 10**18)
    assert refused(world, bottle, PreflightRefused, "disk has").exit_code == 8
    world.engine.is_local = False  # the folder of that name is another host's
    assert commit(world.context, bottle).commit.number == 1


@pytest.mark.parametrize(("target", "files"), [("/data/demo", 1), ("/cache/demo", 0), ("/", 0)])
def test_a_transcript_that_is_a_link_is_saved_kept_by_its_volume_or_named(
    world: World, target: str, files: int
) -> None:
    volume = Mount(kind=MountKind.VOLUME, source="cache", target="/cache")
    bottle = world.start(replace(AGENT, volumes=(volume,)))
    world.engine.write(bottle.identity.container, "/root/.demo", node=FakeNode(type=tarfile.SYMTYPE, target=target))
    world.work(bottle, "/data/demo/log", b"hours")
    world.work(bottle, "/cache/demo/log", b"hours")
    dropped = commit(world.context, bottle).dropped
    assert inspect(world.context, bottle).transcript.files == files
    assert any("is a link to" in each for each in dropped) is (target == "/")


def test_two_at_once_are_one_and_one_that_is_told_who(world: World) -> None:
    bottle = world.start()
    with bottle.locked("bottle migrate"):
        assert refused(world, bottle, Locked, "bottle migrate").exit_code == 4


def test_a_pause_that_does_nothing_is_noticed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = world.start()
    monkeypatch.setattr(world.engine, "pause", lambda _: None)
    with pytest.raises(EngineError, match="could not be paused"):
        commit(world.context, bottle)
    assert bottle.committed_image() is None
    assert "commit" not in world.engine.methods


# --- when the engine is odd -------------------------------------------------------------------------------------------


def test_an_answer_that_is_lost_is_looked_up(world: World) -> None:
    bottle = world.start()
    world.engine.fail_next("commit", EngineError("did not answer in time"), afterwards=True)
    assert commit(world.context, bottle).commit.number == 1
    world.check_tidy(bottle)


def test_a_commit_that_the_engine_cannot_make_says_what_is_left(world: World) -> None:
    bottle = world.start()
    world.engine.fail_next("commit", EngineError("no space left on device"))
    with pytest.raises(EngineError) as failed:
        commit(world.context, bottle)
    assert "stays in force" in failed.value.left
    assert commit(world.context, bottle).commit.number == 1
    world.check_tidy(bottle)


def test_a_commit_that_finishes_late_takes_no_other_ones_tag(world: World) -> None:
    bottle = world.start()
    engine_commit, late = world.engine.commit, []

    def die(ref: str, spec: object) -> None:
        late.append((ref, spec))
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.engine, "commit", die)
        with pytest.raises(Killed):
            commit(world.context, bottle)
    world.work(bottle, "/work", b"newer")
    commit(world.context, bottle)
    engine_commit(*late[0])  # what the engine was still at
    world.check(bottle)
    world.lose_container(bottle)
    resume(world.context, bottle, ResumeRequest())
    assert world.content(bottle, "/work") == b"newer"
    world.engine.exit(bottle.identity.container)
    remove(world.context, bottle, consent=True)
    assert world.engine.images({"bottle.identity": str(bottle.identity)}) == ()


def test_an_image_that_stands_on_something_else_is_never_used(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = world.start()
    first = commit(world.context, bottle).commit
    real = FakeImage(layers=(b"alien",), config={}, created=world.engine.clock())
    engine_commit = world.engine.commit

    def stray(ref: str, spec: object) -> object:
        engine_commit(ref, spec)
        labels = dict(spec.labels)  # type: ignore[attr-defined]
        alien = replace(real, config={"Labels": labels})
        return world.engine._facts(world.engine._keep(alien, (spec.tag,)))  # type: ignore[attr-defined]

    monkeypatch.setattr(world.engine, "commit", stray)
    for _ in range(2):
        with pytest.raises(VerificationFailed, match="does not stand on"):
            commit(world.context, bottle)
        assert bottle.commits() == (first,)
        assert bottle.committed_image() == first.tag
    assert world.status(bottle) is Status.RUNNING


def test_files_that_an_unpaused_commit_missed_are_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = world.start()
    world.work(bottle, "/kept", b"x")
    engine_commit = world.engine.commit

    def miss(ref: str, spec: object) -> object:
        image = engine_commit(ref, spec)
        world.work(bottle, "/missed", b"x")
        return image

    monkeypatch.setattr(world.engine, "commit", miss)
    dropped = commit(world.context, bottle, pause=False).dropped
    assert any("/missed" in line and "/kept" not in line for line in dropped)
    assert [each.name for each in world.engine.containers({})] == [bottle.identity.container]


def test_a_transcript_that_cannot_be_copied_does_not_stop_it(world: World) -> None:
    bottle = world.start(replace(AGENT, transcript=("/root/.demo", "/root/x")))
    world.work(bottle, "/root/x", b"x")
    world.engine.write(bottle.identity.container, "/root/.demo/" + "x" * 300, b"a name that no disk here takes")
    committed = commit(world.context, bottle)
    assert any("the transcript could not be copied" in line for line in committed.dropped)
    assert bottle.committed_image() == committed.commit.tag


# --- when it fails or dies --------------------------------------------------------------------------------------------


def prepared(folder: Path) -> tuple[World, BottleState]:
    """A bottle with one commit, and work done since."""
    world = World(folder)
    bottle = world.start()
    world.work(bottle, "/work", b"one")
    world.work(bottle, "/root/.demo/log", b"one")
    commit(world.context, bottle)
    world.work(bottle, "/work", b"two")
    world.work(bottle, "/root/.demo/log", b"two")
    return world, bottle


def committed_work(world: World, bottle: BottleState) -> bytes | None:
    """What is in `/work` after the container is lost and the bottle resumed from its commit."""
    world.lose_container(bottle)
    resumed = resume(world.context, bottle, ResumeRequest())
    assert isinstance(resumed.plan, FromCommit)
    return world.content(bottle, "/work")


@pytest.mark.parametrize(("deadly", "pause"), [(False, True), (True, True), (True, False)])
def test_wherever_it_ends_a_commit_is_in_force_and_the_next_one_works(
    tmp_path: Path, deadly: bool, pause: bool
) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world, bottle = prepared(tmp_path / str(next(numbers)))
        broken(world, bottle, fate)
        again: Committed = commit(world.context, bottle, pause=pause)
        assert world.status(bottle) is Status.RUNNING, fate.last
        assert bottle.committed_image() == again.commit.tag
        assert again.commit.number in {2, 3}
        world.check_tidy(bottle)
        assert (bottle.transcript / "files/root/.demo/log").read_bytes() == b"two"
        assert committed_work(world, bottle) == b"two", fate.last
        world.check_tidy(bottle)

    def broken(world: World, bottle: BottleState, fate: Fate) -> None:
        try:
            with world.doomed(fate) as context:
                commit(context, bottle, pause=pause)
        except (Killed, BottleError):
            assert fate.came
        world.check(bottle)
        assert bottle.committed_image() in {bottle.identity.committed(1), bottle.identity.committed(2)}

    assert every_moment(run, deadly=deadly) > 40


def test_wherever_it_dies_resume_finds_a_whole_bottle(tmp_path: Path) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world, bottle = prepared(tmp_path / str(next(numbers)))
        try:
            with world.doomed(fate) as context:
                commit(context, bottle)
        except Killed:
            pass
        resumed = resume(world.context, bottle, ResumeRequest())
        assert isinstance(resumed.plan, Attach)
        assert world.status(bottle) is Status.RUNNING, fate.last
        assert world.content(bottle, "/work") == b"two"
        world.check_tidy(bottle)
        assert committed_work(world, bottle) in {b"one", b"two"}, fate.last

    every_moment(run, deadly=True)


def test_wherever_it_dies_the_loss_of_the_container_costs_only_what_was_not_committed(tmp_path: Path) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world, bottle = prepared(tmp_path / str(next(numbers)))
        done = False
        try:
            with world.doomed(fate) as context:
                commit(context, bottle)
                done = True
        except Killed:
            pass
        assert committed_work(world, bottle) in ({b"two"} if done else {b"one", b"two"}), fate.last
        world.check_tidy(bottle)

    every_moment(run, deadly=True)


def test_wherever_it_dies_a_stop_leaves_no_bottle_paused(tmp_path: Path) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world, bottle = prepared(tmp_path / str(next(numbers)))
        try:
            with world.doomed(fate) as context:
                commit(context, bottle)
        except Killed:
            pass
        assert stop(world.context, bottle).was_running
        assert world.status(bottle) is Status.EXITED
        world.check_tidy(bottle)

    every_moment(run, deadly=True)
