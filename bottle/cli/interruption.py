"""What is said of a command that was interrupted: what state is left, and the command that goes on."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bottle.cli.sigint import is_interruption
from bottle.errors import BottleError, Interrupted

_NOTHING = "nothing was changed"
# What holds of each command wherever it is interrupted. Those that look at what is so then (`aftermath`, `moved`) say
# it only of a run that had not begun to change anything.
LEFT = {
    "init": "a manifest that was there is whole, with the new entry or without it",
    "start": "nothing was begun",
    "list": _NOTHING,
    "inspect": _NOTHING,
    "attach": "all its work is where it was",
    "exec": "a command that was begun in the bottle may go on there",
    "logs": _NOTHING,
    "cp": "what was copied by then is there, and the rest is not",
    "commit": _NOTHING,
    "history": _NOTHING,
    "diff": _NOTHING,
    "resume": "all its work is where it was",
    "fork": _NOTHING,
    "stop": "what has stopped is stopped, with all its work; the rest is as it was",
    "rm": "what was deleted is gone; the rest is there, and goes with the same command",
    "prune": "what was taken away is gone; the rest is there, and goes with the same command",
    "capability list": _NOTHING,
    "capability show": _NOTHING,
    "capability approve": _NOTHING,
    "capability deny": "the request waits, or is denied",
    "migrate": "nothing was sent, and nothing here was changed",
    "evacuate": "nothing was sent, and nothing here was changed",
    "standby": "the standby is as it was after the last round that ended",
    "takeover": "the bottle is a standby as it was, or this host owns it: bottle list",
    "export": _NOTHING,
    "import": _NOTHING,
    "dashboard": "what was done there is done",
    "doctor": _NOTHING,
    "completion": _NOTHING,
    "install-plugin": "the plugin is there, whole, or as it was before",
    "version": _NOTHING,
    "mcp": "it answers no more",
    "send-over-stdio": "who pulls decides",
}


def interrupted(cause: BaseException, command: str, words: Sequence[str]) -> Interrupted:
    """What is told of `command`, called with `words`, where `cause` came of a Ctrl-C."""
    return _led_to(cause, untouched(command, words))


def untouched(command: str, words: Sequence[str]) -> Interrupted:
    """What is told of `command`, called with `words`, where nothing more is known than which one it was."""
    return cut(LEFT.get(command, ""), again(words))


def cut(left: str, following: str) -> Interrupted:
    """An interruption of which there is no more to tell than what state is left, and the command that follows."""
    return Interrupted("interrupted", left=left, next_step=following)


def again(words: Sequence[str]) -> str:
    """The same command, to be typed once more."""
    return shlex.join(("bottle", *words))


@contextmanager
def explained(explain: Callable[[], Interrupted]) -> Iterator[None]:
    """Where what is done is interrupted, raise what `explain` finds to be so then."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as exc:
        if isinstance(exc, Interrupted) or not is_interruption(exc):
            raise
        raise _led_to(exc, found_out(explain)) from exc


def found_out(explain: Callable[[], Interrupted]) -> Interrupted:
    """What `explain` says. An engine may answer no more, or another Ctrl-C come: then no more is said than that."""
    try:
        return explain()
    except (Exception, KeyboardInterrupt) as exc:
        if not isinstance(exc, BottleError | OSError) and not is_interruption(exc):
            raise
        return cut("how far it came could not be looked at", "bottle list")


def _led_to(cause: BaseException, told: Interrupted) -> Interrupted:
    """`told`, with the error of ours that the Ctrl-C led to: what that says of the state, it knows better."""
    if not isinstance(cause, BottleError):
        return told
    return Interrupted(
        f"{told.what}; then {cause.what}",
        left=cause.left or told.left,
        next_step=cause.next_step or told.next_step,
        details=cause.details or told.details,
    )
