"""One command on one SSH channel, as the exchange wants it."""

import time
from collections.abc import Callable

from paramiko import Channel, Transport

from migrate.transport.ssh.translate import translated

_READ = 256 << 10
_PATIENCE = 1.0


class SshLine:
    """A `Line` over an open session channel of `transport`."""

    def __init__(self, host: str, transport: Transport, channel: Channel) -> None:
        self._host = host
        self._transport = transport
        self._channel = channel

    @property
    def host(self) -> str:
        return self._host

    def start(self, line: str) -> None:
        with translated(self._host, stood=True):
            self._channel.exec_command(line)

    def send(self, data: bytes) -> int:
        with translated(self._host, stood=True):
            try:
                return self._channel.send(data)
            except OSError:
                # "Socket is closed": the command has ended, and what it said is still to be read.
                if self._channel.closed:
                    return 0
                raise

    def finish(self) -> None:
        with translated(self._host, stood=True):
            self._channel.shutdown_write()

    def recv(self) -> bytes:
        return self._read(self._channel.recv)

    def recv_err(self) -> bytes:
        return self._read(self._channel.recv_stderr)

    def lost(self) -> bool:
        """A channel dies a moment before its transport is known to be dead, so wait that moment."""
        give_up = time.monotonic() + _PATIENCE
        while self._transport.is_active() and self._channel.exit_status == -1 and time.monotonic() < give_up:
            time.sleep(0.02)
        return not self._transport.is_active()

    def close(self) -> None:
        with translated(self._host, stood=True):
            self._channel.close()

    def hang_up(self) -> None:
        self._transport.close()

    def _read(self, recv: Callable[[int], bytes]) -> bytes:
        with translated(self._host, stood=True):
            return recv(_READ)
