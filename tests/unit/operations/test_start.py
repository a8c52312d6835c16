"""`start`: a bottle, or nothing at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from bottle.errors import BottleError, BuildFailed, EngineError, ManifestError, NameTaken, PreflightRefused, UsageError
from bottle.launch import LAUNCH, is_ours, requests_volume
from bottle.model import Agent, LaunchSpec, Mount, MountKind, Status
from bottle.naming import Identity
from bottle.operations import StartRequest, list_bottles, plan_start, remove, resume, start
from bottle.operations.launching import launch_notes
from bottle.plan.resume import ResumeRequest
from bottle.plan.sources import Build, Pull
from bottle.workspace import workspace_owner
from tests.support.git import git, repository
from tests.support.trees import snapshot
from tests.support.world import AGENT, BASE, Fate, Killed, World, every_moment

KEEPER = replace(AGENT, secrets=("TOKEN",), volumes=(Mount(kind=MountKind.VOLUME, source="cache", target="/cache"),))


def test_a_bottle_is_a_container_and_a_state_folder(world: World) -> None:
    bottle = world.start()
    container = world.engine.container(bottle.identity.container)
    assert container is not None
    assert container.status is Status.RUNNING
    assert container.labels["bottle.identity"] == str(bottle.identity)
    metadata = bottle.metadata()
    assert (metadata.agent, metadata.cwd, metadata.copy_cwd, metadata.backend) == (AGENT, world.cwd, False, "docker")
    image = world.engine.image(BASE)
    assert image is not None
    assert (metadata.image, metadata.base, metadata.defaults) == (BASE, image.diff_ids, image.defaults)
    world.check_tidy(bottle)


def test_two_launches_in_one_folder_are_two_bottles(world: World) -> None:
    one, other = world.start(), world.start()
    assert one.identity != other.identity
    assert (world.status(one), world.status(other)) == (Status.RUNNING, Status.RUNNING)


def test_a_plan_changes_nothing_and_says_what_is_missing(world: World) -> None:
    before = snapshot(world.folder)
    plan = plan_start(world.context, StartRequest(agent=KEEPER, cwd=world.cwd))
    assert (plan.source, plan.missing_secrets) == (Pull(image=BASE), ("TOKEN",))
    assert snapshot(world.folder) == before
    assert world.engine.methods == ("info",)
    with pytest.raises(UsageError):
        plan_start(world.context, StartRequest(agent=AGENT, cwd=world.folder / "missing"))


def test_another_command_is_its_command_for_good(world: World) -> None:
    plan = plan_start(
        world.context, StartRequest(agent=replace(AGENT, resume_command=("x",)), cwd=world.cwd, command=("sh",))
    )
    assert (plan.agent.command, plan.agent.resume_command) == (("sh",), None)


def test_remote_control_is_for_an_agent_that_has_it(world: World) -> None:
    with pytest.raises(UsageError, match="agent 'demo' has no `remote_control`") as caught:
        plan_start(world.context, StartRequest(agent=AGENT, cwd=world.cwd, remote_control=True))
    assert "[agents.demo]" in caught.value.next_step
    assert world.engine.calls == []


def test_remote_control_is_of_one_launch_and_behind_any_command(world: World) -> None:
    agent = replace(AGENT, remote_control=("--remote-control",))
    bottle = world.start(agent, remote_control=True, command=("cat", "-"))
    assert world.command(bottle) == ("cat", "-", "--remote-control")
    assert bottle.metadata().agent == replace(agent, command=("cat", "-"))
    world.lose_container(bottle)
    resume(world.context, bottle, ResumeRequest())
    assert world.command(bottle) == ("cat", "-")


def test_an_image_is_fetched_only_when_it_is_not_here(world: World) -> None:
    world.start()
    assert "pull" not in world.engine.methods
    world.engine.registry["far/image:1"] = world.engine.make_image({}, Cmd=["sh"])
    world.start(replace(AGENT, image="far/image:1"))
    assert "pull" in world.engine.methods
    with pytest.raises(EngineError, match="no image"):
        world.start(replace(AGENT, image="nowhere/at-all"))


def test_a_dockerfile_is_built(world: World) -> None:
    dockerfile = world.cwd / "Dockerfile"
    dockerfile.write_text(f"FROM {BASE}\nRUN echo hi > /hi\n")
    agent = replace(AGENT, image=None, dockerfile=dockerfile)
    bottle = world.start(agent)
    assert bottle.metadata().image == "bottle-demo:latest"
    assert world.content(bottle, "/hi") == b"hi\n"
    plan = plan_start(world.context, StartRequest(agent=agent, cwd=world.cwd))
    assert plan.source == Build(dockerfile=dockerfile, context=world.cwd, tag="bottle-demo:latest")


def test_a_build_is_told_the_agents_arguments_and_who_owns_the_work(world: World) -> None:
    dockerfile = world.cwd / "Dockerfile"
    said = "ARG BOTTLE_UID=1\nARG BOTTLE_GID=1\nARG VERSION\nRUN echo $BOTTLE_UID:$BOTTLE_GID $VERSION > /said"
    dockerfile.write_text(f"FROM {BASE}\n{said}\n")
    agent = replace(AGENT, image=None, dockerfile=dockerfile, build_args=(("VERSION", "2"),))
    uid, gid = workspace_owner(world.cwd)
    assert world.content(world.start(agent), "/said") == f"{uid}:{gid} 2\n".encode()
    own = replace(agent, build_args=(("BOTTLE_UID", "7"),))  # the last word
    assert world.content(world.start(own), "/said") == f"7:{gid}\n".encode()


@pytest.mark.parametrize("copy_cwd", [False, True])
def test_a_build_is_told_no_more_than_its_dockerfile_declares(
    world: World, monkeypatch: pytest.MonkeyPatch, *, copy_cwd: bool
) -> None:
    given: list[Mapping[str, str]] = []
    build = world.engine.build
    monkeypatch.setattr(world.engine, "build", lambda **how: (given.append(how["args"]), build(**how)))
    dockerfile = world.cwd / "Dockerfile"
    agent = replace(AGENT, image=None, dockerfile=dockerfile, build_args=(("VERSION", "2"),))
    for text in ("", "ARG BOTTLE_UID\n"):
        dockerfile.write_text(f"FROM {BASE}\n{text}")
        world.start(agent, copy_cwd=copy_cwd)
    owner, _ = workspace_owner(None if copy_cwd else world.cwd)
    assert given == [{"VERSION": "2"}, {"VERSION": "2", "BOTTLE_UID": str(owner)}]


def test_a_build_is_offered_the_agents_secrets_as_they_are_now(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Mapping[str, str]] = []
    build = world.engine.build
    monkeypatch.setattr(world.engine, "build", lambda **how: (given.append(how["secrets"]), build(**how)))
    dockerfile = world.cwd / "Dockerfile"
    dockerfile.write_text(f"FROM {BASE}\n")
    world.environ.update(TOKEN="hush", OTHER="not for it")
    world.start(replace(AGENT, image=None, dockerfile=dockerfile, secrets=("TOKEN", "LACKING")))
    assert given == [{"TOKEN": "hush"}]


WITH_AGENT = b"root:x:0:0::/root:/bin/sh\nagent:x:1234:1235::/home/agent:/bin/sh\n"


def test_the_agent_runs_as_whom_its_entry_names_whatever_its_image_says(world: World) -> None:
    world.engine.add_image("users:1", {"/etc/passwd": WITH_AGENT, "/bin/sh": b""}, Cmd=["cat"], User="9")
    (world.cwd / "notes").write_bytes(b"n")
    bottle = world.start(replace(AGENT, image="users:1", user="agent"), copy_cwd=True)
    container = world.engine._container(bottle.identity.container)
    assert container.spec.user == "agent"
    assert (container.tree["/workspace/notes"].uid, container.tree["/workspace/notes"].gid) == (1234, 1235)
    assert bottle.metadata().defaults.user == "9"
    plain = world.start(replace(AGENT, image="users:1"))
    assert world.engine._container(plain.identity.container).spec.user == "9"


def test_a_user_whom_the_image_does_not_have_is_named_and_nothing_is_left(world: World) -> None:
    with pytest.raises(PreflightRefused, match="as user agent, whom debian:trixie-slim does not have") as caught:
        world.start(replace(AGENT, user="agent"))
    assert "[agents.demo]" in caught.value.next_step
    assert (world.home.identities(), world.engine.containers({})) == ((), ())
    assert world.start(replace(AGENT, user="1000:1000"))


def test_whether_the_agent_may_write_is_known_of_a_user_with_a_name(world: World) -> None:
    world.cwd.chmod(0o755)
    passwd = f"root:x:0:0::/root:/bin/sh\nother:x:{world.cwd.stat().st_uid + 1}:5::/:/bin/sh\n"
    world.engine.add_image("users:1", {"/etc/passwd": passwd.encode(), "/bin/sh": b""}, Cmd=["cat"])
    bottle = world.start(replace(AGENT, image="users:1", user="other"))
    assert any("may be unable to write" in note for note in launch_notes(world.context, bottle.metadata()))


def test_a_copy_of_the_folder_is_the_bottles_own(world: World) -> None:
    (world.cwd / "notes").write_bytes(b"n")
    bottle = world.start(copy_cwd=True)
    assert world.content(bottle, "/workspace/notes") == b"n"
    container = world.engine.container(bottle.identity.container)
    assert container is not None
    assert all(is_ours(mount) for mount in container.mounts)


def test_secrets_are_in_no_config_and_no_state(world: World) -> None:
    world.environ["TOKEN"] = "hunter2"
    bottle = world.start(KEEPER)
    spec = world.engine._container(bottle.identity.container).spec
    assert spec.entrypoint[:2] == LAUNCH
    assert "hunter2" not in repr(spec)
    assert not [name for name, (_, content, _) in snapshot(world.home.path).items() if b"hunter2" in content]
    assert b"hunter2" in (world.runtime / str(bottle.identity) / "secrets").read_bytes()


def test_where_no_folder_in_memory_can_be_mounted_there_is_one_on_disk_and_no_secret(world: World) -> None:
    world.engine.mounts_memory = False
    world.environ["TOKEN"] = "hunter2"
    with pytest.raises(PreflightRefused, match="`secrets`: a rootless Docker"):
        world.start(KEEPER)
    bottle = world.start(replace(KEEPER, secrets=()))
    folder = world.home.path / "run" / str(bottle.identity)
    assert (folder / "launch").exists()
    container = world.engine.container(bottle.identity.container)
    assert container is not None
    assert str(folder) in {mount.source for mount in container.mounts}
    assert list(world.runtime.iterdir()) == []
    world.engine.stop(container.id)
    remove(world.context, bottle, consent=True)
    assert not folder.exists()


def test_an_engine_elsewhere_mounts_no_folder_of_this_host(world: World) -> None:
    world.engine.is_local = False
    plan = plan_start(world.context, StartRequest(agent=KEEPER, cwd=world.cwd, copy_cwd=True))
    launched = start(world.context, replace(plan, agent=replace(plan.agent, secrets=(), volumes=())))
    container = world.engine.container(launched.container)
    assert container is not None
    assert not container.mounts
    assert not world.engine.volumes({"bottle.identity": str(launched.identity)})
    assert any("cannot make capability requests" in note for note in launched.notes)


def test_folders_of_an_engine_elsewhere_are_told_from_those_of_this_machine(world: World) -> None:
    world.engine.is_local = False
    launched = start(world.context, plan_start(world.context, StartRequest(agent=AGENT, cwd=world.cwd)))
    said = f"{world.cwd} is a folder of the machine that the engine runs on, not of this one"
    assert said in launched.notes


@pytest.mark.parametrize("local", [True, False])  # a virtual machine's socket is one of this machine
@pytest.mark.parametrize(
    ("words", "explained"),
    [
        ("bind source path does not exist: CWD", True),
        ("Mounts denied: the path CWD is not shared from the host", True),
        ("statfs CWD: no such file or directory", True),
        ("bind source path does not exist: /nowhere", False),
        ("CWD is too dear", False),
        ("no space left", False),
    ],
)
def test_a_folder_that_an_engine_does_not_see_is_refused_with_the_reason(
    world: World, monkeypatch: pytest.MonkeyPatch, local: bool, words: str, explained: bool
) -> None:
    create = world.engine.create
    refusal = words.replace("CWD", str(world.cwd))

    def refusing(spec: LaunchSpec) -> str:
        if any(mount.source == str(world.cwd) for mount in spec.mounts):
            raise EngineError(refusal)
        return create(spec)

    monkeypatch.setattr(world.engine, "create", refusing)
    world.engine.is_local = local
    with pytest.raises(EngineError) as caught:
        start(world.context, plan_start(world.context, StartRequest(agent=AGENT, cwd=world.cwd)))
    assert caught.value.what.startswith(refusal)
    assert (str(world.engine.endpoint) in caught.value.what) == explained
    assert ("--copy-cwd" in caught.value.next_step) == explained


def test_volumes_have_the_bottles_name_and_label(world: World) -> None:
    world.engine.add_image("with-volume", {"/bin/sh": b""}, Cmd=["sh"], Volumes={"/data": {}, "/workspace": {}})
    bottle = world.start(replace(KEEPER, image="with-volume"), copy_cwd=True)
    identity = bottle.identity
    assert set(world.engine.volumes({"bottle.identity": str(identity)})) == {
        identity.volume("cache"),
        identity.volume("image-data"),
        identity.volume("image-workspace"),
        requests_volume(identity),
    }
    container = world.engine.container(identity.container)
    assert container is not None
    assert not [mount for mount in container.mounts if mount.anonymous]


def test_what_the_user_should_know_is_said(world: World) -> None:
    agent = replace(AGENT, secrets=("TOKEN",))
    launched = start(world.context, plan_start(world.context, StartRequest(agent=agent, cwd=world.cwd)))
    assert any("TOKEN" in note for note in launched.notes)


def test_it_can_be_left_for_the_caller_to_begin(world: World) -> None:
    plan = plan_start(world.context, StartRequest(agent=AGENT, cwd=world.cwd))
    assert start(world.context, plan, begin=False).identity == plan.identity
    assert world.status(world.home.bottle(plan.identity)) is Status.CREATED


# --- when it fails ----------------------------------------------------------------------------------------------------


def nothing_is_left(world: World) -> bool:
    """Whether there is no trace of a bottle, but for what any launch leaves: folders that hold them."""
    return (
        world.engine.containers({}) == ()
        and world.engine.volumes({}) == ()
        and (not world.home.states.exists() or list(world.home.states.iterdir()) == [])
        and list(world.runtime.iterdir()) == []
    )


def test_a_launch_that_fails_anywhere_leaves_nothing(tmp_path: Path) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world = World(tmp_path / str(next(numbers)))
        world.environ["TOKEN"] = "hunter2"
        plan = plan_start(world.context, StartRequest(agent=KEEPER, cwd=world.cwd, copy_cwd=True))
        try:
            with world.doomed(fate) as context:
                start(context, plan)
        except BottleError:
            assert nothing_is_left(world), fate.last
        else:
            assert not fate.came

    assert every_moment(run, deadly=False) >= 15


def test_a_launch_that_dies_anywhere_leaves_what_can_be_resumed_or_removed(tmp_path: Path) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world = World(tmp_path / str(next(numbers)))
        (world.cwd / "notes").write_bytes(b"n")
        plan = plan_start(world.context, StartRequest(agent=KEEPER, cwd=world.cwd, copy_cwd=True))
        try:
            with world.doomed(fate) as context:
                start(context, plan)
        except Killed:
            if (world.home.states / str(plan.identity) / "metadata.json").exists():
                (view,) = list_bottles(world.context)
                assert view.identity == plan.identity
                bottle = world.home.bottle(plan.identity)
                resume(world.context, bottle, ResumeRequest())
                assert world.status(bottle) is Status.RUNNING, fate.last
                assert world.content(bottle, "/workspace/notes") == b"n", fate.last
                world.check_tidy(bottle)
                world.engine.exit(bottle.identity.container)
                remove(world.context, bottle, consent=True)
            assert world.engine.containers({}) == (), fate.last
            assert world.engine.volumes({}) == (), fate.last

    assert every_moment(run, deadly=True) >= 15


@pytest.mark.parametrize(
    ("agent", "error"),
    [
        (replace(AGENT, image="empty", command=None), ManifestError),
        (replace(AGENT, volumes=(Mount(kind=MountKind.BIND, source="/no/such/place", target="/x"),)), EngineError),
    ],
)
def test_what_the_manifest_got_wrong_leaves_nothing(world: World, agent: Agent, error: type[BottleError]) -> None:
    world.engine.add_image("empty", {})
    with pytest.raises(error):
        world.start(agent)
    assert nothing_is_left(world)


def test_a_build_that_fails_leaves_nothing(world: World) -> None:
    dockerfile = world.cwd / "Dockerfile"
    dockerfile.write_text(f"FROM {BASE}\nRUN exit 7\n")
    with pytest.raises(BuildFailed):
        world.start(replace(AGENT, image=None, dockerfile=dockerfile))
    dockerfile.unlink()
    with pytest.raises(BuildFailed, match="cannot read"):
        world.start(replace(AGENT, image=None, dockerfile=dockerfile))
    assert nothing_is_left(world)


def test_somebody_elses_container_of_that_name_is_not_touched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = Identity.parse("demo-abcde")
    monkeypatch.setattr(Identity, "fresh", lambda _: identity)
    spec = world.engine._container(world.start().identity.container).spec
    remove_all(world)
    world.engine.create(replace(spec, name=identity.container, labels=(), mounts=()))
    with pytest.raises(NameTaken):
        world.start()
    assert [each.name for each in world.engine.containers({})] == [identity.container]
    assert world.home.identities() == ()


def remove_all(world: World) -> None:
    for identity in world.home.identities():
        world.engine.exit(identity.container)
        remove(world.context, world.home.bottle(identity), consent=True)


def test_a_git_worktree_is_told_to_be_without_git(world: World, tmp_path: Path) -> None:
    repository(tmp_path / "main")
    world.cwd.rmdir()
    git(tmp_path / "main", "worktree", "add", "--quiet", str(world.cwd))
    kept = tmp_path / "main/.git"
    for options in ({}, {"copy_cwd": True}):
        notes = launch_notes(world.context, world.start(**options).metadata())
        assert any(str(kept) in note and "git does not work in the bottle" in note for note in notes)
    mounted = replace(AGENT, volumes=(Mount(kind=MountKind.BIND, source=str(kept), target=str(kept)),))
    assert launch_notes(world.context, world.start(mounted).metadata()) == ()
