"""Somebody to show progress to, and nobody."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Progress(Protocol):
    """Somebody who is told how far long work has come. The default, `Silent`, is nobody."""

    def phase(self, name: str, total: int | None = None) -> AbstractContextManager[None]:
        """Work called `name` runs while the context is open; `total` is in bytes where it is known."""

    def advance(self, amount: int) -> None:
        """`amount` more bytes of the phase that is open are done."""

    def note(self, text: str) -> None:
        """A line that the user should see now."""

    def output(self, line: str) -> None:
        """A line of what works in the phase that is open, such as a build's: worth a glance, and kept in the log."""


class Silent:
    """The default of every operation that takes a Progress."""

    @contextmanager
    def phase(self, name: str, total: int | None = None) -> Iterator[None]:
        """Do nothing while the phase runs."""
        yield

    def advance(self, amount: int) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""

    def output(self, line: str) -> None:
        """Ignore it."""
