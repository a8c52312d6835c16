"""Peak memory of what a measurement runs here: of every process that it started, added up.

The kernel's own high-water mark (VmHWM) of each process is read, many times a second. getrusage would be simpler, but
its ru_maxrss begins at the size of the process that forked, which is this one.
"""

import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_INTERVAL = 0.02


class PeakMemory:
    """While the context is open, watches processes; `bytes` is the sum of their peaks."""

    def __init__(self) -> None:
        self._peaks: dict[int, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def add(self, process: "subprocess.Popen[bytes]") -> None:
        """Watch one more; it has executed its program by now, and is no copy of this process any more."""
        self._peaks[process.pid] = 0

    @property
    def bytes(self) -> int:
        """The sum of all processes' peaks: an upper bound of what they took at one moment."""
        return sum(self._peaks.values())

    def _watch(self) -> None:
        while not self._stop.wait(_INTERVAL):
            for pid in tuple(self._peaks):
                self._peaks[pid] = max(self._peaks[pid], _high_water(pid))


def _high_water(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
