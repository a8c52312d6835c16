"""What an agent writes, read in a thread of its own for as long as somebody looks."""

import codecs
import threading
from collections.abc import Callable, Generator
from contextlib import closing

from bottle.dashboard.lines import Lines
from bottle.errors import BottleError


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
