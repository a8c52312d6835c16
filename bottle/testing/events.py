"""The fake engine's events."""

import threading
from collections import deque
from collections.abc import Callable, Iterator

from bottle.errors import EngineUnreachable
from bottle.model import ContainerEvent

_LOOK = 0.05  # seconds after which a stream sees that its engine is down


class FakeEvents:
    """`ports.Events` of what `hear` is told and `wanted` lets through."""

    def __init__(
        self, changed: threading.Condition, down: Callable[[], bool], wanted: Callable[[ContainerEvent], bool]
    ) -> None:
        self._changed = changed
        self._down = down
        self._wanted = wanted
        self._waiting: deque[ContainerEvent] = deque()
        self._closed = False

    def hear(self, event: ContainerEvent) -> bool:
        """Something happened; whether the stream is still open."""
        if self._wanted(event):
            self._waiting.append(event)
        return not self._closed

    def __iter__(self) -> Iterator[ContainerEvent]:
        """The events as they come; ends when the stream is closed."""
        while (event := self._next()) is not None:
            yield event

    def _next(self) -> ContainerEvent | None:
        with self._changed:
            while not self._closed and not self._waiting:
                if self._down():
                    raise EngineUnreachable("Docker ended the stream of its events", next_step="bottle doctor")
                self._changed.wait(_LOOK)
            return None if self._closed else self._waiting.popleft()

    def close(self) -> None:
        """End it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
