"""Progress on stderr: on a terminal bars, or how long it has taken and what it printed last; elsewhere lines."""

import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Never, TextIO

from bottle.cli.output import note, quoted, relayed
from bottle.text import printable
from bottle.words import size

if TYPE_CHECKING:
    from tqdm import tqdm

_SECOND = 1.0
_INTERVAL = 0.2  # seconds between two looks at whether there is something new to show
_LINES = 5
_PATIENCE = 1.0  # seconds after which work that prints nothing is shown to go on

# A line that is too long is cut by the terminal, which knows how wide each character is.
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"


class Ticker:
    """Calls `draw` every `interval` seconds, in a thread of its own, between `start` and `stop`."""

    def __init__(self, draw: Callable[[], object], interval: float) -> None:
        self._draw = draw
        self._interval = interval
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._over.clear()
        self._thread = threading.Thread(target=self._run, name="bottle-ticker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Draw no more, from when this returns."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            self._draw()


class Tail:
    """What works without a known end: a few lines at the bottom of a terminal, gone when it has ended or is held up."""

    def __init__(self, name: str, stream: TextIO) -> None:
        self._name = printable(name, 200)
        self._stream = stream
        self._began = time.monotonic()
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._shown: list[str] = []
        self._done = 0
        self._lock = threading.Lock()
        self._ticker = Ticker(lambda: self.show(self.lines()), _INTERVAL)

    def output(self, line: str) -> None:
        """Take in a line; it is shown with the next look."""
        self._lines.append(line)

    def count(self, amount: int) -> None:
        """Take in that so many more bytes are done, of nobody knows how many."""
        self._done += amount

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *ended: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to draw."""
        self._ticker.start()

    def stop(self) -> None:
        """Draw no more, and leave nothing behind."""
        self._ticker.stop()
        self.show([])

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """Nothing is drawn while the context is open, so that something can be printed above."""
        with self._lock:
            self._replace([])
            yield

    def lines(self) -> list[str]:
        """What is to be shown now."""
        seconds = time.monotonic() - self._began
        if not self._lines and seconds < _PATIENCE:
            return []
        done = f", {size(self._done)}" if self._done else ""
        terminal = shutil.get_terminal_size()
        head = f"{self._name} … {_span(int(seconds))}{done}"
        return shown_below(head, tuple(self._lines), terminal.columns, terminal.lines)

    def show(self, lines: list[str]) -> None:
        """Draw these in place of those that stand there."""
        with self._lock:
            if lines != self._shown:
                self._replace(lines)

    def _replace(self, lines: list[str]) -> None:
        erased = f"\x1b[{len(self._shown)}F\x1b[J" if self._shown else ""
        drawn = "".join(f"{line}\n" for line in lines)
        self._stream.write(erased + (f"{_NO_WRAP}{drawn}{_WRAP}" if drawn else ""))
        self._stream.flush()
        self._shown = lines


def shown_below(head: str, lines: tuple[str, ...], columns: int, rows: int) -> list[str]:
    """What stands at the bottom of a terminal of that size."""
    room = max(0, min(_LINES, rows - 3))
    shown = lines[len(lines) - room :] if len(lines) > room else lines
    return [head, *(f"  {line}"[:columns] for line in quoted(shown))]


def _span(seconds: int) -> str:
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min {seconds % 60} s"


class Bars:
    """A Progress for a terminal."""

    def __init__(self) -> None:
        self._bar: tqdm[Never] | None = None
        self._tail: Tail | None = None

    @contextmanager
    def phase(self, name: str, total: int | None = None) -> Iterator[None]:
        """Show a bar where bytes are counted; a line where they are not, and while it lasts, for how long and what."""
        if total is None:
            self.note(f"{name} …")
            with self._in_place_of_the_tail(Tail(name, sys.stderr) if self._bar is None else None):
                yield
            return
        from tqdm import tqdm  # noqa: PLC0415  (most commands count no bytes, and it takes long to load)

        with self._in_place_of_the_tail(None):
            bar: tqdm[Never] = tqdm(desc=printable(name, 100), total=total, unit="B", unit_scale=True, file=sys.stderr)
            outer, self._bar = self._bar, bar
            ticker = Ticker(bar.refresh, _SECOND)  # its time goes on where nothing is counted for long
            ticker.start()
            try:
                yield
            finally:
                ticker.stop()
                bar.close()
                self._bar = outer

    @contextmanager
    def _in_place_of_the_tail(self, tail: Tail | None) -> Iterator[None]:
        """Of phases in each other, the innermost one is shown."""
        outer, self._tail = self._tail, tail
        if outer is not None:
            outer.stop()
        try:
            with tail if tail is not None else nullcontext():
                yield
        finally:
            self._tail = outer
            if outer is not None:
                outer.start()

    def advance(self, amount: int) -> None:
        """Move the bar, or count."""
        if self._bar is not None:
            self._bar.update(amount)
        elif self._tail is not None:
            self._tail.count(amount)

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        tail, bar = self._tail, self._bar
        with (
            tail.lifted() if tail is not None else nullcontext(),
            bar.external_write_mode(file=sys.stderr) if bar is not None else nullcontext(),
        ):
            note(text)

    def output(self, line: str) -> None:
        """Show it among the last ones."""
        if self._tail is not None:
            self._tail.output(line)


class LineProgress:
    """A Progress for a log: a line when a phase begins, and one when a counted phase has ended."""

    def __init__(self) -> None:
        self._done = 0

    @contextmanager
    def phase(self, name: str, total: int | None = None) -> Iterator[None]:
        """Say that the phase begins, and how much it did in what time."""
        self.note(name if total is None else f"{name}: {size(total)}")
        outer, self._done, began = self._done, 0, time.monotonic()
        try:
            yield
            if total is not None:
                self.note(f"{name}: {size(self._done)} done in {time.monotonic() - began:.1f} s")
        finally:
            self._done = outer

    def advance(self, amount: int) -> None:
        """Count."""
        self._done += amount

    def note(self, text: str) -> None:
        """Print the line."""
        note(text)

    def output(self, line: str) -> None:
        """Print the line behind a mark: it is somebody else's."""
        relayed(line)


class Labelled(LineProgress):
    """A LineProgress of one of several who work at once: each of its lines says what it is about."""

    def __init__(self) -> None:
        super().__init__()
        self.label = ""

    def note(self, text: str) -> None:
        """Print the line."""
        note(f"{self.label}: {text}")

    def output(self, line: str) -> None:
        """Print the line behind a mark."""
        relayed(f"{self.label}: {line}")


def for_stderr() -> Bars | LineProgress:
    """The kind that fits where stderr goes."""
    return Bars() if sys.stderr.isatty() else LineProgress()
