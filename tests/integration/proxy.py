"""A TCP proxy on loopback that counts what passes, and cuts, stalls, damages or slows it."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator


class Proxy:
    """Forwards every connection to `target`. Bytes are those that clients send, counted over all connections.

    `cut_at`, `stall_at` and `flip_at` each strike once, when the count has come so far; those that end in `_back` count
    what the target answers. `rate` is how many bytes a second clients get through, None for all that there are.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._stopping = False
        self._hung = threading.Event()
        self.port = int(self._listener.getsockname()[1])
        self.sent = 0
        self.received = 0
        self.connections = 0
        self.cut_at: int | None = None
        self.stall_at: int | None = None
        self.flip_at: int | None = None
        self.cut_back_at: int | None = None
        self.flip_back_at: int | None = None
        self.rate: int | None = None
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def expect(
        self,
        *,
        cut: int | None = None,
        stall: int | None = None,
        flip: int | None = None,
        cut_back: int | None = None,
        flip_back: int | None = None,
        rate: int | None = None,
    ) -> None:
        """Count anew, and strike after so many bytes."""
        with self._lock:
            self.sent = self.received = self.connections = 0
            self.cut_at, self.stall_at, self.flip_at = cut, stall, flip
            self.cut_back_at, self.flip_back_at, self.rate = cut_back, flip_back, rate

    def cut(self) -> None:
        """Drop every connection, as a link that breaks."""
        self._hung.set()
        with self._lock:
            doomed, self._open = self._open, set()
        for each in doomed:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def close(self) -> None:
        self._stopping = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self._thread.join(timeout=5)

    def _accept(self) -> None:
        while not self._stopping:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target, timeout=10)
            except OSError:
                continue
            server.settimeout(None)
            with self._lock:
                self.connections += 1
                self._open |= {client, server}
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while True:
                for ready in select.select((client, server), (), ())[0]:
                    data = ready.recv(1 << 16)
                    if not data:
                        return
                    if ready is client:
                        self._pass_on(data, server)
                    else:
                        self._pass_back(data, client)
        except (OSError, ValueError):  # ValueError: closed while it was waited for
            return
        finally:
            with self._lock:
                self._open -= {client, server}
            for each in (client, server):
                each.close()

    def _pass_on(self, data: bytes, server: socket.socket) -> None:
        with self._lock:
            self.sent += len(data)
            if self.flip_at is not None and self.sent >= self.flip_at:
                self.flip_at = None
                data = _flipped(data)
            stalls = self.stall_at is not None and self.sent >= self.stall_at
            cuts = self.cut_at is not None and self.sent >= self.cut_at
            if stalls:
                self.stall_at = None
            if cuts:
                self.cut_at = None
        if cuts:
            self.cut()
            raise OSError("cut")
        if stalls:
            self._hung.clear()
            self._hung.wait()
        if self.rate is not None:
            time.sleep(len(data) / self.rate)
        server.sendall(data)

    def _pass_back(self, data: bytes, client: socket.socket) -> None:
        with self._lock:
            self.received += len(data)
            if self.flip_back_at is not None and self.received >= self.flip_back_at:
                self.flip_back_at = None
                data = _flipped(data)
            cuts = self.cut_back_at is not None and self.received >= self.cut_back_at
            if cuts:
                self.cut_back_at = None
        if cuts:
            self.cut()
            raise OSError("cut")
        client.sendall(data)


def _flipped(data: bytes) -> bytes:
    """With another bit at its end."""
    return data[:-1] + bytes([data[-1] ^ 1])


@contextlib.contextmanager
def proxy(address: str, port: int) -> Iterator[Proxy]:
    """A proxy for the length of a `with`."""
    running = Proxy((address, port))
    try:
        yield running
    finally:
        running.close()
