"""Commands that run on this very host, under the rules that hold for a far one."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from bottle.errors import ConnectionLost, RemoteError
from migrate.model import RemoteCommand, Reply
from migrate.transport.conversation import PIECE, exchange
from migrate.transport.framing import LINE, wrap

_PATIENCE = 0.5


class LocalProcess:
    """A `Line` to a local process group. `held` are open files that it and all it starts keep open."""

    def __init__(
        self,
        host: str,
        shell: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        held: Sequence[int] = (),
    ) -> None:
        self._host = host
        self._shell = tuple(shell)
        self._environment = dict(environment)
        self._folder = folder
        self._held = tuple(held)
        self._process: subprocess.Popen[bytes] | None = None
        self._cut = threading.Event()

    @property
    def host(self) -> str:
        return self._host

    def start(self) -> None:
        try:
            self._process = subprocess.Popen(
                (*self._shell, "-c", LINE),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                cwd=self._folder,
                env=self._environment,
                start_new_session=True,
                pass_fds=self._held,
            )
        except OSError as exc:
            raise RemoteError(f"{self._shell[0]} cannot be run on {self._host}: {exc.strerror}") from exc

    def send(self, data: bytes) -> int:
        if self._cut.is_set():
            raise ConnectionLost(f"the connection to {self._host} broke")
        process = self._running()
        try:
            return (process.stdin.write(data) or 0) if process.stdin else 0
        except (BrokenPipeError, ValueError):
            return 0

    def finish(self) -> None:
        process = self._running()
        if process.stdin:
            process.stdin.close()

    def recv(self) -> bytes:
        return _read(self._running().stdout)

    def recv_err(self) -> bytes:
        return _read(self._running().stderr)

    def lost(self) -> bool:
        return self._cut.is_set()

    def close(self) -> None:
        """As sshd does: the command is not killed, it reads the end of its input. One that goes on is ended, though."""
        if self._process is None:
            return
        with suppress(OSError):
            self.finish()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def hang_up(self) -> None:
        self._cut.set()
        self.kill()

    def kill(self) -> None:
        """End the command, whatever it is doing, and all it started."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RemoteError("nothing was started")
        return self._process


def run_here(
    command: RemoteCommand,
    stdin: Iterable[bytes],
    *,
    host: str,
    environment: Mapping[str, str],
    folder: Path,
    silence: float,
    held: Sequence[int] = (),
) -> Reply:
    """Run `command` by the local sh, and answer as `migrate.ports.Remote.run` does."""
    line = LocalProcess(host, ("/bin/sh",), environment, folder, held=held)
    return exchange(line, wrap(command), stdin, silence=silence)


def _read(stream: IO[bytes] | None) -> bytes:
    if stream is None or stream.closed:
        return b""
    data = stream.read(PIECE) or b""
    if not data:
        stream.close()
    return data
