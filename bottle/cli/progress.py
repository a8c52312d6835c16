"""Progress on stderr: bars where it is a terminal, one line a phase where it is not."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Never

from bottle.cli.output import note, relayed
from bottle.cli.tail import Tail, Ticker
from bottle.text import printable
from bottle.words import size

if TYPE_CHECKING:
    from tqdm import tqdm

_SECOND = 1.0


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


def for_stderr() -> Bars | LineProgress:
    """The kind that fits where stderr goes."""
    return Bars() if sys.stderr.isatty() else LineProgress()
