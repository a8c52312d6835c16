"""What an evacuation is planned by and answered with, as frozen values."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from bottle.errors import BottleError
from bottle.naming import Identity
from migrate.move.model import Moved, MovePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A filesystem there, by where it is mounted: a path on it, and the bytes that are free."""

    name: str
    path: str = field(compare=False)
    free: int = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """What a bottle takes of the disks there, in bytes.

    `base` are the `layers` missing there of the image that it stands on, `written` is what its container wrote on top.
    `staged` is there already, of an earlier run. `docker`, `home` and `place` are the disks of Docker's data, of
    bottle's home and of the workspace.
    """

    layers: frozenset[str]
    base: int
    written: int
    volumes: int
    workspace: int
    state: int
    staged: int
    docker: Disk
    home: Disk
    place: Disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A bottle that is to leave, as it was found.

    `folder` is its workspace, with no link in its path, None where it has none of this host. `begun`: a move to that
    host was. `went`: it has arrived there before. `refusal` is why it cannot go. `decided` is what a move would do, and
    `bulk` what that takes: None where the bottle went, cannot go, or was being handed over when an earlier run was cut,
    and where it shares the workspace of such a one. `whole`: what travels of the workspace is what is in the folder, no
    less, and nothing instead of it, so that others can join it there.
    """

    identity: Identity
    folder: Path | None = None
    begun: bool = False
    went: bool = False
    refusal: BottleError | None = None
    decided: MovePlan | None = None
    bulk: Bulk | None = None
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What all that go need of a disk there while they come, in bytes."""

    disk: Disk
    needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvacuationPlan:
    """What will happen. `--plan` shows this very value.

    `groups` go one after the other; in a group are bottles that share a workspace, which travels with the first of
    them. `crowded` are those for which there is no room as far as it can be counted: they come last, and are looked at
    again then. `went` have gone before, `refused` cannot go. Each bottle is in one of the four.
    """

    host: str
    groups: tuple[tuple[Candidate, ...], ...]
    crowded: tuple[Candidate, ...]
    went: tuple[Candidate, ...]
    refused: tuple[Candidate, ...]
    needs: tuple[Need, ...] = ()


class Result(Enum):
    """Where a bottle is at the end. `UNKNOWN`: it was cut while it was handed over, and only the other host knows."""

    WENT = "went"
    WENT_BEFORE = "went-before"
    STAYS = "stays"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a bottle. `error` is why it stays, or what went wrong when it was there already.

    `moved` is there where this run brought it there, `place` is where its workspace is there.
    """

    identity: Identity
    result: Result
    moved: Moved | None = None
    error: BottleError | None = None
    place: str | None = None
