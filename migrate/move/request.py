"""What is asked of a move, and what it answers."""

from dataclasses import dataclass
from pathlib import Path

from bottle.naming import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRequest:
    """What the user asked for. `rate` is in bytes a second; `keep` copies instead of moving.

    `resume_there` starts the bottle on the other host once it is there. `pulled_by` tells the host that pulls it from
    every other one of the same name, None when the move begins here. `allow_secrets` and `carry`: which credentials may
    go along in the image, besides what the bottle's agent carries. `consent`: what the workspace needs of this host
    and cannot be carried may stay behind.
    """

    workspace: Path | None = None
    keep: bool = False
    resume_there: bool = False
    jobs: int = 2
    rate: int | None = None
    identity_files: tuple[str, ...] = ()
    pulled_by: str | None = None
    allow_secrets: bool = False
    carry: tuple[str, ...] = ()
    consent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A bottle that lives elsewhere now, or a copy that does. `staged` is how many bytes that took.

    `along` are the credentials that went along because that was allowed, a line each. `dropped` is what Docker's commit
    did not keep of the bottle, and what the tar of the workspace does not.
    `carried` is what lay outside the workspace and went along, and how; `left_behind` is what it lacks there.
    `resumed` is what the other host said when it was asked to start the bottle, None when it was not asked. `edited` is
    what somebody did in the workspace here in the moment of the hand-over: it is newer here than there.
    """

    identity: Identity
    arrived_as: Identity
    host: str
    commit: int
    workspace: str | None
    staged: int
    skipped: tuple[str, ...]
    stays: tuple[str, ...]
    missing_there: tuple[str, ...]
    resumed: str | None = None
    along: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()
