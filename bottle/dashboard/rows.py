"""What the dashboard's tables say, as pure functions: facts in, cells out. Cells are plain text, fit to be shown."""

from collections.abc import Collection, Iterable
from datetime import datetime

from bottle.model import CapabilityRequest, Usage
from bottle.operations import BottleView
from bottle.requests.choice import short_digest
from bottle.text import printable
from bottle.words import NOTHING, counted, elapsed, size

Columns = tuple[tuple[str, int], ...]  # names, with widths without the space around them

BOTTLE_COLUMNS: Columns = (
    ("IDENTITY", 12),
    ("STATE", 12),
    ("REQ", 3),
    ("AGE", 4),
    ("COMMIT", 9),
    ("SIZE", 8),
    ("CPU", 4),
    ("MEMORY", 8),
)
_FIRST = ("REQ", "AGE", "COMMIT", "CPU", "MEMORY", "SIZE")  # which of the others have room first
_STATE = 20  # columns of a state that an identity leaves it
REQUEST_COLUMNS: Columns = (("#", 3), ("STATUS", 9), ("AGE", 4), ("DIGEST", 12), ("REASON", 10))


def bottle_columns(width: int, rows: Collection[tuple[str, ...]]) -> Columns:
    """The columns that `width` has room for: identity and state as long as they are, of the others as many as fit."""
    wanted = [max(least, *(len(row[index]) for row in rows), 0) for index, (_, least) in enumerate(BOTTLE_COLUMNS[:2])]
    identity = min(wanted[0], width - 4 - min(wanted[1], _STATE))
    state = min(wanted[1], width - 4 - identity)
    widths = dict(BOTTLE_COLUMNS) | {"IDENTITY": identity, "STATE": state}
    left, shown = width - 4 - identity - state, {"IDENTITY", "STATE"}
    for name in _FIRST:
        if widths[name] + 2 <= left:
            left -= widths[name] + 2
            shown.add(name)
    return tuple((name, widths[name]) for name, _ in BOTTLE_COLUMNS if name in shown)


def request_columns(width: int) -> Columns:
    """The columns of the requests; the reason, which comes last, takes what is left."""
    *others, (name, least) = REQUEST_COLUMNS
    return (*others, (name, max(least, width - 2 - sum(each + 2 for _, each in others))))


def bottle_cells(view: BottleView, usage: Usage | None, waiting: int, now: datetime) -> tuple[str, ...]:
    """One bottle, in all columns. `waiting` are the requests that wait for a decision."""
    committed = f"#{view.commit} {elapsed(view.committed_at, now)}" if view.commit is not None else NOTHING
    return (
        str(view.identity),
        printable(view.status),
        f"!{waiting}" if waiting else "",
        elapsed(view.started_at, now),
        committed,
        size(view.weight.own) if view.weight is not None else NOTHING,
        f"{usage.cpu:.0f}%" if usage is not None else NOTHING,
        size(usage.memory) if usage is not None else NOTHING,
    )


def request_cells(request: CapabilityRequest, now: datetime) -> tuple[str, ...]:
    """One request."""
    return (
        str(request.number),
        request.status.value,
        elapsed(request.received_at, now),
        short_digest(request),
        printable(request.reason),
    )


def waiting(requests: Iterable[CapabilityRequest]) -> int:
    """How many of them something is still to be done about."""
    return sum(request.status.open for request in requests)


def headline(views: Collection[BottleView], known: int, requests: int, words: str, order: str) -> str:
    """What all of it comes to, and which of it is shown how: those of `known` bottles that fit `words`, by `order`."""
    running = sum(view.state == "running" for view in views)
    of = f" of {known}" if words else ""
    parts = [f"{len(views)}{of} {'bottle' if known == 1 else 'bottles'}", f"{running} running"]
    parts += [counted(requests, "request") + " waiting"] if requests else []
    parts += [f"filter: {printable(words)}"] if words else []
    return " · ".join([*parts, order])


def about(view: BottleView) -> str:
    """The line below the table: the selected bottle, in full."""
    return printable(" · ".join(filter(None, (str(view.identity), view.status, view.detail))))


def shortened(text: str, width: int) -> str:
    """`text` in `width` characters, without its middle where it is longer: an identity is told by both of its ends."""
    if len(text) <= width:
        return text
    tail = width // 2
    return f"{text[: width - tail - 1]}…{text[-tail:]}"
