"""The table of bottles: what `list` shows, and what a picker lets choose from."""

from collections.abc import Sequence

from bottle.cli.table import Coloured, Column
from bottle.operations import BottleView
from bottle.words import NOTHING, age, counted, size

_NAME = Column("NAME")
COLUMNS = (
    Column("IDENTITY"),
    _NAME,
    Column("STATE", cut=True),
    Column("STARTED", drop=2),
    Column("COMMIT", drop=1),
    Column("COMMITTED", drop=3),
    Column("SIZE", drop=4),
    Column("SHARED", drop=5),
    Column("NOTE", cut=True),
)

Row = tuple[str | Coloured, ...]

_COLOURS = {
    "running": "green",
    "paused": "yellow",
    "moved": "bright_black",
    "standby": "bright_black",
    "ambiguous": "red",
    "damaged": "red",
    "gone": "red",
}


def bottle_table(views: Sequence[BottleView]) -> tuple[list[Column], list[Row]]:
    """The columns and rows of the table; second names are in it where any bottle has one."""
    named = any(view.name for view in views)
    columns = [column for column in COLUMNS if named or column is not _NAME]
    return columns, [_row(view, named=named) for view in views]


def _row(view: BottleView, *, named: bool) -> Row:
    """The cells of one bottle."""
    own, shared = (size(view.weight.own), size(view.weight.shared)) if view.weight is not None else (NOTHING, NOTHING)
    return (
        str(view.identity),
        *([view.name or ""] if named else []),
        Coloured(_state(view), _colour(view)),
        age(view.started_at),
        str(view.commit) if view.commit is not None else NOTHING,
        age(view.committed_at),
        own,
        shared,
        view.detail,
    )


def _state(view: BottleView) -> str:
    """Its state, and whether somebody has to answer it: that is to be seen also where nothing else has room."""
    if view.moved_to is not None:
        return f"{view.status}, yet runs here" if view.runs_here else view.status
    if not view.requests:
        return view.status
    return f"{view.status}, {'request waits' if view.requests == 1 else counted(view.requests, 'request') + ' wait'}"


def _colour(view: BottleView) -> str | None:
    if view.moved_to is not None and view.runs_here:
        return "red"
    return "yellow" if view.requests and view.moved_to is None else _COLOURS.get(view.state)
