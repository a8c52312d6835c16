"""Containers, as an engine describes and makes them, and what is mounted into them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from bottle.portbinding import PortBinding

NO_RESTART = "no"  # Docker's word for a container that nothing but a start starts again


class Status(Enum):
    """A container's state, in Docker's words."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"

    @property
    def alive(self) -> bool:
        """Whether the container has processes."""
        return self in {Status.RUNNING, Status.PAUSED, Status.RESTARTING}


class MountKind(Enum):
    """Where the data of a mount lives."""

    BIND = "bind"
    VOLUME = "volume"
    TMPFS = "tmpfs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """Something mounted into a container. None of it is part of a commit.

    `source` is a host path for a bind, a volume's name for a volume, empty for a tmpfs.
    `anonymous` marks a volume that an image declared and nobody named.
    """

    kind: MountKind
    source: str
    target: str
    read_only: bool = False
    anonymous: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFacts:
    """A container as the engine describes it.

    `restart` is its restart policy, in Docker's words; `argv` is the whole argument vector that it was made with.
    `runtime` is the name of what it runs in, empty where the engine does not say.
    """

    id: str
    name: str
    image: str
    status: Status
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    exit_code: int | None
    labels: Mapping[str, str]
    mounts: tuple[Mount, ...] = ()
    pid: int = 0
    restart: str = NO_RESTART
    argv: tuple[str, ...] = ()
    runtime: str = ""

    @property
    def ever_ran(self) -> bool:
        """Whether the container was started at least once."""
        return self.started_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSummary:
    """What the engine's list says of a container, without looking at each. `image` is the image's id.

    `ports` are those of the host that it has now, which one that does not run has none of.
    """

    id: str
    name: str
    image: str
    status: Status
    exit_code: int | None
    created_at: datetime
    labels: Mapping[str, str]
    ports: tuple[PortBinding, ...] = ()


class EventKind(Enum):
    """What can happen to a container that shows in a list, in Docker's words."""

    CREATE = "create"
    START = "start"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    DIE = "die"
    RENAME = "rename"
    COMMIT = "commit"
    DESTROY = "destroy"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerEvent:
    """Something that has happened to a container, which `container` is the id of."""

    kind: EventKind
    container: str
    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a running container uses, as `docker stats` counts it.

    `cpu` is in percent of one CPU, over the last second. `memory` is in bytes, without files that the kernel would
    rather forget than swap.
    """

    cpu: float
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSpec:
    """All that a container is created from.

    `entrypoint` is the whole argument vector; the container's Cmd stays empty so that a commit's config can be given
    back exactly what the agent's image had.
    """

    name: str
    image: str
    entrypoint: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...]
    mounts: tuple[Mount, ...]
    workdir: str = "/"
    user: str = ""
    hostname: str
    network: str
    memory: int | None = None
    cpus: float | None = None
    pids: int
    cap_add: tuple[str, ...] = ()
    tty: bool = False
    interactive: bool = False
    shm_size: int | None = None
    gpus: str | None = None
    ports: tuple[PortBinding, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HelperSpec:
    """A container that runs a program of this machine, to read what this process may not; nothing in it is written.

    `shown` are files and folders, `folders` are folders without what is mounted below them; all of them are at the same
    path inside. Root runs `command`, with `capabilities` and no others. `runtime` is empty for the engine's default.
    """

    name: str
    command: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    shown: tuple[str, ...]
    folders: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    runtime: str = ""


class ChangeKind(Enum):
    """How a path of a container differs from its image."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


@dataclass(frozen=True, slots=True)
class Change:
    """One line of `docker diff`."""

    kind: ChangeKind
    path: str
