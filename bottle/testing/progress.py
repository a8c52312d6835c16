"""Who watches, and what time it is, in tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


@dataclass
class RecordingProgress:
    """`ports.Progress` that remembers: phases as (name, total), notes, output, and the bytes done in each phase."""

    phases: list[tuple[str, int | None]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)

    @contextmanager
    def phase(self, name: str, total: int | None = None) -> Iterator[None]:
        """Remember the phase, and that it is open while the context is."""
        self.phases.append((name, total))
        self.open.append(name)
        self.done.setdefault(name, 0)
        try:
            yield
        finally:
            self.open.pop()

    def advance(self, amount: int) -> None:
        """Add to the innermost phase that is open."""
        assert self.open, "advance outside of a phase"
        self.done[self.open[-1]] += amount

    def note(self, text: str) -> None:
        """Remember the line."""
        self.notes.append(text)

    def output(self, line: str) -> None:
        """Remember the line."""
        self.outputs.append(line)


@dataclass
class Clock:
    """A clock that goes on by `step` each time it is read, so that no two times are equal unless a test says so."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    step: timedelta = timedelta(seconds=1)

    def __call__(self) -> datetime:
        """The time, which then goes on."""
        now = self.now
        self.now += self.step
        return now
