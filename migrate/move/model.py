"""What a move is decided by and answered with, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bottle.files.tree import Extent
from bottle.model import CommitRecord, ContainerFacts, Metadata, Missing, MoveAccount, Stays
from bottle.naming import Identity
from migrate.contents.outside import Survey
from migrate.contents.packing import Packed
from migrate.model import Codec, HostFacts

_RECORDS = 16 << 10  # bytes of what a part has beside its contents


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveFacts:
    """All that decides a move. Sizes in bytes.

    `arrives_as` is what the bottle will be called there. `layers` are the diff ids of the image that the bottle stands
    on now, base first; `image_size` is that of those that the destination lacks, or more; `written` is what its
    container wrote on top. `present` are the layers that the destination has. `workspace_here`: the folder to be packed
    is there. `committed_layers` are those of the image that has `committed_tag`, None where none has. `volumes` are
    those that can be looked into from here, by name. `free_here` is for what is packed to be sent, below bottle's
    `home`; `packed_here` is what earlier runs left there, which is used or deleted. `pulled`: the destination unpacks
    by the program that asked for it. `live`: its agent may work until the last round. `engine_id` is what the engine
    here calls itself, as `host.engine_id` is there. `shared`: who else works in what travels, a line each. `survey` is
    of the workspace. `own` is bottle's home where it lies in the workspace. `imaged` are the numbers of the commits
    whose very images are here, `ground` the layers that the next commit will stand on, as far as that is known.
    `history`: the images of older commits are to go along. `refreshes`: `arrives_as` is a copy that was made before.
    `joins` is the bottle that went ahead, whose workspace it has there; `apart` is why it does not have that of one
    which did.
    """

    metadata: Metadata
    arrives_as: Identity
    container: ContainerFacts | None
    commits: tuple[CommitRecord, ...]
    committed_tag: str | None
    committed_layers: tuple[str, ...] | None
    architecture: str
    layers: tuple[str, ...]
    image_size: int
    written: int
    workspace_here: bool
    workspace: Extent
    volumes: Mapping[str, Extent]
    state: Extent
    home: Path
    free_here: int
    packed_here: int
    host: HostFacts
    host_name: str
    present: frozenset[str]
    engine_id: str
    keep: bool
    pulled: bool
    resume_there: bool
    live: bool
    survey: Survey
    shared: tuple[str, ...] = ()
    own: Path | None = None
    imaged: frozenset[int] = frozenset()
    ground: tuple[str, ...] = ()
    history: bool = True
    refreshes: bool = False
    joins: Identity | None = None
    apart: str = ""

    @property
    def standby(self) -> bool:
        """Whether what is there afterwards owns nothing: under its own identity, and this host keeps it."""
        return self.keep and self.arrives_as == self.metadata.identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Something that travels, and how many bytes its contents are, where that is known."""

    name: str
    size: int | None

    @property
    def most(self) -> int | None:
        """At most how many bytes it is on the wire, as if nothing in it could be compressed: only doing it would tell.

        Each file has a header, and the move adds records of its own.
        """
        return None if self.size is None else self.size + self.size // 100 + _RECORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """About how long a move would take, in whole seconds as `bottle.words.coarse` has them.

    `standstill_seconds` are those in which its agent would work nowhere, None where it does not run.
    `line_bytes_per_second` and `round_trip_seconds`, those of a command there that does nothing, were measured.
    """

    seconds: int
    standstill_seconds: int | None
    line_bytes_per_second: int
    round_trip_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePlan:
    """What will happen. `--plan` shows this very value.

    `workspace` is where the workspace will be, None when it has none; it is there already where it is that of a bottle
    that went ahead, which this one `joins`. `present` counts the layers, from the base up,
    that the destination has and that need not travel. `along` are credentials that go along because they may, a line
    each, as far as they are there yet; `shared` as in `MoveFacts`. `left_behind` is what the workspace needs
    of this host and will lack there. `live`: it is brought in rounds while it runs, and started there. `replaces`: the
    workspace takes the place of the one that the bottle left there when it moved away, or that its copy has there.
    `refreshes` is the copy that is brought up to date, None where none is; `renamed` are its volumes, by names here.
    `estimate` is of the time, None where that cannot be said. `history` are the numbers of the other commits whose
    images are to be there too, `history_stays` those of which they stay here.
    """

    workspace: str | None
    present: int
    layers: int
    layer_codec: Codec
    file_codec: Codec
    parts: tuple[Part, ...]
    stays: tuple[Stays, ...]
    missing_there: tuple[Missing, ...]
    running: bool
    stops: bool
    commits: bool
    needed_docker: int
    needed_home: int
    free_docker: int
    free_home: int
    along: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()
    live: bool = False
    replaces: bool = False
    refreshes: Identity | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    estimate: Estimate | None = None
    history: tuple[int, ...] = ()
    history_stays: tuple[int, ...] = ()
    joins: Identity | None = None

    @property
    def lands(self) -> str | None:
        """Where the workspace is put that travels with the bottle, None where none does."""
        return self.workspace if self.joins is None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """All of a bottle, brought there and checked, and not yet put into place: as of `commit`, and what was `packed`.

    `staged` are the bytes that were sent. `along` are credentials that went along because they may, `dropped` is what
    commits and tars do not keep, a line each. `history` are the numbers of the other commits whose images are there,
    `history_stays` those of which they did not go along.
    """

    commit: CommitRecord
    packed: Packed
    staged: int
    along: tuple[str, ...]
    dropped: tuple[str, ...]
    history: tuple[int, ...]
    history_stays: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A part of a move while the agent works: the commit that was brought, the bytes that were sent for it, seconds."""

    commit: int
    staged: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A bottle that lives elsewhere now, or a copy that does.

    `resumed` is what the other host said when it was asked to start the bottle, None when it was not asked. `rounds`
    were brought while its agent worked; `downtime` is for how many seconds none did then, neither here nor there, None
    where that was not measured.
    """

    identity: Identity
    arrived_as: Identity
    host: str
    account: MoveAccount
    resumed: str | None = None
    rounds: tuple[Round, ...] = ()
    downtime: float | None = None
