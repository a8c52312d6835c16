"""The link between the two hosts: a TCP proxy in front of the far sshd that counts every byte and can be slow."""

import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK = 256 << 10
_SLOW_CHUNK = 16 << 10
# A sender that was woken too late may catch up by so much: without it a busy machine makes a slower link.
_CREDIT = 0.02
_ADDRESS = "127.0.0.1"


class _Direction:
    """Counts, and lets no more than `rate` bytes a second pass; shared by all connections."""

    def __init__(self) -> None:
        self.rate: float | None = None
        self.count = 0
        self._free_at = 0.0
        self._lock = threading.Lock()

    def take(self, amount: int) -> None:
        with self._lock:
            self.count += amount
            if self.rate is None:
                return
            now = time.monotonic()
            self._free_at = max(self._free_at, now - _CREDIT) + amount / self.rate
            wait = self._free_at - now
        if wait > 0:
            time.sleep(wait)


class Wire:
    """Forwards connections to a port of this machine. `port` is where it listens."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._sent, self._received = _Direction(), _Direction()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server((_ADDRESS, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def limit(self, rate: float | None) -> None:
        """From now on, bytes a second in each direction; None: as fast as it goes."""
        self._sent.rate = self._received.rate = rate

    def counts(self) -> tuple[int, int]:
        """Bytes so far, to the far host and from it."""
        return self._sent.count, self._received.count

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection((_ADDRESS, self._target))
        except OSError:
            near.close()
            return
        ends = {near, far}
        for each in ends:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open |= ends
        back = threading.Thread(target=_pump, args=(far, near, self._received), daemon=True)
        back.start()
        _pump(near, far, self._sent)
        back.join()
        with self._lock:
            self._open -= ends
        for each in ends:
            each.close()


def _pump(source: socket.socket, sink: socket.socket, direction: _Direction) -> None:
    try:
        while data := source.recv(_CHUNK if direction.rate is None else _SLOW_CHUNK):
            direction.take(len(data))
            sink.sendall(data)
    except OSError:
        with suppress(OSError):
            source.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
