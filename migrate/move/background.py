"""What is done by a thread of its own while its results are taken, one by one."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from queue import SimpleQueue
from typing import TypeVar

from bottle.ports import Progress

_PATIENCE = 2.0  # seconds for which whoever was told to stop is waited for
_T = TypeVar("_T")


class _Stopped(Exception):
    """Nobody takes what is made any more."""


class _Over:
    """The end of what is made, and what ended it, if something did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _UntilStopped:
    """A Progress through which a thread learns that it is to stop."""

    def __init__(self, progress: Progress, stop: threading.Event) -> None:
        self._progress = progress
        self._stop = stop

    def phase(self, name: str, total: int | None = None) -> AbstractContextManager[None]:
        """As `Progress.phase`."""
        return self._progress.phase(name, total)

    def advance(self, amount: int) -> None:
        """As `Progress.advance`. Raises what ends the thread where it is to stop."""
        if self._stop.is_set():
            raise _Stopped
        self._progress.advance(amount)

    def note(self, text: str) -> None:
        """As `Progress.note`."""
        self._progress.note(text)

    def output(self, line: str) -> None:
        """As `Progress.output`."""
        self._progress.output(line)


@contextmanager
def in_background(make: Callable[[Progress], Iterator[_T]], progress: Progress) -> Iterator[Iterator[_T]]:
    """The items that `make` makes of the Progress that it is given, and tells how it gets on; in any number ahead.

    They raise what `make` raised. When the context closes, `make` ends the next time that it tells of progress.
    """
    made: SimpleQueue[_T | _Over] = SimpleQueue()
    stop = threading.Event()

    def run() -> None:
        try:
            for item in make(_UntilStopped(progress, stop)):
                made.put(item)
            made.put(_Over())
        except BaseException as exc:  # noqa: BLE001  (it is raised where items are taken)
            made.put(_Over(exc))

    thread = threading.Thread(target=run, name="bottle-background", daemon=True)
    thread.start()
    try:
        yield _taken(made)
    finally:
        stop.set()
        thread.join(_PATIENCE)


def _taken(made: "SimpleQueue[_T | _Over]") -> Iterator[_T]:
    while not isinstance(item := made.get(), _Over):
        yield item
    if item.error is not None:
        raise item.error
