"""Which bottles are shown, and in which order. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from bottle.dashboard.rows import BOTTLE_COLUMNS
from bottle.model import Usage
from bottle.operations import BottleView

_NAMES = tuple(name for name, _ in BOTTLE_COLUMNS)
_LARGEST_FIRST = {"REQ", "COMMIT", "SIZE", "CPU", "MEMORY"}

Value: TypeAlias = str | float


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

    def __str__(self) -> str:
        down = (self.column in _LARGEST_FIRST) != self.reverse
        return f"by {self.column} {'↓' if down else '↑'}"


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
    known.sort(key=lambda each: each[0], reverse=(order.column in _LARGEST_FIRST) != order.reverse)
    return [view for _, view in known] + unknown


_VALUES: Mapping[str, Callable[[BottleView, Usage | None, int], Value | None]] = {
    "IDENTITY": lambda view, usage, waiting: str(view.identity),
    "STATE": lambda view, usage, waiting: view.status,
    "REQ": lambda view, usage, waiting: waiting,
    "AGE": lambda view, usage, waiting: -view.started_at.timestamp() if view.started_at is not None else None,
    "COMMIT": lambda view, usage, waiting: view.committed_at.timestamp() if view.committed_at is not None else None,
    "SIZE": lambda view, usage, waiting: view.weight.own if view.weight is not None else None,
    "CPU": lambda view, usage, waiting: usage.cpu if usage is not None else None,
    "MEMORY": lambda view, usage, waiting: usage.memory if usage is not None else None,
}
