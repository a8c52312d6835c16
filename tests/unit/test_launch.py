"""What a container is created from: our own metadata, and nothing that an agent could have shaped."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bottle.errors import ManifestError
from bottle.launch import (
    LAUNCH,
    Command,
    Once,
    bare_spec,
    can_be_told,
    command_for,
    command_line,
    is_ours,
    launch_spec,
    made_to_run,
    with_declared_volumes,
    with_secrets,
)
from bottle.model import Agent, ContainerFacts, ImageDefaults, LaunchSpec, Metadata, Mount, MountKind, Status
from bottle.naming import Identity

AGENT = Agent(
    name="demo",
    image="debian",
    command=("agent", "--new"),
    resume_command=("agent", "--continue"),
    remote_control=("--remote-control", "on"),
    env=(("EDITOR", "vi"),),
    volumes=(Mount(kind=MountKind.VOLUME, source="cache", target="/cache", read_only=True),),
    memory=1 << 30,
    cpus=2.0,
    pids=64,
    cap_add=("CHOWN",),
)
METADATA = Metadata(
    identity=Identity.parse("demo-abcde"),
    agent=AGENT,
    cwd=Path("/src"),
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
    image="debian",
    defaults=ImageDefaults(entrypoint=("/entry",), command=("bash",), user="agent"),
)


def spec(
    metadata: Metadata = METADATA, *, run_folder: Path = Path("/run/bottle/demo-abcde"), commit: int | None = None
) -> LaunchSpec:
    return launch_spec(metadata, image="sha256:x", argv=("run", "me"), run_folder=run_folder, commit=commit, tty=True)


@pytest.mark.parametrize(
    ("agent", "resuming", "expected"),
    [
        (AGENT, False, ("/entry", "agent", "--new")),
        (AGENT, True, ("/entry", "agent", "--continue")),
        (replace(AGENT, resume_command=None), True, ("/entry", "agent", "--new")),
        (replace(AGENT, command=None), False, ("/entry", "bash")),
        (replace(AGENT, command=None, resume_command=None), True, ("/entry", "bash")),
    ],
)
def test_the_command_is_the_agents_then_the_images(agent: Agent, resuming: bool, expected: tuple[str, ...]) -> None:
    assert command_line(replace(METADATA, agent=agent), resuming=resuming) == expected


@pytest.mark.parametrize("resuming", [False, True])
def test_what_is_asked_for_once_is_no_part_of_what_a_container_is_made_to_run(resuming: bool) -> None:
    for agent in (AGENT, replace(AGENT, resume_command=None), replace(AGENT, command=None)):
        metadata = replace(METADATA, agent=agent)
        plain = command_line(metadata, resuming=resuming)
        assert command_for(metadata, resuming=resuming, once=Once()) == Command(made=plain)
        controlled = command_for(metadata, resuming=resuming, once=Once(remote_control=True))
        assert controlled == Command(made=plain, once=(*plain, "--remote-control", "on"))
        other = command_for(metadata, resuming=resuming, once=Once(command=("sh", "-i"), remote_control=True))
        assert (other.made, other.now) == (plain, ("/entry", "sh", "-i", "--remote-control", "on"))


@pytest.mark.parametrize(
    ("argv", "told", "made"),
    [
        ((*LAUNCH, "agent", "--new"), True, ("agent", "--new")),
        (("agent", "--new"), False, ("agent", "--new")),
        (("/bin/sh", "/elsewhere/launch"), False, ("/bin/sh", "/elsewhere/launch")),
        ((), False, ()),
    ],
)
def test_a_container_with_the_launcher_can_be_told_what_to_run(
    argv: tuple[str, ...], told: bool, made: tuple[str, ...]
) -> None:
    container = ContainerFacts(
        id="c", name="c", image="i", status=Status.EXITED, created_at=METADATA.started_at, started_at=None,
        finished_at=None, exit_code=0, labels={}, argv=argv,
    )  # fmt: skip
    assert (can_be_told(container), made_to_run(container)) == (told, made)


def test_a_command_beside_the_agent_gets_the_secrets_there_are_and_not_the_agents_command(tmp_path: Path) -> None:
    words = [word.replace("/run/bottle", str(tmp_path)) for word in with_secrets(("/bin/sh", "-c", 'echo "$T"'))]
    assert subprocess.run(words, capture_output=True, check=True, env={}).stdout == b"\n"
    (tmp_path / "secrets").write_text("export T=hunter2\n")
    (tmp_path / "command").write_text("set -- echo wrong\n")
    assert subprocess.run(words, capture_output=True, check=True, env={}).stdout == b"hunter2\n"


def test_without_any_command_the_manifest_is_to_be_mended() -> None:
    nothing = replace(METADATA, agent=replace(AGENT, command=None), defaults=ImageDefaults())
    with pytest.raises(ManifestError, match="no `command`") as caught:
        command_line(nothing, resuming=False)
    assert "[agents.demo]" in caught.value.next_step


def test_a_container_is_made_of_the_metadata() -> None:
    made = spec(commit=3)
    assert (made.name, made.image, made.user, made.workdir) == ("bottle-demo-abcde", "sha256:x", "agent", "/workspace")
    assert dict(made.labels) == {
        "bottle.schema": "1",
        "bottle.identity": "demo-abcde",
        "bottle.agent": "demo",
        "bottle.commit": "3",
    }
    assert made.mounts == (
        Mount(kind=MountKind.BIND, source="/src", target="/workspace"),
        Mount(kind=MountKind.VOLUME, source="bottle-demo-abcde-cache", target="/cache", read_only=True),
        Mount(kind=MountKind.BIND, source="/run/bottle/demo-abcde", target="/run/bottle", read_only=True),
        Mount(kind=MountKind.VOLUME, source="bottle-demo-abcde-_requests", target="/run/bottle/requests"),
    )
    assert [mount.target for mount in made.mounts if is_ours(mount)] == ["/run/bottle", "/run/bottle/requests"]
    assert made.entrypoint == ("run", "me")
    assert (made.memory, made.cpus, made.pids, made.cap_add) == (1 << 30, 2.0, 64, ("CHOWN",))
    assert made.env == (("EDITOR", "vi"),)


def test_what_was_copied_is_not_mounted() -> None:
    assert [mount.target for mount in spec(replace(METADATA, copy_cwd=True)).mounts if not is_ours(mount)] == ["/cache"]


def test_a_hostname_is_one_however_long_the_name() -> None:
    identity = Identity("a" * 57 + "-b.c", "abcde")
    hostname = spec(replace(METADATA, identity=identity, agent=replace(AGENT, name=identity.agent))).hostname
    assert len(hostname) <= 63
    assert hostname[0].isalnum()


def test_volumes_that_an_image_declares_get_names_unless_something_is_there() -> None:
    declared = ("/cache", "/data", "/workspace", "/we ird/ünd")
    mounted = with_declared_volumes(AGENT, declared, copy_cwd=False)
    assert [(volume.source, volume.target) for volume in mounted.volumes] == [
        ("cache", "/cache"),
        ("image-data", "/data"),
        ("image-we-ird--nd", "/we ird/ünd"),
    ]
    copied = with_declared_volumes(AGENT, declared, copy_cwd=True)
    assert "/workspace" in [volume.target for volume in copied.volumes]
    assert with_declared_volumes(copied, declared, copy_cwd=True) == copied


def test_a_container_that_is_only_looked_into_can_do_nothing() -> None:
    made = bare_spec("look", "sha256:x")
    assert (made.network, made.mounts, made.env, made.cap_add) == ("none", (), (), ())
