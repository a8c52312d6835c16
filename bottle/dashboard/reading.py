"""Screens to read: lines that grow, and texts that do not."""

from collections.abc import Callable, Iterable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalGroup, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import RichLog, Static

from bottle.dashboard.lines import KEPT, Lines

_INTERVAL = 0.2  # seconds between two looks at the lines


class Reader(ModalScreen[None]):
    """Lines as they come. `says` is how it stands, and what the keys do then; `stop` ends what is read about."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "back"),
        Binding("x", "stop", "interrupt it"),
    ]

    def __init__(
        self,
        title: str,
        lines: Lines,
        says: Callable[[], str],
        *,
        stop: Callable[[], None] = lambda: None,
        left: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self._title = title
        self._lines = lines
        self._says = says
        self._stop = stop
        self._left = left
        self._seen = 0

    def compose(self) -> ComposeResult:
        """A title above the lines."""
        with VerticalGroup(classes="reader"):
            yield Static(self._title, classes="title", markup=False)
            yield RichLog(max_lines=KEPT, markup=False, highlight=False, wrap=True, min_width=20)
            yield Static("", id="begun", markup=False)
            yield Static("", classes="hint", markup=False)

    def on_mount(self) -> None:
        """Look now, and then regularly."""
        self.query_one(RichLog).focus()
        self._look()
        self.set_interval(_INTERVAL, self._look)

    def on_unmount(self) -> None:
        """Nobody looks any more."""
        self._left()

    def _look(self) -> None:
        says = self._says()  # first: what it says of the end is true of all the lines
        self._seen, lines = self._lines.after(self._seen)
        log = self.query_one(RichLog)
        for line in lines:
            log.write(Text(line), scroll_end=log.is_vertical_scroll_end)  # who reads further up stays there
        self.query_one("#begun", Static).update(self._lines.begun)
        self.query_one(".hint", Static).update(says)

    def action_stop(self) -> None:
        """End what is being read about."""
        self._stop()


class Page(ModalScreen[None]):
    """A text that does not change."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", "back")]

    def __init__(self, title: str, lines: Iterable[str]) -> None:
        super().__init__()
        self._title = title
        self._lines = tuple(lines)

    def compose(self) -> ComposeResult:
        """A title above the text."""
        with VerticalGroup(classes="reader"):
            yield Static(self._title, classes="title", markup=False)
            with VerticalScroll():
                yield Static("\n".join(self._lines), markup=False)
            yield Static("Escape goes back", classes="hint", markup=False)
