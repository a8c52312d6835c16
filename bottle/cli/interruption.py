"""What is said of a command that was interrupted: what state is left, and the command that goes on."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bottle.cli.entry import is_interruption
from bottle.errors import BottleError, Interrupted
from bottle.model import MigrationPhase
from bottle.state import BottleState
from migrate.model import Target

_NOTHING = "nothing was changed"
# What holds of each command wherever it is interrupted; those that know more say it themselves.
LEFT = {
    "init": "a manifest that was there is whole, with the new entry or without it",
    "start": "nothing was begun",
    "list": _NOTHING,
    "inspect": _NOTHING,
    "attach": _NOTHING,
    "exec": "a command that was begun in the bottle may go on there",
    "logs": _NOTHING,
    "cp": "what was copied by then is there, and the rest is not",
    "commit": "the last commit stays in force, and the agent goes on",
    "history": _NOTHING,
    "resume": "all its work is where it was; what was begun is settled by the next resume",
    "fork": "the bottle that was to be forked goes on as it was",
    "stop": "what has stopped is stopped, with all its work; the rest runs on",
    "rm": "what was deleted is gone; the rest is there, and goes with the same command",
    "prune": "what was taken away is gone; the rest is there, and goes with the same command",
    "capability list": _NOTHING,
    "capability show": _NOTHING,
    "capability approve": "the request waits, or its approval was begun, and the same command goes on with it",
    "capability deny": "the request waits, or is denied",
    "migrate": "nothing was sent, and nothing here was changed",
    "export": "the bottle is here as it was, and its agent goes on; FILE is there only if it is whole",
    "import": "FILE is as it was; a bottle was made of it only if it is whole",
    "dashboard": "what was done there is done",
    "doctor": _NOTHING,
    "completion": _NOTHING,
    "install-plugin": "the plugin is there, whole, or as it was before",
    "version": _NOTHING,
    "mcp": "it answers no more",
    "send-over-stdio": "who pulls decides",
}


def interrupted(cause: BaseException, command: str, words: Sequence[str]) -> Interrupted:
    """What is told of `command`, called with `words`, where `cause` came of a Ctrl-C.

    An error of ours that it led to knows better what is left.
    """
    following = again(words)
    if isinstance(cause, BottleError):
        what = f"interrupted; then {cause.what}"
        return Interrupted(what, left=cause.left, next_step=cause.next_step or following, details=cause.details)
    return Interrupted("interrupted", left=LEFT.get(command, ""), next_step=following)


def again(words: Sequence[str]) -> str:
    """The same command, to be typed once more."""
    return shlex.join(("bottle", *words))


@contextmanager
def explained(explain: Callable[[], Interrupted]) -> Iterator[None]:
    """Where what is done is interrupted, raise what `explain` says is so then."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as exc:
        if isinstance(exc, BottleError) or not is_interruption(exc):
            raise
        raise explain() from exc


def start_interrupted(state: BottleState, words: Sequence[str]) -> Interrupted:
    """A start that was interrupted, by what there is of its bottle now."""
    identity = state.identity
    if state.path.exists():
        return Interrupted(
            "interrupted",
            left=f"{identity} stays, with all its work",
            next_step=f"bottle resume {identity}   (or away with it: bottle rm {identity})",
        )
    return Interrupted("interrupted", left="nothing of the new bottle is left", next_step=again(words))


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
