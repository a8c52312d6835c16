"""The status at the bottom of the dashboard: what goes on, what happened last, and the line to type next."""

import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from textual.app import ComposeResult
from textual.containers import VerticalGroup
from textual.content import Content
from textual.widgets import Static

from bottle.dashboard.desk import Outcome
from bottle.errors import BottleError
from bottle.text import laid_out, printable

_LINES = 4  # that are shown; `e` shows all of them
_ALL = 10_000  # characters of each part
_FAILED = "$text-error"
_INTERVAL = 0.25  # seconds between two lines of one phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What the status says. `line` is what `y` copies; `style` is a variable of the theme; `details` `e` shows only."""

    text: str
    line: str = ""
    notes: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    style: str = ""

    @classmethod
    def of_error(cls, error: BottleError) -> "Message":
        """An error: what happened, what state is left, the next command."""
        left = (f"state: {error.left}",) if error.left else ()
        return cls(text=error.what, line=error.next_step, notes=left, details=error.details, style=_FAILED)

    @classmethod
    def of_outcome(cls, outcome: Outcome) -> "Message":
        """Something that was done."""
        return cls(text=outcome.text, line=outcome.line, notes=outcome.notes, style="$text-success")

    def warned(self, text: str) -> "Message":
        """A warning in its place, or below it where it tells of what failed: what to type next stays in sight."""
        if self.style != _FAILED:
            return Message(text=text, style="$text-warning")
        return replace(self, notes=tuple(dict.fromkeys((*self.notes, text))))

    def said(self) -> Iterator[tuple[str, str]]:
        """What happened, in texts with their styles."""
        yield printable(self.text), self.style
        for note in self.notes:
            yield printable(note), "$text-warning" if self.style == "$text-success" else ""

    def full(self) -> Iterator[str]:
        """All of it, in its own lines; those of what failed behind a mark."""
        yield printable(self.text, _ALL)
        yield from (f"  | {laid_out(line, _ALL)}" for line in self.details)
        yield from (printable(note, _ALL) for note in self.notes)
        if self.line:
            yield f"next:  {printable(self.line, _ALL)}"


class StatusLine(VerticalGroup):
    """Shows one message; the line to type next has a place of its own, so that it is never what is cut off."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.message = Message(text="")

    def compose(self) -> ComposeResult:
        """What happened, and what is next."""
        yield Static("", id="said", markup=False)
        following = Static("", id="next", markup=False)
        following.display = False
        yield following

    def show(self, message: Message) -> None:
        """Replace what it says."""
        self.message = message
        width = self.size.width or 80
        lines = [(line, style) for text, style in message.said() for line in textwrap.wrap(text, width)]
        if len(lines) > _LINES:
            lines[_LINES - 1 :] = [("… e shows all of it", "")]
        self.query_one("#said", Static).update(Content("\n").join(Content.styled(text, style) for text, style in lines))
        following = self.query_one("#next", Static)
        following.update(f"next:  {printable(message.line, 150)}")
        following.display = bool(message.line)


class Teller:
    """A Progress that hands each line to `listener`, which is called from the thread that does the work."""

    def __init__(self) -> None:
        self.listener: Callable[[str], None] = lambda line: None
        self._name = ""
        self._done = 0
        self._total: int | None = None
        self._told = 0.0

    @contextmanager
    def phase(self, name: str, total: int | None = None) -> Iterator[None]:
        """Say that it begins."""
        outer = self._name, self._done, self._total
        self._name, self._done, self._total = name, 0, total
        self.listener(f"{name} …")
        try:
            yield
        finally:
            self._name, self._done, self._total = outer

    def advance(self, amount: int) -> None:
        """Say now and then how much of the whole is done."""
        self._done += amount
        now = time.monotonic()
        if self._total and now - self._told >= _INTERVAL:
            self._told = now
            self.listener(f"{self._name} … {min(100, 100 * self._done // self._total)}%")

    def note(self, text: str) -> None:
        """Pass it on."""
        self.listener(text)

    def output(self, line: str) -> None:
        """Pass now and then one on."""
        now = time.monotonic()
        if now - self._told >= _INTERVAL:
            self._told = now
            self.listener(line)
