"""The commits of a bottle, to go back to one or to fork off it."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalGroup
from textual.screen import ModalScreen
from textual.widgets import DataTable, Static

from bottle.dashboard.aside import aside
from bottle.dashboard.desk import Desk
from bottle.dashboard.rows import Columns
from bottle.dashboard.tables import Listing
from bottle.errors import BottleError
from bottle.naming import Identity
from bottle.operations import HistoryEntry, lineage
from bottle.text import printable
from bottle.words import NOTHING, elapsed, size

_COLUMNS: Columns = (("COMMIT", 6), ("AGE", 4), ("IMAGE", 8), ("SIZE", 8), ("MESSAGE", 16))
_BORDER = 4  # columns of the screen around the table


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A commit, to fork off it or else to go back to it."""

    number: int
    fork: bool


class Commits(ModalScreen[Chosen | None]):
    """A bottle's history, the newest commit first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,h", "dismiss", "back"),
        Binding("f", "fork", "fork off it"),
    ]

    def __init__(self, desk: Desk, identity: Identity, now: datetime) -> None:
        super().__init__()
        self._desk = desk
        self._identity = identity
        self._now = now
        self._entries: dict[str, HistoryEntry] = {}

    def compose(self) -> ComposeResult:
        """The table, and what there is to know of the one under the cursor."""
        with VerticalGroup(classes="reader"):
            yield Static(f"the commits of {self._identity}", classes="title", markup=False)
            yield Listing(_COLUMNS, id="commits")
            yield Static("reading …", id="commit", markup=False)
            ways = "Enter resumes it there, f forks off it, Escape goes back"
            yield Static(ways, classes="hint", markup=False)

    def on_mount(self) -> None:
        """Look."""
        self.query_one(Listing).focus()
        self.run_worker(self._look())

    async def _look(self) -> None:
        try:
            history = await aside(self._desk.history, self._identity)
        except BottleError as exc:
            self.query_one("#commit", Static).update(printable(f"{exc.what}  {exc.next_step}"))
            return
        self._entries = {str(entry.commit.number): entry for entry in reversed(history.entries)}
        *others, (name, least) = _COLUMNS
        room = self.app.size.width - _BORDER - 3 - sum(width + 2 for _, width in others)
        cells = {key: _cells(entry, self._now) for key, entry in self._entries.items()}
        self.query_one(Listing).show(cells, (*others, (name, max(least, room))))
        due = ("its own Dockerfile was approved since, and is in no commit yet",) if history.rebuild_due else ()
        title = "\n".join((f"the commits of {self._identity}", *lineage(history), *due))
        self.query_one(".title", Static).update(title)
        self._tell()

    def _tell(self) -> None:
        entry = self._selected()
        said = about(entry) if entry is not None else f"it was never committed: bottle commit {self._identity}"
        self.query_one("#commit", Static).update(said)

    def _selected(self) -> HistoryEntry | None:
        return self._entries.get(self.query_one(Listing).selected or "")

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """The cursor is on another commit."""
        event.stop()
        if self._entries:
            self._tell()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter: go back to it."""
        event.stop()
        self._choose(fork=False)

    def action_fork(self) -> None:
        """Fork off it."""
        self._choose(fork=True)

    def _choose(self, *, fork: bool) -> None:
        if (entry := self._selected()) is not None:
            self.dismiss(Chosen(number=entry.commit.number, fork=fork))


def _cells(entry: HistoryEntry, now: datetime) -> tuple[str, ...]:
    commit = entry.commit
    return (
        f"{'*' if entry.in_force else ' '} {commit.number}",
        elapsed(commit.created_at, now),
        entry.image,
        size(entry.size) if entry.size is not None else NOTHING,
        printable(commit.message),
    )


def about(entry: HistoryEntry) -> str:
    """One commit in full."""
    commit = entry.commit
    parts = [
        f"commit {commit.number}",
        f"made of {commit.parent}" if commit.parent is not None else "",
        "in force" if entry.in_force else "",
        f"forks: {' '.join(map(str, entry.forks))}" if entry.forks else "",
        printable(commit.message, 1000),
    ]
    return " · ".join(filter(None, parts))
