"""Run a program in a container through the Engine's API, with bytes for its input and from its output."""

from __future__ import annotations

import io
import socket
import struct
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import docker

CHUNK = 1 << 16


class RemoteError(AssertionError):
    """A program in a host ended with another exit code than 0; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a program ended, in the words of ``subprocess.CompletedProcess``."""

    args: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text, without the last newline."""
        return self.stdout.decode("utf-8", "replace").rstrip("\n")

    def check(self) -> RunResult:
        """Return itself, or raise what a test's report should show."""
        if self.returncode == 0:
            return self
        said = (self.stderr or self.stdout)[-4000:].decode("utf-8", "replace")
        raise RemoteError(f"exit {self.returncode}: {' '.join(self.args)}\n{said}")


def run_in(
    client: docker.DockerClient,
    container_id: str,
    args: Sequence[str],
    *,
    stdin: bytes | Iterable[bytes] | None = None,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = 600,
) -> RunResult:
    """Run ``args``; a program without ``stdin`` reads an empty one.

    Raises TimeoutError when it says nothing for ``timeout`` seconds; it may then run on.

    docker-py cannot feed an exec, so this speaks the attached connection itself: frames of an eight byte
    header (stream, length) and a payload, as the Engine API's ContainerAttach describes.
    """
    exec_id: str = client.api.exec_create(
        container_id, list(args), stdin=True, user=user or "", environment=dict(env or {})
    )["Id"]
    response: Any = client.api.exec_start(exec_id, socket=True)
    # Over TCP docker-py gives the socket itself, over a Unix socket a file around it.
    connection: socket.socket = getattr(response, "_sock", response)
    early = _read_ahead(response, connection)
    connection.settimeout(timeout)
    feeder = threading.Thread(target=_feed, args=(connection, stdin), daemon=True)
    feeder.start()
    try:
        stdout, stderr = _collect(_Output(early, connection))
    finally:
        # Closing alone does not wake a feeder that waits for a program which has ended without reading.
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        feeder.join(timeout=10)
        connection.close()
        response.close()
    code = client.api.exec_inspect(exec_id)["ExitCode"]
    return RunResult(tuple(args), -1 if code is None else int(code), stdout, stderr)


def _feed(connection: socket.socket, stdin: bytes | Iterable[bytes] | None) -> None:
    try:
        for piece in (stdin,) if isinstance(stdin, bytes) else stdin or ():
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        # The program ended without reading all of it; its exit code says whether that is a failure.
        return


def _read_ahead(response: Any, connection: socket.socket) -> bytes:
    """Output that came together with the answer's headers, and so lies in the buffer that these were read through."""
    answer = getattr(response, "_response", None)
    reader = answer.raw._fp.fp if answer is not None else None
    if not isinstance(reader, io.BufferedReader):
        return b""
    connection.setblocking(False)
    return reader.read1(len(reader.peek()))


@dataclass(slots=True)
class _Output:
    """What a program prints: first what was read already, then what comes."""

    early: bytes
    connection: socket.socket

    def exactly(self, length: int) -> bytes:
        """``length`` bytes, or nothing when the stream ends."""
        pieces = [self.early[:length]]
        self.early = self.early[length:]
        length -= len(pieces[0])
        while length:
            piece = self.connection.recv(min(length, CHUNK))
            if not piece:
                return b""
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)


def _collect(output: _Output) -> tuple[bytes, bytes]:
    streams: dict[int, list[bytes]] = {1: [], 2: []}
    while header := output.exactly(8):
        stream, length = struct.unpack(">BxxxL", header)
        streams[stream].append(output.exactly(length))
    return b"".join(streams[1]), b"".join(streams[2])
