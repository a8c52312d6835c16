"""The last lines of what grows, such as the output of an agent: written by one thread and read by another."""

import codecs
import re
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing

from bottle.errors import BottleError
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


class Following:
    """The output of one bottle. `output` gives it as it comes, and ends with the agent.

    A thread that waits for an agent which says nothing cannot be woken. So it stays when nobody looks any more, until
    the next output, and who looks again before that gets it back: there is one for each bottle at most.
    """

    def __init__(self, output: Callable[[], Generator[bytes]]) -> None:
        self.lines = Lines()
        self._output = output
        self._lock = threading.Lock()
        self._reading = False
        self._watched = False

    def watch(self) -> None:
        """Begin to read, or go on."""
        with self._lock:
            self._watched = True
            if self._reading:
                return
            self._reading = True
            self.lines = Lines()
        threading.Thread(target=self._read, daemon=True, name="follow").start()

    def leave(self) -> None:
        """Read no more than what comes next."""
        self._watched = False

    def says(self) -> str:
        """How it stands."""
        return "Escape goes back" if self._reading else "it has ended; Escape goes back"

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        try:
            with closing(self._output()) as chunks:
                for chunk in chunks:
                    if self._abandoned():
                        return
                    self.lines.write(decoder.decode(chunk))
        except BottleError as exc:
            self.lines.end()
            self.lines.write(f"{exc.what}\n" + (f"next:  {exc.next_step}\n" if exc.next_step else ""))
        self.lines.end()
        self._reading = False

    def _abandoned(self) -> bool:
        """Whether nobody looks; this thread then is no more."""
        with self._lock:
            self._reading = self._watched
            return not self._reading
