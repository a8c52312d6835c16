"""Two ends of one conversation, in one process: what an owner and whoever pulls speak through."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import Any, Self

from bottle.errors import ConnectionLost
from bottle.ports import Silent
from migrate.model import RemoteCommand, Reply
from migrate.pull.receiver import Perform, Receiver
from migrate.transport.frames import MAGIC
from migrate.transport.stdio import StdioRemote


class End:
    """One end: the streams of either side."""

    host = "owner.test"

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def write(self, data: bytes) -> None:
        """All of it; as an SSH line does, it tells of a break by ConnectionLost."""
        try:
            self.connection.sendall(data)
        except OSError as exc:
            raise ConnectionLost("the connection broke") from exc

    def read(self) -> bytes:
        try:
            return self.connection.recv(1 << 16)
        except OSError:
            return b""

    def hang_up(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.hang_up()
        self.connection.close()


class OwnEnd(End):
    """The owner's end: standard streams tell of a break by OSError."""

    def write(self, data: bytes) -> None:
        self.connection.sendall(data)


class Duplex:
    """An owner's StdioRemote, and a Receiver that serves it in a thread until it is closed."""

    def __init__(self, perform: Perform, *, on_loss: Callable[[], None] = lambda: None) -> None:
        here, there = socket.socketpair()
        self.here, self.there = End(here), OwnEnd(there)
        self.remote = StdioRemote("puller.test", self.there, self.there, on_loss=on_loss)
        self.receiver = Receiver(self.here, perform, Silent())
        self.result: Mapping[str, Any] | None = None
        self.failure: BaseException | None = None
        self._thread = Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        self.remote.start()
        self.remote.greet({"identity": "demo-abc12"})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remote.close()
        self.there.close()
        self._thread.join()
        self.here.close()

    def _serve(self) -> None:
        try:
            magic = b""
            while len(magic) < len(MAGIC):
                magic += self.here.connection.recv(len(MAGIC) - len(magic))
            assert magic == MAGIC
            self.receiver.hello()
            self.result = self.receiver.serve()
        except BaseException as exc:  # noqa: BLE001
            self.failure = exc
        finally:
            self.receiver.close()
            self.here.hang_up()


class AnyScript:
    """A Remote over a Duplex for scripts that have no name: for the contract, which brings its own."""

    def __init__(self, remote: StdioRemote, texts: dict[str, str]) -> None:
        self._remote = remote
        self._texts = texts

    @property
    def name(self) -> str:
        return self._remote.name

    def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
        name = f"script-{len(self._texts)}"
        self._texts[name] = command.script
        return self._remote.run(RemoteCommand(script="", name=name, args=command.args), stdin, silence=silence)

    def close(self) -> None:
        self._remote.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def cut(data: bytes, places: Iterable[int]) -> Iterator[bytes]:
    """`data` in pieces, cut at `places`."""
    last = 0
    for place in sorted({place % (len(data) + 1) for place in places}):
        yield data[last:place]
        last = place
    yield data[last:]
