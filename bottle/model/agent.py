"""An agent of the manifest, resolved, and how long its commits are kept."""

from dataclasses import dataclass
from pathlib import Path

from bottle.model.container import Mount
from bottle.portbinding import PortBinding


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long commits are kept: a commit that neither rule keeps may go. None: that rule keeps nothing."""

    commits: int | None = None
    days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An entry of the manifest, resolved: every path absolute, every default filled in.

    Exactly one of `dockerfile` and `image` is set. `command` None means the image's own. `remote_control` is added to
    the command of a launch that asks for it; empty: the agent has none. `user`, a name or number with an optional
    `:group`, is who it runs as; None means the image's own. `build_args` are given to builds of its Dockerfile.
    `memory` and `shm_size`, of /dev/shm, are in bytes, `cpus` in CPUs. `gpus` is what `docker run --gpus` takes: "all",
    a number, or "device=" and names. `hosts` are names with their addresses, or "host-gateway". `secrets` are names of
    variables, never values. `carry` are globs of absolute paths in the image that may leave the machine though they
    hold credentials.
    """

    name: str
    dockerfile: Path | None = None
    image: str | None = None
    command: tuple[str, ...] | None = None
    resume_command: tuple[str, ...] | None = None
    remote_control: tuple[str, ...] = ()
    workdir: str = "/workspace"
    user: str | None = None
    transcript: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = ()
    volumes: tuple[Mount, ...] = ()
    network: str = "bridge"
    memory: int | None = None
    cpus: float | None = None
    pids: int = 512
    shm_size: int | None = None
    gpus: str | None = None
    ports: tuple[PortBinding, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()
    cap_add: tuple[str, ...] = ()
    keep: Retention | None = None
    carry: tuple[str, ...] = ()
    build_args: tuple[tuple[str, str], ...] = ()
