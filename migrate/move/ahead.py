"""A workspace that went ahead: bottles that share one here share it there, and it travels once, with the first of them.

What proves that it is the same: the one that went ahead still lives and works there, and nobody has touched the folder
here since (`workspace-left`). Whatever is in doubt, the bottle has to have a workspace of its own.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bottle.errors import BottleError, Conflict
from bottle.naming import Identity
from bottle.store.home import StateHome
from bottle.store.state import BottleState
from migrate.contents.index import look
from migrate.contents.left import listing
from migrate.contents.live_folder import few_paths
from migrate.host.arguments import Workspace
from migrate.host.commands import Works
from migrate.move.model import MovePlan
from migrate.move.transfer import Transfer
from migrate.ports import Remote

_FACTS = 6  # of a line of the note, before the path


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """The bottle `identity` that went ahead with the workspace `folder`; what is at `place` there is this one's too.

    None where none did; then `why` says of one that might have. `noted` is what the folder was when it travelled.
    `whole`: all of it is this one's.
    """

    identity: Identity | None = None
    place: str | None = None
    why: str = ""
    folder: Path = Path()
    noted: bytes = b""
    whole: bool = False

    @property
    def left(self) -> bytes | None:
        """What the one that joins leaves here, as it travelled; None where that is a part of the folder only."""
        return self.noted if self.whole else None

    def worked_in(self) -> tuple[str, ...]:
        """What is not in the folder as it was when it travelled."""
        try:
            now = listing(self.folder, look(self.folder))
        except OSError as exc:
            return (f"{self.folder}: {exc.strerror}",)
        return _differing(self.noted, now or b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A workspace that a bottle took along: the folder of this host, and where it landed."""

    by: BottleState
    folder: Path
    place: str


def taken_to(home: StateHome, state: BottleState, host: str) -> Iterator[Taken]:
    """The workspaces that bottles of this host took to that one, of which this bottle's is one, or a folder in it."""
    mounted = state.metadata().mounted
    for identity in home.identities() if mounted is not None else ():
        other = home.bottle(identity)
        taken = _taken(other, host) if identity != state.identity else None
        if taken is not None and mounted is not None and mounted.resolve().is_relative_to(taken.folder.resolve()):
            yield taken


def gone_ahead(transfer: Transfer) -> Ahead:
    """The bottle that took this one's workspace to that very host; none where none did. Changes nothing.

    Raises what a Remote raises.
    """
    mounted, options = transfer.state.metadata().mounted, transfer.options
    if mounted is None or options.keep or options.pulled_by is not None or options.workspace is not None:
        return Ahead()
    reasons = []
    for taken in taken_to(transfer.context.home, transfer.state, transfer.remote.name):
        found = _ahead(transfer.remote, taken, mounted)
        if found.place is not None:
            return found
        reasons.append(found.why)
    return Ahead(why=reasons[0] if reasons else "")


def require_ahead(transfer: Transfer, decided: MovePlan) -> Ahead:
    """What the bottle joins, as was planned, just before it is handed over. Raises Conflict."""
    found = gone_ahead(transfer)
    if found.place is None or found.place != decided.workspace:
        raise Conflict(
            f"the workspace of {transfer.identity} is no longer the one that {decided.joins} has on "
            f"{transfer.remote.name}{found.why}",
            left=transfer.left,
            next_step=transfer.following,
        )
    return found


def _ahead(remote: Remote, taken: Taken, mounted: Path) -> Ahead:
    """Whether what was taken there may be this one's, too."""
    identity, noted = taken.by.identity, taken.by.workspace_left()
    told = f"; {identity} brought it there"
    if noted is None:
        return Ahead(why=f"{told}, and whether it is still as it was here was not noted")
    found = Ahead(
        identity=identity,
        place=str(PurePosixPath(taken.place) / mounted.resolve().relative_to(taken.folder.resolve())),
        folder=taken.folder,
        noted=noted,
        whole=mounted == taken.folder,
    )
    if changed := found.worked_in():
        return Ahead(why=f"{told}, and somebody has worked in it here since: {few_paths(changed)}")
    if not _works_there(remote, identity, taken.place, str(found.place)):
        return Ahead(why=f"{told}, and does not work there any more")
    return found


def _taken(other: BottleState, host: str) -> Taken | None:
    """What a bottle took along to a host, None where it did not go there, or that is not known."""
    try:
        tombstone = other.tombstone.read()
    except BottleError:
        return None
    if tombstone is None or tombstone.host != host or tombstone.arrived is None or tombstone.account is None:
        return None
    folder, place = tombstone.arrived.workspace, tombstone.account.workspace
    return Taken(by=other, folder=folder, place=place) if folder is not None and place is not None else None


def _works_there(remote: Remote, identity: Identity, workspace: str, place: str) -> bool:
    """Whether a bottle lives on a host, with that workspace, and there is a folder at `place`."""
    reply = remote.run(Works(identity=identity, workspace=Workspace(place)).command())
    try:
        said = json.loads(reply.out)
        return bool(reply.status == 0 and said["identity"] == str(identity) and said["cwd"] == workspace)
    except (ValueError, LookupError, TypeError, RecursionError):
        return False


def _differing(noted: bytes, now: bytes) -> tuple[str, ...]:
    lines = set(noted.split(b"\n")) ^ set(now.split(b"\n"))
    paths = {line.split(b" ", _FACTS)[-1].decode("utf-8", "replace") for line in lines}
    return tuple(sorted(path or "." for path in paths))
