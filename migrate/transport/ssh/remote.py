"""A far host's shell over SSH, and one command on a channel of it."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Self

from paramiko import Channel, ChannelException, Transport

from bottle.errors import ConnectionLost, RemoteError
from migrate.model import RemoteCommand, Reply, Target
from migrate.ports import Remote
from migrate.transport.conversation import exchange
from migrate.transport.duplex import Dialogue
from migrate.transport.framing import wrap
from migrate.transport.ssh.connect import Route, SshOptions, open_route
from migrate.transport.ssh.login import Prompter
from migrate.transport.ssh.translate import translated

_READ = 256 << 10
_PATIENCE = 1.0
_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4)


class _ChannelLine:
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


class SshRemote(Remote):
    """A `migrate.ports.Remote`. All runs share one connection; when it broke, the next run makes a new one.

    Retrying is the caller's affair: `run` raises ConnectionLost and has not repeated anything.
    """

    def __init__(self, target: Target, *, options: SshOptions) -> None:
        self._target = target
        self._options = options
        self._prompter = Prompter(options.ask_password)
        self._route: Route | None = None
        self._stood = False
        self._closed = False
        self._lock = threading.Lock()

    @classmethod
    def connect(cls, target: Target, *, options: SshOptions) -> Self:
        """Connect and log in. Raises HostKeyRejected, LoginRefused, UsageError (ssh_config), else RemoteError."""
        remote = cls(target, options=options)
        remote._transport()
        return remote

    @property
    def name(self) -> str:
        """The host, as messages call it."""
        return str(self._target)

    def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
        """As `migrate.ports.Remote.run`. Silence ends the whole connection, so every run on it."""
        wrapped = wrap(command)
        transport = self._transport()
        return exchange(self._line(transport, silence), wrapped, stdin, silence=silence)

    def converse(self, command: RemoteCommand, *, patience: float = 60.0) -> Dialogue:
        """Start a command to talk with for as long as it runs. Raises as `run` does."""
        return Dialogue(self._line(self._transport(), patience), wrap(command))

    def close(self) -> None:
        """Hang up; a run that is under way raises ConnectionLost."""
        with self._lock:
            self._closed = True
            self._hang_up()

    def _line(self, transport: Transport, patience: float) -> _ChannelLine:
        try:
            with translated(self.name, stood=True):
                return _ChannelLine(self.name, transport, _session(transport, patience))
        except ConnectionLost:
            transport.close()
            raise

    def _transport(self) -> Transport:
        with self._lock:
            if self._closed:
                raise RemoteError(f"the connection to {self.name} was closed before")
            if self._route is None or not self._route.is_connected:
                self._hang_up()
                self._route = open_route(self._target, self._options, self._prompter, stood=self._stood)
                self._stood = True
            transport: Transport = self._route.transport
            return transport

    def _hang_up(self) -> None:
        if self._route is not None:
            self._route.close()
            self._route = None


def _session(transport: Transport, patience: float) -> Channel:
    """A new session channel. sshd counts one that was just closed against MaxSessions a little longer: ask again."""
    for pause in _PAUSES:
        try:
            return transport.open_session(timeout=patience)
        except ChannelException:
            time.sleep(pause)
    return transport.open_session(timeout=patience)
