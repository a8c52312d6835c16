"""What the dashboard's tables say, and in which order. Pure: facts in; cells out, plain text fit to be shown."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
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
_NAMES = tuple(name for name, _ in BOTTLE_COLUMNS)
_LARGEST_FIRST = {"REQ", "COMMIT", "SIZE", "CPU", "MEMORY"}


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


@dataclass(frozen=True, slots=True)
class Order:
    """By which column, and whether the other way round. Ages and commits begin with the newest, numbers with the
    largest, texts with A; what has no value comes last either way."""

    column: str = _NAMES[0]
    reverse: bool = False

    def next(self) -> "Order":
        """By the column after this one."""
        return Order(_NAMES[(_NAMES.index(self.column) + 1) % len(_NAMES)])

    def turned(self) -> "Order":
        """The other way round."""
        return Order(self.column, not self.reverse)

    def by(self, column: str) -> "Order":
        """By a column that was chosen: the other way round where it is by that already."""
        return self.turned() if column == self.column else Order(column)

    @property
    def down(self) -> bool:
        """Whether the largest is on top."""
        return (self.column in _LARGEST_FIRST) != self.reverse

    def __str__(self) -> str:
        return f"by {self.column} {'↓' if self.down else '↑'}"


def matches(view: BottleView, words: str) -> bool:
    """Whether each of the words is in the bottle's identity, name, agent, state, host or folder, in whatever case."""
    known = f"{view.identity} {view.name or ''} {view.agent} {view.status} {view.cwd or ''}".casefold()
    return all(word in known for word in words.casefold().split())


def arranged(
    views: Iterable[BottleView], usage: Mapping[str, Usage], waiting: Mapping[str, int], order: Order
) -> list[BottleView]:
    """`views` in that order; those that are alike in it stay by identity."""
    value = _VALUES[order.column]
    known, unknown = [], []
    for view in sorted(views, key=lambda view: str(view.identity)):
        key = str(view.identity)
        found = value(view, usage.get(key), waiting.get(key, 0))
        if found is None:
            unknown.append(view)
        else:
            known.append((found, view))
    known.sort(key=lambda each: each[0], reverse=order.down)
    return [view for _, view in known] + unknown


_VALUES: Mapping[str, Callable[[BottleView, Usage | None, int], str | float | None]] = {
    "IDENTITY": lambda view, usage, waiting: str(view.identity),
    "STATE": lambda view, usage, waiting: view.status,
    "REQ": lambda view, usage, waiting: waiting,
    "AGE": lambda view, usage, waiting: -view.started_at.timestamp() if view.started_at is not None else None,
    "COMMIT": lambda view, usage, waiting: view.committed_at.timestamp() if view.committed_at is not None else None,
    "SIZE": lambda view, usage, waiting: view.weight.own if view.weight is not None else None,
    "CPU": lambda view, usage, waiting: usage.cpu if usage is not None else None,
    "MEMORY": lambda view, usage, waiting: usage.memory if usage is not None else None,
}
