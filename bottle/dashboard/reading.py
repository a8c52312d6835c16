"""Screens to read: lines that grow, and the keys."""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import RichLog, Static

from bottle.dashboard.aside import aside
from bottle.errors import BottleError
from bottle.text import printable

_INTERVAL = 1.0  # seconds between two looks at the lines


class Reader(ModalScreen[None]):
    """Lines that `read` gives, again and again while the screen is open; they are fit to be shown."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "back"),
        Binding("x", "stop", "interrupt it"),
    ]

    def __init__(
        self, title: str, read: Callable[[], Sequence[str]], *, stop: Callable[[], None] | None = None
    ) -> None:
        super().__init__()
        self._title = title
        self._read = read
        self._stop = stop
        self._shown: list[str] = []

    def compose(self) -> ComposeResult:
        """A title above the lines."""
        ways = "Escape goes back; it goes on. x interrupts it" if self._stop is not None else "Escape goes back"
        with VerticalScroll(classes="reader"):
            yield Static(self._title, classes="title", markup=False)
            yield RichLog(markup=False, highlight=False, wrap=True, min_width=20)
            yield Static(ways, classes="hint", markup=False)

    def on_mount(self) -> None:
        """Look now, and then regularly."""
        self.query_one(RichLog).focus()
        self.run_worker(self._look())
        self.set_interval(_INTERVAL, lambda: self.run_worker(self._look(), exclusive=True))

    async def _look(self) -> None:
        try:
            lines = list(await aside(self._read))
        except BottleError as exc:
            lines = [printable(exc.what), printable(exc.next_step)]
        log = self.query_one(RichLog)
        if lines[: len(self._shown)] != self._shown:
            log.clear()
            self._shown = []
        for line in lines[len(self._shown) :]:
            log.write(Text(line))
        self._shown = lines

    def action_stop(self) -> None:
        """End what is being read about."""
        if self._stop is not None:
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
        with VerticalScroll(classes="reader"):
            yield Static(self._title, classes="title", markup=False)
            yield Static("\n".join(self._lines), markup=False)
            yield Static("Escape goes back", classes="hint", markup=False)
