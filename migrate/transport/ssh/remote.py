"""A far host's shell over SSH, and one command on a channel of it."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Self
from weakref import WeakSet

from paramiko import Channel, ChannelException, SSHException, Transport

from bottle.errors import ConnectionLost, RemoteError
from migrate.model import RemoteCommand, Reply, Target
from migrate.ports import Remote
from migrate.transport.conversation import exchange
from migrate.transport.duplex import Dialogue
from migrate.transport.framing import LINE, wrap
from migrate.transport.ssh.connect import Route, SshOptions, open_route
from migrate.transport.ssh.login import Prompter
from migrate.transport.ssh.translate import translated

_READ = 256 << 10
_AHEAD = 3  # channels: each takes two round trips to be ready
_PATIENCE = 1.0
_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4)


class _ChannelLine:
    """A `Line` over an open session channel of `transport`, on which LINE runs already or is yet to be run."""

    def __init__(self, host: str, transport: Transport, channel: Channel, *, runs: bool) -> None:
        self._host = host
        self._transport = transport
        self._channel = channel
        self._runs = runs

    @property
    def host(self) -> str:
        return self._host

    def start(self) -> None:
        if not self._runs:
            with translated(self._host, stood=True):
                self._channel.exec_command(LINE)

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
        self._sessions: _Sessions | None = None
        self._stood = False
        self._closed = False
        self._lock = threading.Lock()

    @classmethod
    def connect(cls, target: Target, *, options: SshOptions) -> Self:
        """Connect and log in. Raises HostKeyRejected, LoginRefused, UsageError (ssh_config), else RemoteError."""
        remote = cls(target, options=options)
        remote._connected()
        return remote

    @property
    def name(self) -> str:
        """The host, as messages call it."""
        return str(self._target)

    def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
        """As `migrate.ports.Remote.run`. Silence ends the whole connection, so every run on it."""
        wrapped = wrap(command)
        return exchange(self._line(silence), wrapped, stdin, silence=silence)

    def converse(self, command: RemoteCommand, *, patience: float = 60.0) -> Dialogue:
        """Start a command to talk with for as long as it runs. Raises as `run` does."""
        return Dialogue(self._line(patience), wrap(command))

    def close(self) -> None:
        """Hang up; a run that is under way raises ConnectionLost."""
        with self._lock:
            self._closed = True
            self._hang_up()

    def _line(self, patience: float) -> _ChannelLine:
        sessions = self._connected()
        try:
            with translated(self.name, stood=True):
                channel, runs = sessions.take(patience)
                return _ChannelLine(self.name, sessions.transport, channel, runs=runs)
        except ConnectionLost:
            sessions.transport.close()
            raise

    def _connected(self) -> "_Sessions":
        with self._lock:
            if self._closed:
                raise RemoteError(f"the connection to {self.name} was closed before")
            if self._route is None or self._sessions is None or not self._route.is_connected:
                self._hang_up()
                self._route = open_route(self._target, self._options, self._prompter, stood=self._stood)
                self._sessions = _Sessions(self._route.transport)
                self._stood = True
            return self._sessions

    def _hang_up(self) -> None:
        if self._route is not None:
            self._route.close()
            self._route = None


class _Sessions:
    """The session channels of a connection. Some are opened ahead, and the far shell started on each.

    So a command waits for neither, but for its answer only. A shell that is never told anything ends with its channel.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._lock = threading.Lock()
        self._spare: deque[Channel] = deque()
        self._wanted = _AHEAD  # how many more may be opened ahead
        self._taken: WeakSet[Channel] = WeakSet()

    def take(self, patience: float) -> tuple[Channel, bool]:
        """One for a command, and whether LINE runs on it. Raises as `Transport.open_session`, after so many seconds."""
        spare = self._first_spare()
        channel = spare or self._opened(patience)
        with self._lock:
            self._taken.add(channel)
            missing, self._wanted = self._wanted, 0
        for _ in range(missing):
            threading.Thread(target=self._open_ahead, args=(patience,), name="bottle-channel", daemon=True).start()
        return channel, spare is not None

    def _first_spare(self) -> Channel | None:
        with self._lock:
            while self._spare:
                channel = self._spare.popleft()
                self._wanted += 1
                if not channel.closed and not channel.exit_status_ready():
                    return channel
        return None

    def _open_ahead(self, patience: float) -> None:
        try:
            channel = self.transport.open_session(timeout=patience)
            channel.exec_command(LINE)
        except (SSHException, EOFError, OSError):
            return  # sshd's MaxSessions, as a rule: fewer will do; what else it is, the next command meets
        with self._lock:
            self._spare.append(channel)

    def _opened(self, patience: float) -> Channel:
        """A new one, as soon as sshd's MaxSessions has room. It counts one that was just closed a little longer."""
        pauses = iter(_PAUSES)
        while True:
            try:
                return self.transport.open_session(timeout=patience)
            except ChannelException:
                with self._lock:
                    busy = any(not each.closed for each in self._taken)
                pause = next(pauses, _PAUSES[-1] if busy else None)
                if pause is None:
                    raise
                time.sleep(pause)
