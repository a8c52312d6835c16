"""Ways of running commands that wrap another: with a limit of speed, and again where the line breaks."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator

from bottle.errors import ConnectionLost
from bottle.ports import Progress
from migrate.model import RemoteCommand, Reply
from migrate.ports import Shell

_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0)  # seconds


class Throttled:
    """A Shell whose commands are fed at no more than `rate` bytes a second, all of them together; None: no limit.

    Once `stop` is set nothing is fed any more: ConnectionLost.
    """

    def __init__(
        self,
        shell: Shell,
        rate: int | None,
        stop: threading.Event,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shell = shell
        self._rate = rate
        self._stop = stop
        self._clock = clock
        self._free_at = 0.0
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """As `Shell.name`."""
        return self._shell.name

    def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
        """As `Shell.run`."""
        return self._shell.run(command, self._passed(stdin), silence=silence)

    def delay(self, size: int) -> float:
        """How long whoever sends `size` bytes now has to wait first, in seconds."""
        if self._rate is None:
            return 0.0
        with self._lock:
            now = self._clock()
            start = max(self._free_at, now)
            self._free_at = start + size / self._rate
            return start - now

    def _passed(self, stdin: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in stdin:
            if self._stop.wait(self.delay(len(chunk))):
                raise ConnectionLost("sending was stopped")
            yield chunk


class Retrying:
    """A Shell that waits out each break of the line a little longer, and runs the command again.

    The scripts of a move may all be run again (`migrate/host/scripts`). What a command is fed is iterated anew each
    time: no one-way iterator. Once `stop` is set nothing is tried again.
    """

    def __init__(
        self,
        shell: Shell,
        progress: Progress,
        stop: threading.Event,
        *,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._shell = shell
        self._progress = progress
        self._stop = stop
        self._wait = wait or stop.wait  # whoever stops us wakes us

    @property
    def name(self) -> str:
        """As `Shell.name`."""
        return self._shell.name

    def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
        """As `Shell.run`. Raises ConnectionLost when the line stays broken."""
        for pause in _PAUSES:
            try:
                return self._shell.run(command, stdin, silence=silence)
            except ConnectionLost as exc:
                if self._stop.is_set():
                    raise
                self._progress.note(f"{exc.what}; trying again in {pause:g} s")
                self._wait(pause)
        return self._shell.run(command, stdin, silence=silence)
