"""An ssh-agent by the path of its socket; paramiko's own class knows only that of SSH_AUTH_SOCK."""

import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from paramiko.agent import AgentKey, AgentSSH


class _HeldKey(AgentKey):
    """A key by the very bytes that the agent knows it by; paramiko's takes an RSA certificate for the key in it."""

    def asbytes(self) -> bytes:
        """The key, or certificate, in wire format."""
        return self.blob


class AgentAt(AgentSSH):
    """The keys of the agent that listens at `path`; none where nothing does. Raises SSHException as paramiko's does."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.connect(str(path))
        except OSError:
            line.close()
        else:
            cast("Any", self)._connect(line)

    def get_keys(self) -> tuple[AgentKey, ...]:
        """All that it holds, in its order."""
        return tuple(_HeldKey(self, key.blob, key.comment) for key in super().get_keys())

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            cast("Any", self)._close()
