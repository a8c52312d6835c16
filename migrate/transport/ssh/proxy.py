"""Ways to a host that is not reached directly: a ProxyCommand, or a tunnel through a jump host."""

import socket
import subprocess
from contextlib import suppress
from typing import Any, Self

from paramiko import Channel, Transport


class Proxy:
    """A running ProxyCommand, run by a shell as OpenSSH does; `sock` leads to the host behind it.

    paramiko's own splits the command into words without a shell, and its reads spin when the command has ended.
    """

    def __init__(self, sock: socket.socket, process: subprocess.Popen[bytes]) -> None:
        self.sock = sock
        self._process = process

    @classmethod
    def start(cls, command: str) -> Self:
        """Run `command` from ssh_config, its tokens already expanded."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                ("/bin/sh", "-c", f"exec {command}"), stdin=theirs.fileno(), stdout=theirs.fileno()
            )
        return cls(ours, process)

    def close(self) -> None:
        """End it."""
        self.sock.close()
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Tunnel:
    """A channel through a jump host, for use as a transport's socket.

    paramiko's transport closes its socket as the last act of its thread, unguarded; when the jump host has died, a
    bare Channel raises there, and a traceback would land on the user's terminal.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @classmethod
    def through(cls, jump: Transport, host: str, port: int) -> Self:
        """Have `jump` connect to `host`; a source address must be named, and is not looked at."""
        return cls(jump.open_channel("direct-tcpip", (host, port), ("", 0)))

    def close(self) -> None:
        """Close it, dead or alive."""
        with suppress(Exception):
            self._channel.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)
