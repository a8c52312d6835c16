"""What is known of one bottle, beside the table where there is room, and as a screen where there is none."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalGroup
from textual.screen import ModalScreen
from textual.widgets import Static

from bottle.dashboard.aside import aside
from bottle.dashboard.desk import Desk
from bottle.dashboard.diffview import Pane, Styled
from bottle.dashboard.status import Message
from bottle.errors import BottleError
from bottle.operations import BottleView, History, Inspection, described
from bottle.text import printable
from bottle.words import NOTHING, elapsed, size

_NAME = 11  # columns of what is told of
_FRESH = 30.0  # seconds after which a bottle is looked at again, though nothing seems to have changed
_SETTLED = 0.15  # seconds that the cursor rests on a bottle before it is looked at: that takes the engine a while
_STYLES = {"identity": "strong", "moved to": "strong", "there": "strong", "unfinished": "warning", "asked": "warning"}


def detail_lines(seen: Inspection, now: datetime) -> Iterator[Styled]:
    """All that `inspect` says, and the commits, the newest first."""
    for name, value in described(seen, now):
        yield f"{name:<{_NAME}} {printable(value, 1000)}", _STYLES.get(name, "")
    yield from commit_lines(seen.history, now)


def commit_lines(history: History, now: datetime) -> Iterator[Styled]:
    """A line for each commit; the one in force is marked."""
    for entry in reversed(history.entries):
        commit = entry.commit
        adds = size(entry.size) if entry.size is not None else NOTHING
        facts = f"{commit.number:<3} {elapsed(commit.created_at, now):>4}  {adds:>8}  {entry.image}"
        yield f"{'*' if entry.in_force else ' '} {facts}  {printable(commit.message)}".rstrip(), ""


class Details(Pane):
    """Shows one bottle, looked at anew whenever what the table knows of it has changed, and now and then."""

    def __init__(self, desk: Desk, now: Callable[[], datetime], *, id: str) -> None:
        super().__init__(id=id, hang=_NAME + 1)
        self._desk = desk
        self._now = now
        self._view: BottleView | None = None
        self._seen: Inspection | None = None
        self._since = 0.0

    def describe(self, view: BottleView | None) -> None:
        """Show a bottle, which it may do already."""
        if view == self._view and time.monotonic() - self._since < _FRESH:
            self._tell()  # the ages are others now
            return
        if view is None or self._view is None or view.identity != self._view.identity:
            self._seen = None
            self.show((("reading …", ""),) if view is not None else ())
        self._view, self._since = view, time.monotonic()
        self.workers.cancel_node(self)  # what is being read is of another bottle, or of how this one was
        if view is not None:
            self.run_worker(self._read(view))

    async def _read(self, view: BottleView) -> None:
        await asyncio.sleep(_SETTLED)
        try:
            self._seen = await aside(self._desk.inspect, view.identity)
        except BottleError as exc:
            self._seen = None
            self.replace(tuple((line, "warning") for line in Message.of_error(exc).full()))
        self._tell()

    def _tell(self) -> None:
        if self._seen is not None:
            self.replace(tuple(detail_lines(self._seen, self._now())))


class DetailScreen(ModalScreen[None]):
    """The same on the whole terminal. `latest` is what the table knows now of the bottle, None where it is gone."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,i,enter", "dismiss", "back")]

    def __init__(self, desk: Desk, latest: Callable[[], BottleView | None], now: Callable[[], datetime]) -> None:
        super().__init__()
        self._details = Details(desk, now, id="about-one")
        self._latest = latest

    def compose(self) -> ComposeResult:
        """The pane above its hint."""
        with VerticalGroup(classes="reader"):
            yield self._details
            yield Static("Escape goes back", classes="hint", markup=False)

    def on_mount(self) -> None:
        """Look now, and now and then."""
        self._details.focus()
        self._look()
        self.set_interval(1.0, self._look)

    def _look(self) -> None:
        view = self._latest()
        self._details.describe(view)
        if view is None:
            self._details.show((("it is no longer here", "warning"),))
