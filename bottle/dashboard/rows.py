"""What the dashboard's tables say, as pure functions: facts in, cells out. Cells are plain text, fit to be shown."""

from collections.abc import Iterable
from datetime import datetime

from bottle.capability import SHORT_DIGEST
from bottle.model import CapabilityRequest, Usage
from bottle.operations import BottleView
from bottle.text import printable
from bottle.words import NOTHING, counted

BOTTLE_COLUMNS = (
    ("IDENTITY", 19),
    ("STATE", 12),
    ("REQ", 3),
    ("AGE", 4),
    ("COMMIT", 9),
    ("SIZE", 6),
    ("CPU", 4),
    ("MEMORY", 6),
)
REQUEST_COLUMNS = (("#", 3), ("STATUS", 9), ("AGE", 4), ("DIGEST", 12), ("REASON", 39))


def bottle_cells(view: BottleView, usage: Usage | None, waiting: int, now: datetime) -> tuple[str, ...]:
    """One bottle. `waiting` are the requests that wait for a decision."""
    committed = f"#{view.commit} {age(view.committed_at, now)}" if view.commit is not None else NOTHING
    return (
        shortened(str(view.identity), BOTTLE_COLUMNS[0][1]),
        view.status,
        f"!{waiting}" if waiting else "",
        age(view.started_at, now),
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
        age(request.received_at, now),
        request.digest[:SHORT_DIGEST],
        printable(request.reason),
    )


def waiting(requests: Iterable[CapabilityRequest]) -> int:
    """How many of them something is still to be done about."""
    return sum(request.status.open for request in requests)


def headline(views: Iterable[BottleView], requests: int) -> str:
    """What all of it comes to."""
    known = tuple(views)
    running = sum(view.state == "running" for view in known)
    parts = [counted(len(known), "bottle"), f"{running} running"]
    return " · ".join([*parts, counted(requests, "request") + " waiting"] if requests else parts)


def about(view: BottleView) -> str:
    """The line below the table: the selected bottle, in full."""
    return printable(" · ".join(filter(None, (str(view.identity), view.status, view.detail))))


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago, in the largest whole unit."""
    if moment is None:
        return NOTHING
    seconds = max(0, int((now - moment).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def size(count: int) -> str:
    """A number of bytes, in six characters or less."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            digits = 1 if unit != "B" and amount < 99.5 and len(f"{amount:.1f} {unit}") <= 6 else 0
            return f"{amount:.{digits}f} {unit}"
        amount /= 1000
    return f"{amount:.0f} TB"


def shortened(text: str, width: int) -> str:
    """`text` in `width` characters, without its middle where it is longer: an identity is told by both of its ends."""
    if len(text) <= width:
        return text
    tail = width // 2
    return f"{text[: width - tail - 1]}…{text[-tail:]}"
