"""Which bottles can be what is asked of them: a picker offers no others. Pure."""

from collections.abc import Callable, Mapping

from bottle.operations import BottleView

_WITH_CONTAINER = {"running", "paused", "stopped", "created"}
_NOT_RUNNING = {"paused", "stopped", "created", "committed", "gone"}  # of one that is gone, its image is built anew

_MAY_BE: Mapping[str, Callable[[BottleView], bool]] = {
    "committed": lambda view: view.state in _WITH_CONTAINER,
    "stopped": lambda view: view.runs_here,
    "attached": lambda view: view.state == "running",
    "resumed": lambda view: view.state in _NOT_RUNNING,
    "taken back": lambda view: view.state in _NOT_RUNNING | {"moved"},
    "moved": lambda view: view.state in _WITH_CONTAINER | {"committed"},
}


def may_be(verb: str, view: BottleView) -> bool:
    """Whether a bottle can be `verb`; what is only looked at may be any."""
    return verb not in _MAY_BE or _MAY_BE[verb](view)
