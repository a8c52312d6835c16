"""Progress that nobody watches."""

from collections.abc import Iterator
from contextlib import contextmanager


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
