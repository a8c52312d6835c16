"""What happens to bottles, heard in a thread of its own and told to the screen."""

import threading
from collections.abc import Callable

from bottle.errors import BottleError
from bottle.ports import Events

_AGAIN = 2.0  # seconds until an engine that does not answer is asked again


class Watch:
    """Calls `changed`, from its own thread, once it listens and whenever something happened to a bottle's container.

    When the engine ends the stream, or there is none, it tries again, and calls `changed` so that somebody looks why.
    """

    def __init__(self, events: Callable[[], Events], changed: Callable[[], None]) -> None:
        self._events = events
        self._changed = changed
        self._closed = threading.Event()
        self._stream: Events | None = None

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, daemon=True, name="watch").start()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                stream = self._stream = self._events()
                if self._closed.is_set():  # while the engine was asked
                    stream.close()
                self._changed()
                for _ in stream:
                    self._changed()
            except BottleError:
                self._changed()
            self._closed.wait(_AGAIN)

    def close(self) -> None:
        """End."""
        self._closed.set()
        if self._stream is not None:
            self._stream.close()
