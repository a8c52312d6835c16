"""The last lines of what grows, written by one thread and read by another."""

import re
import threading
from collections import deque

from bottle.text import laid_out

KEPT = 2000  # lines
_LONGEST = 1000  # characters of a line that are shown
_UNENDED = 10_000  # characters after which a line that does not end counts as one

_END = re.compile(r"\r?\n")


class Lines:
    """Lines without anything that a terminal acts on; no more than `KEPT` of them, however much is written."""

    def __init__(self) -> None:
        self._kept: deque[str] = deque(maxlen=KEPT)
        self._count = 0
        self._begun = ""
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Add text as it comes: lines may end in any of the next texts."""
        with self._lock:
            *whole, self._begun = _END.split(self._begun + text)
            for line in whole:
                self._keep(line)
            if len(self._begun) > _UNENDED:
                self._keep(self._begun)
                self._begun = ""

    def end(self) -> None:
        """Nothing comes any more: what has begun is a line."""
        if self._begun:
            self.write("\n")

    def after(self, seen: int) -> tuple[int, list[str]]:
        """How many lines there have been, and those after the first `seen` that are still kept."""
        with self._lock:
            new = min(self._count - seen, len(self._kept))
            return self._count, list(self._kept)[len(self._kept) - new :]

    @property
    def begun(self) -> str:
        """The line that has not ended yet, such as a prompt."""
        return _shown(self._begun)

    def _keep(self, line: str) -> None:
        self._kept.append(_shown(line))
        self._count += 1


def _shown(line: str) -> str:
    """What a terminal would show of a line at last: a carriage return begins it anew."""
    return laid_out(line.rstrip("\r").rpartition("\r")[2], _LONGEST)
