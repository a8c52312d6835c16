"""`resume`: the first way that works, and no work lost on any."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from bottle.errors import (
    BackendUnsupported,
    BottleError,
    Conflict,
    EngineError,
    Locked,
    MovedAway,
    NameTaken,
    NeedsConsent,
    NotFound,
    NothingToResume,
    PreflightRefused,
    UsageError,
    VerificationFailed,
)
from bottle.launch import Once, made_to_run
from bottle.model import ContainerMark, LaunchSpec, Mount, MountKind, Status, Tombstone
from bottle.operations import StartRequest, commit, observe_resume, plan_start, resume, start, stop
from bottle.plan.resume import Attach, FromCommit, Rebuild, ResumePlan, ResumeRequest, StartAgain, plan_resume
from bottle.store.state import BottleState
from migrate.secrets.policy import own_layers
from tests.support.trees import snapshot
from tests.support.world import AGENT, BASE, Fate, Killed, World, every_moment

PLAIN = ResumeRequest()


def committed(world: World) -> BottleState:
    """A stopped bottle whose commit holds all its work."""
    bottle = world.start(replace(AGENT, resume_command=("cat", "--continue")))
    world.work(bottle, "/work", b"one")
    world.work(bottle, "/root/.demo/log", b"line")
    stop(world.context, bottle)
    commit(world.context, bottle)
    return bottle


def test_a_running_bottle_is_joined_and_nothing_is_touched(world: World) -> None:
    bottle = world.start()
    world.engine.calls.clear()
    resumed = resume(world.context, bottle, PLAIN)
    assert isinstance(resumed.plan, Attach)
    assert resumed.running
    assert not {"create", "start", "build", "remove_container"} & set(world.engine.methods)


def test_a_paused_bottle_goes_on(world: World) -> None:
    bottle = world.start()
    world.engine.pause(bottle.identity.container)
    resume(world.context, bottle, PLAIN)
    assert world.status(bottle) is Status.RUNNING


def test_a_stopped_one_with_newer_work_is_started_again(world: World) -> None:
    bottle = world.start()
    commit(world.context, bottle)
    world.work(bottle, "/work", b"newer")
    stop(world.context, bottle)
    resumed = resume(world.context, bottle, PLAIN)
    assert isinstance(resumed.plan, StartAgain)
    assert world.status(bottle) is Status.RUNNING
    assert world.content(bottle, "/work") == b"newer"


def test_from_a_commit_nothing_is_built_and_the_agent_goes_on(world: World) -> None:
    bottle = committed(world)
    world.lose_container(bottle)
    world.engine.calls.clear()
    resumed = resume(world.context, bottle, PLAIN)
    assert isinstance(resumed.plan, FromCommit)
    assert resumed.warnings == ()
    assert not {"build", "pull", "commit"} & set(world.engine.methods)
    assert world.content(bottle, "/work") == b"one"
    container = world.engine._container(bottle.identity.container)
    assert world.command(bottle) == ("cat", "--continue")
    assert container.labels["bottle.commit"] == "1"
    world.check_tidy(bottle)


def test_what_an_image_says_of_itself_decides_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = committed(world)
    image = world.engine.image(bottle.identity.committed(1))
    assert image is not None
    hostile = replace(world.engine._images[image.id], config={"Entrypoint": ["/evil"], "User": "evil"})
    world.engine._images[image.id] = hostile
    world.lose_container(bottle)
    resume(world.context, bottle, PLAIN)
    spec = world.engine._container(bottle.identity.container).spec
    assert (world.command(bottle), spec.user) == (("cat", "--continue"), "")


def test_an_older_commit_can_be_gone_back_to(world: World) -> None:
    bottle = committed(world)
    resume(world.context, bottle, PLAIN)
    world.work(bottle, "/work", b"two")
    stop(world.context, bottle)
    with pytest.raises(NeedsConsent):
        resume(world.context, bottle, ResumeRequest(at=1))
    commit(world.context, bottle)
    resumed = resume(world.context, bottle, ResumeRequest(at=1))
    assert isinstance(resumed.plan, FromCommit)
    assert world.content(bottle, "/work") == b"one"
    assert bottle.committed_image() == bottle.identity.committed(1)
    world.work(bottle, "/work", b"three")
    assert commit(world.context, bottle).commit.parent == 1
    world.engine.exit(bottle.identity.container)
    with pytest.raises(NotFound, match="no commit 9"):
        resume(world.context, bottle, ResumeRequest(at=9, consent=True))


def test_a_container_whose_commit_lost_its_image_is_not_given_up(world: World) -> None:
    bottle = committed(world)
    resume(world.context, bottle, PLAIN)
    world.work(bottle, "/work", b"two")
    stop(world.context, bottle)
    commit(world.context, bottle)
    world.engine.remove_image(bottle.identity.committed_latest)
    world.engine.remove_image(bottle.identity.committed(2))
    with pytest.raises(NeedsConsent, match="gone"):
        resume(world.context, bottle, ResumeRequest(at=1))
    assert isinstance(resume(world.context, bottle, PLAIN).plan, StartAgain)
    assert world.content(bottle, "/work") == b"two"


def test_whom_the_entry_names_the_agent_is_in_every_later_container(world: World) -> None:
    passwd = b"root:x:0:0::/root:/bin/sh\nagent:x:1234:1235::/home/agent:/bin/sh\n"
    world.engine.add_image("users:1", {"/etc/passwd": passwd}, Cmd=["cat"], User="9")
    (world.cwd / "notes").write_bytes(b"n")
    bottle = world.start(replace(AGENT, image="users:1", user="agent"), copy_cwd=True)
    commit(world.context, bottle)
    made = world.engine.image(bottle.identity.committed(1))
    assert made is not None
    assert made.defaults.user == "9"
    for request in (PLAIN, ResumeRequest(at=1), ResumeRequest(rebuild=True)):
        world.lose_container(bottle)
        resume(world.context, bottle, request)
        container = world.engine._container(bottle.identity.container)
        assert container.spec.user == "agent"
    assert container.tree["/workspace/notes"].uid == 1234


def test_without_images_it_is_built_and_warns_and_the_transcript_comes_back(world: World) -> None:
    dockerfile = world.cwd / "Dockerfile"
    dockerfile.write_text(f'FROM {BASE}\nVOLUME ["/data"]\nCMD ["cat"]\n')
    bottle = world.start(replace(AGENT, image=None, dockerfile=dockerfile, command=None))
    world.work(bottle, "/work", b"lost")
    world.work(bottle, "/root/.demo/log", b"line")
    commit(world.context, bottle)
    world.lose_container(bottle)
    world.lose_images(bottle)
    dockerfile.write_text(f'FROM {BASE}\nVOLUME ["/data", "/more"]\nCMD ["cat"]\n')
    resumed = resume(world.context, bottle, PLAIN)
    assert isinstance(resumed.plan, Rebuild)
    assert "THE FILESYSTEM DID NOT SURVIVE" in resumed.warnings[0]
    assert any("transcript came back" in warning for warning in resumed.warnings)
    assert world.content(bottle, "/work") is None
    assert world.content(bottle, "/root/.demo/log") == b"line"
    container = world.engine.container(bottle.identity.container)
    assert container is not None
    assert not [mount for mount in container.mounts if mount.anonymous]
    image = world.engine.image("bottle-demo:latest")
    assert image is not None
    assert bottle.metadata().base == image.diff_ids


def test_a_build_that_leaves_a_commit_behind_says_how_to_go_back(world: World) -> None:
    bottle = committed(world)
    resumed = resume(world.context, bottle, ResumeRequest(rebuild=True))
    assert any("--at 1" in warning for warning in resumed.warnings)


def test_a_copied_workspace_is_copied_again_when_it_is_built(world: World) -> None:
    (world.cwd / "notes").write_bytes(b"n")
    bottle = world.start(copy_cwd=True)
    world.lose_container(bottle)
    resumed = resume(world.context, bottle, PLAIN)
    assert world.content(bottle, "/workspace/notes") == b"n"
    assert any("fresh copy" in warning for warning in resumed.warnings)
    world.lose_container(bottle)
    (world.cwd / "notes").unlink()
    world.cwd.rmdir()
    assert any("empty" in warning for warning in resume(world.context, bottle, PLAIN).warnings)


DECLARING = "declares:1"


def in_volumes(world: World) -> BottleState:
    """A running bottle whose copied workspace and whose transcript are in volumes that its image declares."""
    (world.cwd / "notes").write_bytes(b"the host's")
    passwd = {"/etc/passwd": b"root:x:0:0::/root:/bin/sh\n"}
    world.engine.add_image(DECLARING, passwd, Cmd=["cat"], Volumes={"/workspace": {}, "/root/.demo": {}})
    return world.start(replace(AGENT, image=DECLARING), copy_cwd=True)


def lose_volumes(world: World, bottle: BottleState) -> None:
    """`docker volume rm` of all that no container has."""
    for volume in world.engine.volumes({"bottle.identity": str(bottle.identity)}):
        world.engine.remove_volume(volume)


def test_a_volume_that_survived_is_not_overwritten_when_it_is_built(world: World) -> None:
    bottle = in_volumes(world)
    world.work(bottle, "/root/.demo/log", b"turn 1")
    commit(world.context, bottle)
    world.work(bottle, "/workspace/notes", b"the agent's")
    world.work(bottle, "/root/.demo/log", b"turn 1, turn 2")
    world.lose_container(bottle)
    world.lose_images(bottle)
    resumed = resume(world.context, bottle, PLAIN)
    assert isinstance(resumed.plan, Rebuild)
    assert world.content(bottle, "/workspace/notes") == b"the agent's"
    assert world.content(bottle, "/root/.demo/log") == b"turn 1, turn 2"
    said = "\n".join(resumed.warnings)
    for target in ("/workspace", "/root/.demo"):
        assert f"{target} is in volume bottle-{bottle.identity}-image" in said
    assert "fresh copy" not in said
    assert "transcript came back" not in said
    assert bottle.resume_intent.read() is None


def test_a_volume_inside_of_what_is_filled_again_is_not_overwritten(world: World) -> None:
    (world.cwd / "cache").mkdir()
    for name in ("notes", "cache/x"):
        (world.cwd / name).write_bytes(b"the host's")
    volumes = tuple(
        Mount(kind=MountKind.VOLUME, source=source, target=target)
        for source, target in (("cache", "/workspace/cache"), ("turns", "/root/.demo/turns"))
    )
    bottle = world.start(replace(AGENT, volumes=volumes), copy_cwd=True)
    for name in ("log", "turns/1"):
        world.work(bottle, f"/root/.demo/{name}", b"then")
    commit(world.context, bottle)
    world.work(bottle, "/workspace/cache/x", b"the agent's")
    world.work(bottle, "/root/.demo/turns/1", b"now")
    world.lose_container(bottle)
    world.lose_images(bottle)
    said = "\n".join(resume(world.context, bottle, PLAIN).warnings)
    found = {path: world.content(bottle, path) for path in ("/workspace/notes", "/root/.demo/log")}
    assert found == {"/workspace/notes": b"the host's", "/root/.demo/log": b"then"}
    assert world.content(bottle, "/workspace/cache/x") == b"the agent's"
    assert world.content(bottle, "/root/.demo/turns/1") == b"now"
    assert "/workspace/cache is in volume" in said
    assert "/root/.demo/turns is in volume" in said


def test_a_volume_that_is_gone_is_filled_again(world: World) -> None:
    bottle = in_volumes(world)
    world.work(bottle, "/root/.demo/log", b"line")
    stop(world.context, bottle)
    world.lose_container(bottle)
    lose_volumes(world, bottle)
    assert any("fresh copy" in warning for warning in resume(world.context, bottle, PLAIN).warnings)
    assert world.content(bottle, "/workspace/notes") == b"the host's"
    assert world.content(bottle, "/root/.demo/log") == b"line"


def test_with_nothing_left_it_says_where_it_looked(world: World) -> None:
    dockerfile = world.cwd / "Dockerfile"
    dockerfile.write_text(f'FROM {BASE}\nCMD ["cat"]\n')
    bottle = world.start(replace(AGENT, image=None, dockerfile=dockerfile, command=None))
    world.lose_container(bottle)
    dockerfile.unlink()
    with pytest.raises(NothingToResume, match=str(dockerfile)):
        resume(world.context, bottle, PLAIN)
    own = bottle.path / "Dockerfile"
    own.write_text(f'FROM {BASE}\nCMD ["cat"]\n')
    resumed = resume(world.context, bottle, PLAIN)
    assert isinstance(resumed.plan, Rebuild)
    assert resumed.plan.own
    assert bottle.metadata().image == bottle.identity.rebuilt


def test_secrets_come_from_the_environment_as_it_is_now(world: World) -> None:
    world.environ["TOKEN"] = "first"
    bottle = world.start(replace(AGENT, secrets=("TOKEN",)))
    secrets = world.runtime / str(bottle.identity) / "secrets"
    stop(world.context, bottle)
    assert not secrets.exists()
    world.environ["TOKEN"] = "second"
    resume(world.context, bottle, PLAIN)
    assert secrets.read_bytes() == b"export TOKEN=second\n"
    del world.environ["TOKEN"]
    stop(world.context, bottle)
    assert any("TOKEN" in warning for warning in resume(world.context, bottle, PLAIN).warnings)


def test_a_plan_is_made_without_changing_anything(world: World) -> None:
    bottle = committed(world)
    (bottle.transcript).rename(bottle.path / "transcript.old")  # as if a writer were at it
    before, calls = snapshot(world.home.path), len(world.engine.calls)
    plan = plan_resume(observe_resume(world.context, bottle, PLAIN), PLAIN)
    assert isinstance(plan, FromCommit)
    assert snapshot(world.home.path) == before
    changing = {"create", "start", "stop", "tag", "remove_container", "remove_image", "unpause", "rename", "commit"}
    assert not changing & {call.method for call in world.engine.calls[calls:]}


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_bottle_that_moved_is_refused_until_it_is_taken_back(world: World) -> None:
    bottle = committed(world)
    bottle.tombstone.write(Tombstone(host="far.example", moved_at=world.engine.clock()))
    before = snapshot(world.home.path)
    for request in (PLAIN, ResumeRequest(at=1), ResumeRequest(rebuild=True, consent=True), ResumeRequest(at=99)):
        with pytest.raises(MovedAway, match=r"far\.example"):
            resume(world.context, bottle, request)
    assert snapshot(world.home.path) == before
    resume(world.context, bottle, ResumeRequest(force=True))
    assert bottle.tombstone.read() is None
    assert world.status(bottle) is Status.RUNNING


@pytest.mark.parametrize("deadly", [False, True])
@pytest.mark.parametrize("request_", [PLAIN, ResumeRequest(rebuild=True), ResumeRequest(at=1, consent=True)])
@pytest.mark.parametrize("newer", [False, True])
def test_a_bottle_that_could_not_be_taken_back_still_lives_elsewhere(
    tmp_path: Path, request_: ResumeRequest, newer: bool, deadly: bool
) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world = World(tmp_path / str(next(numbers)))
        bottle = committed(world)
        if newer:
            resume(world.context, bottle, PLAIN)
            stop(world.context, bottle)
        bottle.tombstone.write(Tombstone(host="far.example", moved_at=world.engine.clock()))
        try:
            with world.doomed(fate) as context:
                resume(context, bottle, replace(request_, force=True, consent=True))
        except (Killed, BottleError):
            assert fate.came
        stands = world.engine.container(bottle.identity.draft) is None and world.status(bottle) is not None
        assert bottle.tombstone.read() is not None or stands, fate.last
        if world.status(bottle) is Status.RUNNING:
            assert bottle.tombstone.read() is None, fate.last
        resume(world.context, bottle, replace(PLAIN, force=True))
        assert bottle.tombstone.read() is None
        assert world.status(bottle) is Status.RUNNING

    every_moment(run, deadly=deadly)


@pytest.mark.parametrize("method", ["create", "remove_container", "rename"])
def test_a_taking_back_that_an_engine_refuses_leaves_the_tombstone(world: World, method: str) -> None:
    bottle = committed(world)
    bottle.tombstone.write(Tombstone(host="far.example", moved_at=world.engine.clock()))
    world.engine.fail_next(method, EngineError("refused"))
    with pytest.raises(EngineError):
        resume(world.context, bottle, ResumeRequest(force=True))
    with pytest.raises(MovedAway, match=r"far\.example"):
        resume(world.context, bottle, PLAIN)
    resume(world.context, bottle, ResumeRequest(force=True), begin=False)
    assert bottle.tombstone.read() is None


def test_another_backend_is_refused(world: World) -> None:
    bottle = committed(world)
    bottle.write_metadata(replace(bottle.metadata(), backend="smolmachines"))
    with pytest.raises(BackendUnsupported, match="'smolmachines'"):
        resume(world.context, bottle, PLAIN)


def test_two_at_once_are_one(world: World) -> None:
    bottle = committed(world)
    with bottle.locked("bottle commit"), pytest.raises(Locked, match="bottle commit"):
        resume(world.context, bottle, PLAIN)


def test_a_workspace_that_is_gone_is_asked_for_before_anything_is_done(world: World) -> None:
    bottle = committed(world)
    running = world.start()
    world.cwd.rmdir()
    with pytest.raises(PreflightRefused, match="not there to be mounted") as caught:
        resume(world.context, bottle, PLAIN)
    assert str(world.cwd) in caught.value.next_step
    assert world.status(bottle) is Status.EXITED
    assert isinstance(resume(world.context, running, PLAIN).plan, Attach)
    stop(world.context, running)
    with pytest.raises(PreflightRefused):
        resume(world.context, running, PLAIN)


def test_an_image_that_was_exchanged_is_refused(world: World) -> None:
    bottle = committed(world)
    world.engine.tag(BASE, bottle.identity.committed(1))
    world.lose_container(bottle)
    with pytest.raises(VerificationFailed):
        resume(world.context, bottle, PLAIN)
    assert world.status(bottle) is None


@pytest.mark.parametrize("alive", [True, False])
@pytest.mark.parametrize("request_", [PLAIN, ResumeRequest(rebuild=True)])
def test_a_container_that_was_started_meanwhile_is_not_removed(
    world: World, monkeypatch: pytest.MonkeyPatch, request_: ResumeRequest, alive: bool
) -> None:
    bottle = committed(world)
    name, create = bottle.identity.container, world.engine.create

    def meanwhile(spec: LaunchSpec) -> str:
        if world.content(bottle, "/new") is None:
            world.engine.start(name)
            world.work(bottle, "/new", b"work")
            if not alive:
                world.engine.stop(name)
        return create(spec)

    with monkeypatch.context() as patch:
        patch.setattr(world.engine, "create", meanwhile)
        with pytest.raises(Conflict, match="was started") as caught:
            resume(world.context, bottle, request_)
    assert f"bottle stop {bottle.identity}" in caught.value.next_step
    assert world.content(bottle, "/new") == b"work"
    world.check_tidy(bottle)


def test_somebody_elses_container_is_not_touched(world: World) -> None:
    bottle = committed(world)
    spec = replace(world.engine._container(bottle.identity.container).spec, labels=(), name=bottle.identity.container)
    image = world.engine.add_image("plain", {}, Cmd=["sh"])
    world.lose_container(bottle)
    world.engine.create(replace(spec, image=image.id))
    for operation in (lambda: resume(world.context, bottle, PLAIN), lambda: commit(world.context, bottle)):
        with pytest.raises(NameTaken):
            operation()
    assert world.status(bottle) is Status.CREATED


@pytest.mark.parametrize("method", ["create", "remove_container", "rename", "start"])
def test_an_engine_that_refuses_costs_no_work(world: World, method: str) -> None:
    bottle = committed(world)
    world.engine.fail_next(method, EngineError("refused"))
    with pytest.raises(EngineError):
        resume(world.context, bottle, PLAIN)
    resume(world.context, bottle, PLAIN)
    assert world.content(bottle, "/work") == b"one"
    world.check_tidy(bottle)


# --- when it fails or dies --------------------------------------------------------------------------------------------


def from_commit(folder: Path) -> tuple[World, BottleState, ResumeRequest]:
    """A stopped bottle that a commit holds."""
    world = World(folder)
    return world, committed(world), PLAIN


def back_to_the_first(folder: Path) -> tuple[World, BottleState, ResumeRequest]:
    """A stopped bottle whose newer work may go."""
    world, bottle, _ = from_commit(folder)
    resume(world.context, bottle, PLAIN)
    world.work(bottle, "/work", b"newer")
    stop(world.context, bottle)
    return world, bottle, ResumeRequest(at=1, consent=True)


def rebuilt(folder: Path) -> tuple[World, BottleState, ResumeRequest]:
    """A bottle of which only the transcript and the volumes are left."""
    world = World(folder)
    (world.cwd / "notes").write_bytes(b"n")
    volume = Mount(kind=MountKind.VOLUME, source="cache", target="/cache")
    bottle = world.start(replace(AGENT, volumes=(volume,)), copy_cwd=True)
    world.work(bottle, "/root/.demo/log", b"line")
    world.work(bottle, "/cache/x", b"cached")
    stop(world.context, bottle)
    world.lose_container(bottle)
    return world, bottle, PLAIN


@pytest.mark.parametrize("deadly", [False, True])
@pytest.mark.parametrize("prepare", [from_commit, back_to_the_first])
def test_wherever_a_resume_from_a_commit_ends_the_next_one_works(tmp_path: Path, prepare: object, deadly: bool) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world, bottle, request = prepare(tmp_path / str(next(numbers)))  # type: ignore[operator]
        try:
            with world.doomed(fate) as context:
                resume(context, bottle, request)
        except (Killed, BottleError):
            assert fate.came
        world.check(bottle)
        if world.status(bottle) is Status.RUNNING:
            request = PLAIN
        resume(world.context, bottle, request)
        assert world.status(bottle) is Status.RUNNING, fate.last
        assert world.content(bottle, "/work") == b"one", fate.last
        world.check_tidy(bottle)

    assert every_moment(run, deadly=deadly) >= 15


@pytest.mark.parametrize("deadly", [False, True])
def test_wherever_a_rebuild_ends_the_next_one_fills_the_volumes_that_it_made(tmp_path: Path, deadly: bool) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world = World(tmp_path / str(next(numbers)))
        bottle = in_volumes(world)
        world.work(bottle, "/root/.demo/log", b"line")
        stop(world.context, bottle)
        world.lose_container(bottle)
        lose_volumes(world, bottle)
        try:
            with world.doomed(fate) as context:
                resume(context, bottle, PLAIN)
        except (Killed, BottleError):
            assert fate.came
        resume(world.context, bottle, PLAIN)
        for path, content in {"/root/.demo/log": b"line", "/workspace/notes": b"the host's"}.items():
            assert world.content(bottle, path) == content, fate.last
            world.work(bottle, path, b"the agent's")
        world.lose_container(bottle)
        resume(world.context, bottle, PLAIN)
        for path in ("/root/.demo/log", "/workspace/notes"):
            assert world.content(bottle, path) == b"the agent's", fate.last

    assert every_moment(run, deadly=deadly) >= 15


@pytest.mark.parametrize("deadly", [False, True])
def test_wherever_a_rebuild_ends_the_transcript_is_not_lost(tmp_path: Path, deadly: bool) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world, bottle, request = rebuilt(tmp_path / str(next(numbers)))
        try:
            with world.doomed(fate) as context:
                resume(context, bottle, request)
        except (Killed, BottleError):
            assert fate.came
        resume(world.context, bottle, PLAIN)
        assert world.status(bottle) is Status.RUNNING, fate.last
        for path, content in {"/root/.demo/log": b"line", "/workspace/notes": b"n", "/cache/x": b"cached"}.items():
            assert world.content(bottle, path) == content, fate.last
        stop(world.context, bottle)
        assert (bottle.transcript / "files/root/.demo/log").read_bytes() == b"line", fate.last
        world.check_tidy(bottle)

    assert every_moment(run, deadly=deadly) >= 15


def anew(folder: Path) -> tuple[World, BottleState, ResumeRequest]:
    """A stopped bottle that is to be built from an image that runs in another way."""
    world = World(folder)
    for name, user in (("one", "root"), ("two", "u")):
        passwd = {"/etc/passwd": f"{user}:x:7:7::/:/bin/sh\n".encode()}
        world.engine.add_image(f"runs:{name}", passwd, Entrypoint=[f"/{name}"], User=user)
    bottle = world.start(replace(AGENT, image="runs:one"))
    stop(world.context, bottle)
    commit(world.context, bottle)
    bottle.write_own_dockerfile("FROM runs:two\n")
    return world, bottle, ResumeRequest(rebuild=True)


def back_from_anew(folder: Path) -> tuple[World, BottleState, ResumeRequest]:
    """A stopped bottle that was built from such an image, and is to go back to before that."""
    world, bottle, request = anew(folder)
    resume(world.context, bottle, request)
    stop(world.context, bottle)
    commit(world.context, bottle)
    return world, bottle, ResumeRequest(at=1)


@pytest.mark.parametrize("deadly", [False, True])
@pytest.mark.parametrize("prepare", [anew, back_from_anew])
def test_wherever_a_resume_ends_the_next_commit_runs_as_its_container_did(
    tmp_path: Path, prepare: Callable[[Path], tuple[World, BottleState, ResumeRequest]], deadly: bool
) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world, bottle, request = prepare(tmp_path / str(next(numbers)))
        name, in_force = bottle.identity.container, bottle.committed_image()
        before, metadata = world.engine.container(name), bottle.metadata()
        try:
            with world.doomed(fate) as context:
                resume(context, bottle, request)
        except (Killed, BottleError):
            assert fate.came
        if world.engine.container(name) in (before, None):
            assert (bottle.committed_image(), bottle.metadata()) == (in_force, metadata), fate.last
        if world.status(bottle) is None:
            resume(world.context, bottle, PLAIN)
        spec, image = world.engine._container(name).spec, world.engine.image(world.engine._container(name).image)
        container = world.engine.container(name)
        assert container is not None
        argv = made_to_run(container)
        made = commit(world.context, bottle).commit
        assert made.defaults is not None
        assert (made.defaults.entrypoint, made.defaults.user) == (argv[:1], spec.user), fate.last
        assert image is not None
        assert made.base == image.diff_ids[: len(made.base)], fate.last
        assert bottle.committed_image() == made.tag
        world.lose_container(bottle)
        resume(world.context, bottle, PLAIN)
        assert world.command(bottle) == argv, fate.last
        world.check_tidy(bottle)

    assert every_moment(run, deadly=deadly) >= 15


# --- what it runs -----------------------------------------------------------------------------------------------------

CONTROLLED = ResumeRequest(once=Once(remote_control=True))
CONTROLLABLE = replace(AGENT, remote_control=("--remote-control",), resume_command=("cat", "--continue"))
AGAIN = ("cat", "--continue")
SHELL = ResumeRequest(once=Once(command=("sh", "-i")))


def frozen(world: World, bottle: BottleState) -> None:
    """All its work is in a commit."""
    commit(world.context, bottle)


def gone(world: World, bottle: BottleState) -> None:
    """It has a transcript, and neither container nor commit."""
    world.work(bottle, "/root/.demo/log", b"line")
    commit(world.context, bottle)
    world.lose_container(bottle)
    world.lose_images(bottle)


def left(world: World, bottle: BottleState) -> None:
    """It has been stopped, and nothing else."""


@pytest.mark.parametrize(("prepare", "plan"), [(left, StartAgain), (frozen, FromCommit), (gone, Rebuild)])
def test_however_it_comes_back_it_runs_what_an_agent_runs_that_comes_back(
    world: World, prepare: Callable[[World, BottleState], None], plan: type[ResumePlan]
) -> None:
    for request, runs in (
        (PLAIN, AGAIN),
        (CONTROLLED, (*AGAIN, "--remote-control")),
        (SHELL, ("sh", "-i")),
        (ResumeRequest(once=replace(SHELL.once, remote_control=True)), ("sh", "-i", "--remote-control")),
        (PLAIN, AGAIN),
    ):
        bottle = world.start(CONTROLLABLE, remote_control=True)
        assert world.command(bottle) == ("cat", "--remote-control")
        stop(world.context, bottle)
        prepare(world, bottle)
        assert isinstance(resume(world.context, bottle, request).plan, plan)
        assert world.command(bottle) == runs
        stop(world.context, bottle)
        again = resume(world.context, bottle, PLAIN)
        assert isinstance(again.plan, StartAgain)
        assert "instead of" not in again.plan.row
        assert world.command(bottle) == AGAIN


def test_what_was_never_started_runs_what_it_was_made_to_run(world: World) -> None:
    request = StartRequest(agent=CONTROLLABLE, cwd=world.cwd, tty=False)
    bottle = world.home.bottle(start(world.context, plan_start(world.context, request), begin=False).identity)
    assert isinstance(resume(world.context, bottle, PLAIN, begin=False).plan, StartAgain)
    assert world.command(bottle) == ("cat",)
    resume(world.context, bottle, CONTROLLED, begin=False)
    assert world.command(bottle) == ("cat", "--remote-control")


def test_remote_control_is_refused_for_an_agent_without_it(world: World) -> None:
    bottle = committed(world)
    before = snapshot(world.folder)
    with pytest.raises(UsageError, match="has no `remote_control`"):
        resume(world.context, bottle, CONTROLLED)
    assert snapshot(world.folder) == before
    assert world.status(bottle) is Status.EXITED


def test_what_runs_is_told_nothing_else_and_its_user_the_way_out(world: World) -> None:
    bottle = world.start(CONTROLLABLE)
    before, calls = snapshot(world.folder), len(world.engine.calls)
    with pytest.raises(Conflict, match="is running, without --remote-control") as caught:
        resume(world.context, bottle, CONTROLLED)
    assert caught.value.next_step.startswith(f"bottle stop {bottle.identity}; bottle resume {bottle.identity} --remote")
    with pytest.raises(Conflict, match="is running, and what it runs is not changed") as caught:
        resume(world.context, bottle, SHELL)
    assert f"bottle exec {bottle.identity} -- sh -i" in caught.value.next_step
    assert snapshot(world.folder) == before
    assert not {"create", "start", "stop", "unpause"} & {call[0] for call in world.engine.calls[calls:]}
    stop(world.context, bottle)
    assert isinstance(resume(world.context, bottle, CONTROLLED).plan, StartAgain)
    assert isinstance(resume(world.context, bottle, CONTROLLED).plan, Attach)
    assert world.command(bottle) == (*AGAIN, "--remote-control")


def made_by_an_earlier_version(world: World) -> BottleState:
    """A bottle whose container has no launcher."""
    bottle = world.start(CONTROLLABLE)
    container = world.engine._container(bottle.identity.container)
    container.spec = replace(container.spec, entrypoint=("cat", "--remote-control"))
    return bottle


def without_a_shell(world: World) -> BottleState:
    """A bottle whose image has nothing that could read what it is told."""
    world.engine.add_image("scratch", {"/cat": b""})
    return world.start(replace(CONTROLLABLE, image="scratch"), remote_control=True)


def elsewhere(world: World) -> BottleState:
    """A bottle whose engine sees no folder of this host."""
    world.engine.is_local = False
    return world.start(CONTROLLABLE, remote_control=True, copy_cwd=True)


@pytest.mark.parametrize("make", [made_by_an_earlier_version, without_a_shell, elsewhere])
def test_a_command_that_is_fixed_is_said_to_be_and_a_new_container_has_another(
    world: World, make: Callable[[World], BottleState]
) -> None:
    bottle = make(world)
    assert world.command(bottle) == ("cat", "--remote-control")
    assert isinstance(resume(world.context, bottle, CONTROLLED).plan, Attach)
    stop(world.context, bottle)
    plan = resume(world.context, bottle, PLAIN).plan
    assert "it runs cat --remote-control again instead of cat --continue: its image has no /bin/sh, " in plan.row
    stop(world.context, bottle)
    before = snapshot(world.folder)
    with pytest.raises(Conflict, match="cannot be told what to run") as caught:
        resume(world.context, bottle, SHELL)
    assert snapshot(world.folder) == before
    assert f"bottle commit {bottle.identity}; then the same again" in caught.value.next_step
    commit(world.context, bottle)
    assert isinstance(resume(world.context, bottle, SHELL).plan, FromCommit)
    assert world.command(bottle) == ("sh", "-i")


def test_what_is_built_from_a_commit_still_counts_its_layers_as_the_bottles_own(world: World) -> None:
    bottle = committed(world)
    base = bottle.metadata().base
    work = bottle.commits()[-1]
    bottle.write_own_dockerfile(f"FROM {work.tag}\nRUN true\n")
    bottle.mark_rebuild()
    assert isinstance(resume(world.context, bottle, PLAIN).plan, Rebuild)
    assert bottle.metadata().base == base
    world.work(bottle, "/later", b"three")
    stop(world.context, bottle)
    again = commit(world.context, bottle).commit
    assert again.base == base
    assert set(work.diff_ids[len(base) :]) <= set(own_layers(bottle.metadata(), again))


# --- a bottle that moved away and came back ---------------------------------------------------------------------------


def came_back(world: World) -> tuple[BottleState, str]:
    """A bottle that arrived anew, with a commit made elsewhere, and the container that it left here before that."""
    bottle = committed(world)
    former, (first,) = bottle.container_id(), bottle.commits()
    assert former is not None
    elsewhere = ContainerMark(container_id="elsewhere", started_at=first.created_at, running=False)
    world.engine.tag(first.tag, bottle.identity.committed(2))
    bottle.append_commit(replace(first, number=2, tag=bottle.identity.committed(2), mark=elsewhere, parent=1))
    bottle.write_committed_image(bottle.identity.committed(2))
    (bottle.path / "container").rename(bottle.path / "former")  # as register.sh does it
    return bottle, former


def test_what_arrived_runs_and_the_container_of_before_whose_work_is_in_a_commit_goes(world: World) -> None:
    bottle, former = came_back(world)
    plan = resume(world.context, bottle, PLAIN).plan
    assert isinstance(plan, FromCommit)
    assert plan.number == 2
    assert world.engine.container(former) is None
    world.check_tidy(bottle)


def test_a_container_of_before_with_a_nameless_volume_does_not_go(world: World) -> None:
    bottle, former = came_back(world)
    facts = observe_resume(world.context, bottle, PLAIN)
    assert facts.former is not None
    assert facts.former.id == former
    nameless = Mount(kind=MountKind.VOLUME, source="", target="/v", anonymous=True)
    plan = plan_resume(replace(facts, former=replace(facts.former, mounts=(nameless,))), PLAIN)
    assert isinstance(plan, FromCommit)
    assert plan.replaces is None


@pytest.mark.parametrize("why", ["its image is gone", "it was started since"])
def test_a_container_of_before_that_may_hold_work_gets_another_name(world: World, why: str) -> None:
    bottle, former = came_back(world)
    if why == "its image is gone":
        world.engine.remove_image(bottle.identity.committed(1))
    else:
        world.engine.start(former)
        world.work(bottle, "/work", b"behind its back")
        world.engine.stop(former)
    work = world.content(bottle, "/work")
    assert isinstance(resume(world.context, bottle, PLAIN).plan, FromCommit)
    aside = world.engine.container(former)
    assert aside is not None
    assert aside.name == f"{bottle.identity.container}.former-{former[:12]}"
    assert world.engine.read(aside.name, "/work") == work
    assert any(f"docker commit {aside.name}" in note for note in world.progress.notes)
    # From then on it is nobody's that this bottle knows.
    assert isinstance(resume(world.context, bottle, PLAIN).plan, Attach)
    stop(world.context, bottle)
    assert commit(world.context, bottle).commit.number == 3
    assert world.engine.container(former) == aside


def test_a_container_of_before_that_runs_is_neither_joined_nor_committed(world: World) -> None:
    bottle, former = came_back(world)
    world.engine.start(former)
    with pytest.raises(Conflict, match="is not what came back"):
        plan_resume(observe_resume(world.context, bottle, PLAIN), PLAIN)
    with pytest.raises(Conflict, match="is not what came back") as caught:
        resume(world.context, bottle, PLAIN)
    assert f"docker stop {bottle.identity.container}" in caught.value.next_step
    with pytest.raises(NotFound):
        commit(world.context, bottle)
    assert len(bottle.commits()) == 2
    assert world.status(bottle) is Status.RUNNING


@pytest.mark.parametrize("deadly", [False, True], ids=["fails", "dies"])
def test_wherever_the_first_resume_of_what_came_back_ends_the_next_one_works(tmp_path: Path, deadly: bool) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world = World(tmp_path / str(next(numbers)))
        bottle, former = came_back(world)
        world.engine.remove_image(bottle.identity.committed(1))
        with world.doomed(fate) as context, suppress(BottleError, Killed, OSError):
            resume(context, bottle, PLAIN)
        assert not isinstance(resume(world.context, bottle, PLAIN).plan, Rebuild), fate.last
        assert world.engine.container(former) is not None
        assert bottle.container_id() not in {None, former}
        assert world.status(bottle) is Status.RUNNING

    assert every_moment(run, deadly=deadly) > 10
