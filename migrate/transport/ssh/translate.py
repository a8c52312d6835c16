"""The one place where exceptions of paramiko, fabric, invoke and sockets become ours.

RemoteError, unless a connection that once stood has broken: that is ConnectionLost, and worth a retry.
"""

import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from paramiko import (
    AuthenticationException,
    BadHostKeyException,
    ChannelException,
    ConfigParseError,
    CouldNotCanonicalize,
    ProxyCommandFailure,
)
from paramiko.ssh_exception import IncompatiblePeer, NoValidConnectionsError

from bottle.errors import BottleError, ConnectionLost, HostKeyRejected, LoginRefused, RemoteError
from bottle.text import printable
from bottle.words import ssh_to


@contextmanager
def translated(host: str, *, stood: bool) -> Iterator[None]:
    """Run a piece of SSH work; whatever it raises leaves as a RemoteError or one of its kin.

    `stood` says that a connection to `host` was up before, so that what fails now is a loss. Not for code of others,
    such as a caller's iterator: any Exception is taken for a failure of SSH, since a hostile peer can provoke most.
    """
    try:
        yield
    except BottleError:
        raise
    except Exception as exc:
        raise _ours(exc, host, stood=stood) from exc


def _ours(exc: Exception, host: str, *, stood: bool) -> RemoteError:
    for kinds, made in _CLEAR:
        if isinstance(exc, kinds):
            return made(host, _text(exc))
    if stood:
        return ConnectionLost(
            f"the connection to {host} broke: {_cause(exc)}",
            next_step="run the same command again; it goes on where it stopped",
        )
    return RemoteError(
        f"{host} cannot be reached: {_cause(exc)}", next_step=f"see whether this works: {ssh_to(host)} true"
    )


# Causes that a retry does not cure, whether or not a connection stood before.
_CLEAR: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Callable[[str, str], RemoteError]], ...] = (
    (
        BadHostKeyException,
        lambda host, text: HostKeyRejected(f"{host} shows a key that is not its own", left="nothing was sent there"),
    ),
    (
        AuthenticationException,
        lambda host, text: LoginRefused(
            f"{host} refuses the login: {text}", next_step=f"see why: {ssh_to(host, options='-v')} true"
        ),
    ),
    (
        (ConfigParseError, CouldNotCanonicalize),
        lambda host, text: RemoteError(f"the ssh configuration for {host} cannot be used: {text}"),
    ),
    (
        IncompatiblePeer,
        lambda host, text: RemoteError(
            f"{host} and this program share no way to encrypt: {text}", next_step="update the SSH server there"
        ),
    ),
    (
        ChannelException,
        lambda host, text: RemoteError(
            f"{host} refuses to open a session: {text}",
            next_step="look at MaxSessions, AllowTcpForwarding and ForceCommand in its sshd_config",
        ),
    ),
    (ProxyCommandFailure, lambda host, text: RemoteError(f"the ProxyCommand for {host} failed: {text}")),
)


def _cause(exc: Exception) -> str:
    if isinstance(exc, NoValidConnectionsError):
        causes = getattr(exc, "errors", {}).values()
        return ", ".join(sorted({_cause(cause) for cause in causes})) or "nothing answers"
    for kind, cause in _CAUSES.items():
        if isinstance(exc, kind):
            return cause
    text = _text(exc)
    if isinstance(exc, OSError) and exc.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return "there is no route to it"
    if "banner" in text:
        return f"what answers there does not speak SSH, or hung up at once ({text})"
    return text


_CAUSES: dict[type[Exception], str] = {
    socket.gaierror: "its name has no address (DNS)",
    TimeoutError: "it does not answer in time",
    ConnectionRefusedError: "it refuses the connection: no SSH server listens on that port",
    EOFError: "it hung up",
    ConnectionResetError: "it hung up",
    BrokenPipeError: "it hung up",
}


def _text(exc: Exception) -> str:
    """What the exception says; some of the foreign ones fail at that too."""
    try:
        said = str(exc)
    except Exception:  # noqa: BLE001
        said = ""
    return printable(said.strip(), 300) or type(exc).__name__
