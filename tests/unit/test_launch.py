"""What a container is created from: our own metadata, and nothing that an agent could have shaped."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bottle.errors import ManifestError
from bottle.launch import LAUNCHER, bare_spec, command_line, is_ours, launch_spec, with_declared_volumes
from bottle.model import Agent, ImageDefaults, LaunchSpec, Metadata, Mount, MountKind
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
    return launch_spec(metadata, image="sha256:x", run_folder=run_folder, resuming=False, commit=commit, tty=True)


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
def test_remote_control_is_added_at_the_end_of_a_launch_that_asks_for_it(resuming: bool) -> None:
    for agent in (AGENT, replace(AGENT, resume_command=None), replace(AGENT, command=None)):
        plain = command_line(replace(METADATA, agent=agent), resuming=resuming)
        controlled = command_line(replace(METADATA, agent=agent), resuming=resuming, remote_control=True)
        assert controlled == (*plain, "--remote-control", "on")


def test_a_container_says_whether_it_was_made_with_remote_control() -> None:
    made = launch_spec(METADATA, image="x", run_folder=None, resuming=False, commit=None, tty=True, remote_control=True)
    assert dict(made.labels)["bottle.remote-control"] == "true"
    assert made.entrypoint[-2:] == ("--remote-control", "on")


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
        "bottle.remote-control": "false",
    }
    assert made.mounts == (
        Mount(kind=MountKind.BIND, source="/src", target="/workspace"),
        Mount(kind=MountKind.VOLUME, source="bottle-demo-abcde-cache", target="/cache", read_only=True),
        Mount(kind=MountKind.BIND, source="/run/bottle/demo-abcde", target="/run/bottle", read_only=True),
        Mount(kind=MountKind.VOLUME, source="bottle-demo-abcde-_requests", target="/run/bottle/requests"),
    )
    assert [mount.target for mount in made.mounts if is_ours(mount)] == ["/run/bottle", "/run/bottle/requests"]
    assert (made.memory, made.cpus, made.pids, made.cap_add) == (1 << 30, 2.0, 64, ("CHOWN",))
    assert made.env == (("EDITOR", "vi"),)


def test_what_was_copied_is_not_mounted() -> None:
    assert [mount.target for mount in spec(replace(METADATA, copy_cwd=True)).mounts if not is_ours(mount)] == ["/cache"]


def test_secrets_come_by_a_launcher_which_nothing_else_needs() -> None:
    assert spec().entrypoint == ("/entry", "agent", "--new")
    made = spec(replace(METADATA, agent=replace(AGENT, secrets=("TOKEN",))))
    assert made.entrypoint == ("/bin/sh", LAUNCHER, "/entry", "agent", "--new")
    assert made.mounts == spec().mounts


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
