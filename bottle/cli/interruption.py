"""What is said of a move that was interrupted: who owns the bottle now, and the command that goes on."""

import shlex
from pathlib import Path

from bottle.errors import Interrupted
from bottle.model import MigrationPhase
from bottle.state import BottleState
from migrate.model import Target


def same_command(
    identity: str,
    goal: Target,
    *,
    pulls: bool = False,
    keep: bool,
    resume: bool,
    allow_secrets: bool,
    workspace: Path | None,
    keys: tuple[Path, ...],
    yes: bool = False,
) -> str:
    """The command that goes on: all that decides what it does, without what decides how fast."""
    words = ["bottle", "migrate", identity, str(goal)]
    words += ["--from"] if pulls else []
    words += ["--yes"] if yes else []
    words += ["--keep"] if keep else []
    words += ["--resume"] if resume else []
    words += ["--allow-secrets"] if allow_secrets else []
    words += ["--workspace", str(workspace)] if workspace is not None else []
    for key in keys:
        words += ["-i", str(key)]
    return shlex.join(words)


def sending_interrupted(state: BottleState, again: str, *, keep: bool) -> Interrupted:
    """A move or copy to another host that was interrupted, by what is on record of it; `again` goes on with it."""
    identity, tombstone, migration = state.identity, state.tombstone(), state.migration()
    if tombstone is not None:
        return Interrupted(
            f"interrupted, after {identity} had been handed over",
            left=f"{tombstone.host} owns the bottle",
            next_step=f"there: bottle resume {identity}",
        )
    if migration is not None and migration.phase is MigrationPhase.HANDING_OFF:
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
