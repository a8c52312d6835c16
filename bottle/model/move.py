"""A move between hosts, as both sides note it."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from bottle.naming import Identity


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
