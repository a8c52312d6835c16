"""A move between hosts, as both sides note it."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from bottle.naming import Identity


class StayKind(Enum):
    """What does not travel with a bottle."""

    SECRET = "secret"  # noqa: S105  (the word)
    FOLDER = "host folder"  # mounted at the place
    COMMITS = "images of other commits"  # by their numbers, where those are known
    COMMIT_VOLUME = "volume of other commits"  # by where it is mounted
    BUILD_FOLDER = "folder of the Dockerfile"
    NETWORK = "network"
    PORT = "port"
    GPUS = "gpus"
    HOME = "home of bottle"  # which lies in the workspace
    FRACTIONS = "fractions of seconds"  # in the times of files, by the host whose tar is busybox's
    LINE = "line"  # in words: what a repository names, and all that earlier versions wrote


@dataclass(frozen=True, slots=True, kw_only=True)
class Stays:
    """Something that does not travel with a bottle."""

    kind: StayKind
    name: str = ""
    place: str = ""


class MissingKind(Enum):
    """What a host lacks to resume a bottle."""

    BOTTLE = "bottle"
    RIGHTS = "right to use Docker"  # without sudo; by bottle's home there, and the identity
    SECRET = "secret"  # noqa: S105  (the word)
    LINE = "line"  # in words: all that earlier versions wrote


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Something that the destination of a move lacks to resume the bottle."""

    kind: MissingKind
    name: str = ""
    identity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveAccount:
    """What a move sent and what it left, for the run that has to tell of it: the one that did may not live to.

    `staged` is how many bytes were sent, the texts are lines as they are shown. `skipped` holds no content. `along` are
    credentials that went along because that was allowed. `dropped` is what Docker's commit did not keep of the bottle,
    and what the tar of the workspace does not. `carried` is what lay outside the workspace and went along, and how;
    `left_behind` is what it lacks there. `edited` is what somebody did in the workspace here in the moment of the
    hand-over: it is newer here than there. `history` are the numbers of the other commits whose images are there too,
    proved; `history_stays` those of which they are here, and did not go along. `refreshed`: there was a copy, which it
    brought up to date.
    """

    commit: int
    workspace: str | None = None
    staged: int = 0
    skipped: tuple[str, ...] = ()
    stays: tuple[Stays, ...] = ()
    missing_there: tuple[Missing, ...] = ()
    along: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    history: tuple[int, ...] = ()
    history_stays: tuple[int, ...] = ()
    refreshed: bool = False


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

    `nonce` is what the move is called there. An older version wrote none of the three, which is None. `standby`: it
    never left that host, and this stands by for it, as of `moved_at`. `generation` is that of who took it over.
    `starts`: its agent was stopped for the move and is to go on there, which it is not known to have done.
    """

    host: str
    moved_at: datetime
    arrived: Arrived | None = None
    account: MoveAccount | None = None
    nonce: str | None = None
    standby: bool = False
    generation: int | None = None
    starts: bool = False


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
    is to go on. `pulled_by` is the id of the host that pulls it, which nobody but itself can connect to. `stopped`: its
    agent was stopped for the move, and is to go on there. `account` is there once the move has
    sent all that it sends.
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
    stopped: bool = False
    account: MoveAccount | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyThere:
    """A copy of the bottle on another host: what it is called there, and the commit that it was last made of."""

    host: str
    identity: Identity
    commit: int
    brought_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiesThere:
    """`copies.json`: of each host the newest copy that the bottle has there, as far as this host knows."""

    copies: tuple[CopyThere, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standby:
    """`standby.json`: the host that has a standby of this bottle, as of `commit`, None where no round has ended yet.

    `identity_files` are the keys to log in with. `error` is why the last round failed, at `failed_at`, empty where it
    did not.
    """

    host: str
    identity_files: tuple[str, ...] = ()
    commit: int | None = None
    brought_at: datetime | None = None
    failed_at: datetime | None = None
    error: str = ""
