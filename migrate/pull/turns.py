"""Who may work at a time: some beside each other, others alone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Pieces come beside each other; everything else waits for them, and is alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._shared = 0
        self._taken = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        """A turn beside others of its kind."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken)
            self._shared += 1
        try:
            yield
        finally:
            with self._changed:
                self._shared -= 1
                self._changed.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """A turn alone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken and not self._shared)
            self._taken = True
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()
