"""What bottle talks about: agents, containers, images and commits, as frozen values with no behaviour of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path

from bottle.naming import Identity
from bottle.portbinding import PortBinding

SCHEMA = 1
MOST_COMMITS = 1_000_000  # of one bottle, and so the highest number of one
DOCKER_BACKEND = "docker"
DEFAULT_CONTEXT = "default"  # of the docker client: what its variables say, else Docker's own socket
NO_RESTART = "no"  # Docker's word for a container that nothing but a start starts again


class Store(Enum):
    """How an engine keeps images; it decides which form of archive it reads and what an image's id means."""

    CLASSIC = "classic"
    CONTAINERD = "containerd"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDefaults:
    """The parts of an image's config that decide how a container of it runs when nothing else is said."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Which bottle, at which of its commits, a copy descends from."""

    identity: Identity
    commit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """`metadata.json`: what a bottle is, without which it cannot be brought back.

    `image` is what the bottle's first container was made from, with its `defaults`; a commit restores these in its
    config, and a resume runs from them, never from what a committed image says of itself. `base` are that image's
    layers, shared with other bottles. `copied_from` is where a copy came from. `name` is a second name, which its user
    gave it: it is this one bottle's, and no copy has it.
    """

    identity: Identity
    name: str | None = None
    agent: Agent
    backend: str = DOCKER_BACKEND
    cwd: Path | None = None
    copy_cwd: bool = False
    started_at: datetime
    image: str = ""
    defaults: ImageDefaults = field(default_factory=ImageDefaults)
    base: tuple[str, ...] = ()
    copied_from: Lineage | None = None

    @property
    def user(self) -> str:
        """Who the agent runs as, in Docker's words: whom its entry names, else the image's own; empty for root."""
        return self.agent.user or self.defaults.user

    @property
    def mounted(self) -> Path | None:
        """The folder of the host that the agent works in; None where it works on a copy, or on nothing of the host."""
        return self.cwd if not self.copy_cwd else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerMark:
    """Which container a commit was made of, and which of its runs: enough to see later whether it worked on since.

    `running`: what is in it may have changed after the commit, as it ran, or as something was put into it.
    """

    container_id: str
    started_at: datetime | None
    running: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRecord:
    """One entry of `commits.json`.

    `diff_ids` are the digests of the image's uncompressed layers, base first (OCI image-spec, config.md); they and
    `config_digest` are the same in every image store, which an image's id is not. `expired`: the agent's `keep` let its
    image go, and only this entry is left. `defaults`, `base` and `volumes`, targets, are those of the bottle's
    metadata at the time, and hold again when it goes back to the commit; None and empty in older histories.
    """

    number: int
    tag: str
    config_digest: str
    diff_ids: tuple[str, ...]
    message: str = ""
    created_at: datetime
    parent: int | None = None
    mark: ContainerMark | None = None
    dropped: tuple[str, ...] = ()
    expired: bool = False
    defaults: ImageDefaults | None = None
    base: tuple[str, ...] = ()
    volumes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where an engine is looked for: the address of a Docker context, and what named it (`origin`, empty: nothing did).

    `trouble` is why the file that could have named another was passed over; `others` are contexts that nobody named.
    """

    address: str
    context: str = DEFAULT_CONTEXT
    origin: str = ""
    trouble: str = ""
    others: tuple[str, ...] = ()

    @property
    def is_local(self) -> bool:
        """Whether it is a socket of this machine."""
        return self.address.startswith("unix://")

    def __str__(self) -> str:
        said = f", from {self.origin}" if self.origin else ""
        passed_over = f"; {self.trouble}" if self.trouble else ""
        return f'{self.address} (context "{self.context}"{said}{passed_over})'


class Product(Enum):
    """Whose engine it is, behind Docker's API."""

    DOCKER = "Docker"
    PODMAN = "Podman"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What answered, and where it keeps its data. `id` tells it from every other engine, empty where it has none.

    `cpus` and `memory`, in bytes, are its machine's, 0 where it does not say; `runtimes` are those of its containers.
    `rootless`: it runs as a user who is not root, whose number `owner` is where it is on this machine; that user is
    root in its containers. `unlimited` are the keys of a manifest that limit nothing there, and `freezes` says whether
    it can pause.
    """

    version: str
    api_version: str
    architecture: str
    os: str
    store: Store
    root_dir: str
    id: str = ""
    cpus: int = 0
    memory: int = 0
    runtimes: tuple[str, ...] = ()
    product: Product = Product.DOCKER
    rootless: bool = False
    owner: int | None = None
    unlimited: tuple[str, ...] = ()
    freezes: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """An image as the engine describes it. `size` is in bytes and counts layers shared with other images."""

    id: str
    tags: tuple[str, ...]
    diff_ids: tuple[str, ...]
    config_digest: str
    architecture: str
    os: str
    size: int
    created_at: datetime | None
    labels: Mapping[str, str]
    defaults: ImageDefaults
    declared_volumes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFacts:
    """A container as the engine describes it.

    `restart` is its restart policy, in Docker's words; `argv` is the whole argument vector that it was made with.
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

    @property
    def ever_ran(self) -> bool:
        """Whether the container was started at least once."""
        return self.started_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSummary:
    """What the engine's list says of an image, without looking at each.

    `size` is in bytes and counts shared layers; in containerd's store, where that of `ImageFacts` counts them as they
    are packed, it counts them unpacked too.
    """

    id: str
    tags: tuple[str, ...]
    size: int
    created_at: datetime | None
    labels: Mapping[str, str]


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
class VolumeFacts:
    """A named volume as the engine describes it."""

    name: str
    labels: Mapping[str, str]
    created_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """A network as the engine describes it."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSpec:
    """All that a container is created from.

    `entrypoint` is the whole argument vector; the container's Cmd stays empty so that a commit's config can be given
    back exactly what the agent's image had.
    """

    name: str
    image: str
    entrypoint: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    mounts: tuple[Mount, ...]
    workdir: str
    user: str
    hostname: str
    network: str
    memory: int | None
    cpus: float | None
    pids: int
    cap_add: tuple[str, ...]
    tty: bool
    interactive: bool
    shm_size: int | None = None
    gpus: str | None = None
    ports: tuple[PortBinding, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitSpec:
    """What a commit's image is called and what its config says."""

    tag: str
    labels: tuple[tuple[str, str], ...]
    defaults: ImageDefaults
    message: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitIntent:
    """`commit-intent.json`: a commit that was begun. What died in it is found again by the nonce, an image's label.

    `paused`, from earlier versions only: its container was paused for it, and is to go on.
    """

    nonce: str
    number: int
    message: str
    container_id: str
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeIntent:
    """`resume-intent.json`: a new container in the making, and what the bottle is from the moment that it has it.

    `container_id` is None until all that belongs in it is there; until then `unfilled` are volumes made for it, which
    may lack some of theirs. `committed_image` is the commit's tag that comes into force with it, if it is made of one.
    """

    metadata: Metadata
    committed_image: str | None = None
    container_id: str | None = None
    unfilled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveAccount:
    """What a move sent and what it left, for the run that has to tell of it: the one that did may not live to.

    `staged` are bytes; the texts are lines as they are shown.
    """

    commit: int
    workspace: str | None = None
    staged: int = 0
    skipped: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    missing_there: tuple[str, ...] = ()
    along: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """What of a bottle has reached the host that it moved to, and was proved there.

    `commits` are the numbers of those whose images are there; `volumes` are called as Docker calls them here.
    `workspace` is the folder of this host that travelled, None where none did.
    """

    commits: tuple[int, ...]
    volumes: tuple[str, ...] = ()
    workspace: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """`moved-to.json`: where the bottle lives now, what of it is there, and the account of the move that brought it.

    `nonce` is what the move is called there. An older version wrote none of the three, which is None.
    """

    host: str
    moved_at: datetime
    arrived: Arrived | None = None
    account: MoveAccount | None = None
    nonce: str | None = None


