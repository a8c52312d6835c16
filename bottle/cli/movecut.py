"""What is said of a move that was interrupted: which host owns the bottle then, and the command that goes on."""

import shlex
from collections.abc import Sequence

from bottle.cli.interruption import cut
from bottle.errors import Interrupted
from bottle.model import MigrationPhase
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity
from bottle.store.state import BottleState
from migrate import Target


def following(identity: str, goal: Target, options: MoveOptions, *, pulls: bool = False) -> str:
    """The command that goes on: all that decides what it does, without what decides how fast."""
    way = ("--from",) if pulls else ()
    return shlex.join(("bottle", "migrate", identity, str(goal), *way, *options.unhurried.to_argv()))


def sending_interrupted(
    state: BottleState, goal: Target, again: str, *, keep: bool, registered: Sequence[Identity]
) -> Interrupted:
    """A move or copy to another host, by what is on record of it; `again` goes on with it.

    `registered` has what it is called there once it is there: of a copy, nothing else tells that in the end.
    """
    identity, tombstone, migration = state.identity, state.tombstone.read(), state.migration.read()
    if keep and registered:
        return Interrupted(
            f"interrupted, after {identity} had been copied",
            left=f"{goal} has the copy, {registered[-1]}; {identity} is here as it was",
            next_step=f"there: bottle resume {registered[-1]}",
        )
    if tombstone is not None:
        return Interrupted(
            f"interrupted, after {identity} had been handed over",
            left=f"{tombstone.host} owns the bottle",
            next_step=f"there: bottle resume {identity}",
        )
    if migration is None:
        return cut("nothing was sent; this host owns the bottle", again)
    if migration.phase is MigrationPhase.HANDING_OFF:
        return Interrupted(
            f"the move of {identity} was interrupted while it was handed over",
            left=f"only {migration.host} knows which host owns the bottle",
            next_step=f"{again}   (asks it, and finishes the move)",
        )
    if keep:
        return Interrupted(
            f"copying {identity} was interrupted",
            left="the bottle is here as it was; what was staged is kept on both sides",
            next_step=again,
        )
    return Interrupted(
        f"the move of {identity} was interrupted",
        left="this host still owns the bottle; what was staged is kept on both sides",
        next_step=f"{again}   (or stay here: bottle resume {identity})",
    )


def pulling_interrupted(identity: str, goal: Target, again: str, *, keep: bool, here: Identity | None) -> Interrupted:
    """A move or copy from another host; `here` is what has come of it to live here, None where nothing has."""
    if here is not None:
        return has_arrived(here, goal, f"bottle resume {here}" if keep else f"{again}   (has {goal} know it, too)")
    owner = f"{goal} has the bottle as it was" if keep else f"{goal} owns the bottle, unless it was being handed over"
    return Interrupted(
        f"pulling {identity} was interrupted", left=f"{owner}; what arrived here is kept", next_step=again
    )


def has_arrived(here: Identity, goal: Target, following: str = "", details: tuple[str, ...] = ()) -> Interrupted:
    """A move or copy from another host that had come to its end; `here` is what it is called on this one."""
    return Interrupted(
        "interrupted, after it had arrived",
        left=f"{here} is here now, from {goal}",
        next_step=following or f"bottle resume {here}",
        details=details,
    )
