"""Progress of what the dashboard does, as lines for its status."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_INTERVAL = 0.25  # seconds between two lines of one phase


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
