"""A container's standard streams: their framing, and an open line to them."""

import io
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any

import requests

_HEADER_BYTES = 8
_EXIT_CODE_INTERVAL = 0.05  # seconds


class Demultiplexer:
    """Takes the frames off the output of a container without a tty, whose two streams come mixed in one.

    A frame is a header of 8 bytes, whose last 4 are the length, big endian, and then that many bytes of output:
    https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach
    """

    def __init__(self) -> None:
        self._header = b""
        self._left = 0

    def feed(self, data: bytes) -> bytes:
        """The output within `data`, which may begin and end anywhere in a frame; never longer than `data`."""
        output = bytearray()
        while data:
            if self._left:
                output += data[: self._left]
                taken = min(self._left, len(data))
                self._left -= taken
            else:
                taken = min(_HEADER_BYTES - len(self._header), len(data))
                self._header += data[:taken]
                if len(self._header) == _HEADER_BYTES:
                    self._left = int.from_bytes(self._header[4:], "big")
                    self._header = b""
            data = data[taken:]
        return bytes(output)


def unframed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The output in a framed stream; ends the source too when it is closed early."""
    frames = Demultiplexer()
    try:
        for chunk in chunks:
            output = frames.feed(chunk)
            if output:
                yield output
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


class DockerSession:
    """`ports.Session` over the connection that an attach request has taken over.

    Only as many bytes are taken from the socket as were asked for, so that `select` on it never misses any, but for
    the few that the engine had sent together with the answer's headers: the next `recv` gives those.
    """

    def __init__(
        self, response: requests.Response, *, framed: bool, translated: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._response = response  # whose end would close the socket
        self._frames = Demultiplexer() if framed else None
        self._translated = translated
        self._socket: socket.socket = _raw(response).connection.sock
        self._early = _read_ahead(response, self._socket)
        self._socket.settimeout(None)

    @property
    def tty(self) -> bool:
        """Whether the other end is a terminal."""
        return self._frames is None

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def recv(self, size: int) -> bytes:
        """Up to `size` bytes of output; empty at the end."""
        while data := self._recv_raw(size):
            output = self._frames.feed(data) if self._frames else data
            if output:
                return output
        return b""

    def _recv_raw(self, size: int) -> bytes:
        if self._early:
            data, self._early = self._early[:size], self._early[size:]
            return data
        with self._translated():
            return self._socket.recv(size)

    def send(self, data: bytes) -> None:
        """Give `data` to the container's standard input."""
        with self._translated():
            self._socket.sendall(data)

    def close_stdin(self) -> None:
        """Tell the container that no more input comes.

        Over TLS this does nothing: Python's ssl module cannot close one direction only.
        """
        if isinstance(self._socket, ssl.SSLSocket):
            return
        with self._translated():
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Leave; the container goes on."""
        # Closing alone does not end a recv in another thread.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._response.close()
        self._socket.close()


class DockerExecution(DockerSession):
    """`ports.Execution`: a session with one command in a container, which `id` names to the engine."""

    def __init__(
        self,
        response: requests.Response,
        *,
        framed: bool,
        translated: Callable[[], AbstractContextManager[None]],
        client: Any,
        id: str,
    ) -> None:
        super().__init__(response, framed=framed, translated=translated)
        self._client = client
        self._id = id

    def resize(self, *, rows: int, columns: int) -> None:
        """Tell the command's terminal its size."""
        with self._translated():
            self._client.exec_resize(self._id, height=rows, width=columns)

    def exit_code(self) -> int:
        """The command's exit code; asked for until there is one, as the engine has no call that waits."""
        while True:
            with self._translated():
                answer = self._client.exec_inspect(self._id)
            if not answer["Running"] and answer["ExitCode"] is not None:
                return int(answer["ExitCode"])
            time.sleep(_EXIT_CODE_INTERVAL)


def _raw(response: requests.Response) -> Any:
    """urllib3's response, whose stubs know neither its connection's socket nor http.client's response in it."""
    return response.raw


def _read_ahead(response: requests.Response, line: socket.socket) -> bytes:
    """Output that http.client's buffer swallowed while it read the headers."""
    reader = _raw(response)._fp.fp
    if not isinstance(reader, io.BufferedReader):
        return b""
    line.setblocking(False)
    try:
        return reader.read1(len(reader.peek()))
    finally:
        line.setblocking(True)
