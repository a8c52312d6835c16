"""Something drawn again and again while other work goes on."""

import threading
from collections.abc import Callable


class Ticker:
    """Calls `draw` every `interval` seconds, in a thread of its own, between `start` and `stop`."""

    def __init__(self, draw: Callable[[], object], interval: float) -> None:
        self._draw = draw
        self._interval = interval
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._over.clear()
        self._thread = threading.Thread(target=self._run, name="bottle-ticker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Draw no more, from when this returns."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            self._draw()
