"""The link between the two hosts: a TCP proxy in front of the far sshd that counts every byte, can be slow and far."""

import socket
import threading
import time
from contextlib import suppress
from queue import SimpleQueue
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
        self.delay = 0.0  # seconds that each byte is on its way
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

    def lengthen(self, round_trip: float) -> None:
        """From now on, connections that are made take so many seconds for a byte there and one back."""
        self._sent.delay = self._received.delay = round_trip / 2

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
    """Pass on what comes, each piece when it is due. What is on its way is bounded by the windows of SSH."""
    due: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
    passing = threading.Thread(target=_pass_on, args=(due, sink), daemon=True)
    passing.start()
    try:
        while data := source.recv(_CHUNK if direction.rate is None else _SLOW_CHUNK):
            direction.take(len(data))
            due.put((time.monotonic() + direction.delay, data))
    except OSError:
        with suppress(OSError):
            source.shutdown(socket.SHUT_RDWR)
    due.put((time.monotonic() + direction.delay, b""))
    passing.join()


def _pass_on(due: "SimpleQueue[tuple[float, bytes]]", sink: socket.socket) -> None:
    data = b"-"
    while data:
        when, data = due.get()
        if (wait := when - time.monotonic()) > 0:
            time.sleep(wait)
        with suppress(OSError):  # nobody takes it any more: what still comes is let go
            if data:
                sink.sendall(data)
            else:
                sink.shutdown(socket.SHUT_WR)