class MigrationPhase(Enum):
    """How far a move has come. Up to `STAGING` this host owns the bottle, whatever the other one has."""

    QUIESCING = "quiescing"
    STAGING = "staging"
    HANDING_OFF = "handing-off"


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRecord:
    """`migration.json`: a move in flight, and what it needs to continue.

    In `HANDING_OFF` only the destination knows who owns the bottle: it does as soon as its state folder bears `nonce`.
    `identity_files` are the keys that were named for logging in there. `arrives_as` is what the bottle is called there,
    another identity when it is copied. `paused`, from earlier versions only: its container was paused for the copy, and
    is to go on. `pulled_by` is the id of the host that pulls it, which nobody but itself can connect to. `account` is
    there once the move has sent all that it sends.
    """

    phase: MigrationPhase
    host: str
    nonce: str
    commit: int | None
    started_at: datetime
    identity_files: tuple[str, ...] = ()
    arrives_as: Identity | None = None
    paused: bool = False
    pulled_by: str | None = None
    account: MoveAccount | None = None


class RequestStatus(Enum):
    """How far a capability request has come. `APPROVING`: approved, and not yet carried out to the end."""

    PENDING = "pending"
    APPROVING = "approving"
    APPROVED = "approved"
    DENIED = "denied"

    @property
    def open(self) -> bool:
        """Whether something is still to be done about it."""
        return self in {RequestStatus.PENDING, RequestStatus.APPROVING}


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityRequest:
    """`requests/<number>.json`: a Dockerfile that an agent asks for, as it was when the operator's side took it in.

    `number` is the agent's and names the request; `digest` is of what it asks (`capability.digest_of`) and is what gets
    approved. `superseded` are the digests that the same number had before. `note` is the operator's word on it.
    """

    number: int
    digest: str
    reason: str
    dockerfile: str
    received_at: datetime
    status: RequestStatus = RequestStatus.PENDING
    note: str = ""
    decided_at: datetime | None = None
    superseded: tuple[str, ...] = ()
