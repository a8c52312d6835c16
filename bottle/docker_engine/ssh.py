"""An engine behind ssh:// as the docker client reaches it: OpenSSH runs `docker system dial-stdio` on the other host.

So ~/.ssh/config, keys, agents and jumps count as they do for `ssh`. Each connection is a process of its own, whose
standard input and output are one end of a pair of sockets; the other end is a socket like any other, so that streams
that take their connection over can be selected on, and closed in one direction. docker-py's own way with `ssh` offers
none of that: https://github.com/docker/docker-py/blob/main/docker/transport/sshconn.py. Source:
https://github.com/docker/cli/blob/master/cli/connhelper/connhelper.go.
"""

import errno
import http.client
import shlex
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
import requests.adapters
import urllib3
import urllib3.connection

from bottle.text import printable

# What requests are addressed to; the name is the docker client's, and nobody looks it up.
ENGINE = "http://docker.example.com:80"

_GREETING = b"GET /_ping HTTP/1.1\r\nHost: docker.example.com\r\n\r\n"
_GREETING_SECONDS = 60
_ENDING_SECONDS = 1.0  # how long ssh may take to pass on what it has been given, once nobody listens
_LAST_LINES = 3


def ssh_command(address: str) -> tuple[str, ...]:
    """What reaches the engine at `ssh://[user@]host[:port][/socket]`. Raises ValueError for what is none."""
    url = urlsplit(address)
    if not url.hostname or url.password is not None or url.query or url.fragment:
        raise ValueError("an address for ssh is ssh://[USER@]HOST[:PORT][/SOCKET]")
    socket_there = (f"--host=unix://{url.path}",) if url.path.strip("/") else ()
    return (
        "ssh",
        *(("-l", unquote(url.username)) if url.username else ()),
        *(("-p", str(url.port)) if url.port is not None else ()),
        *("-o", "ConnectTimeout=30", "-T", "--", unquote(_host(url.netloc))),
        shlex.join(("docker", *socket_there, "system", "dial-stdio")),
    )


def _host(netloc: str) -> str:
    """The host as it was written: it may be an alias of ssh_config, where capitals count."""
    host = netloc.rpartition("@")[2]
    return host[1 : host.index("]")] if host.startswith("[") else host.partition(":")[0]


class ProcessSocket(socket.socket):
    """A socket to the standard input and output of a process, which is ended when the socket is closed."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._stderr = tempfile.TemporaryFile(prefix="bottle-ssh-")  # noqa: SIM115  (closed with the socket)
        ours, theirs = socket.socketpair()
        super().__init__(fileno=ours.detach())
        try:
            with theirs:
                # A session of its own: Ctrl-C ends what bottle does, in bottle's order. No terminal to ask at either.
                end = theirs.fileno()
                self._process = subprocess.Popen(
                    command, stdin=end, stdout=end, stderr=self._stderr, start_new_session=True
                )
        except OSError:
            self._stderr.close()
            super().close()
            raise

    def close(self) -> None:
        """Close this end; when nothing reads from it any more, end the process too."""
        super().close()
        if self.fileno() == -1:
            self._end()
            self._stderr.close()

    def last_words(self) -> str:
        """What the process said on its standard error last; it is waited for, since the line is dead."""
        with suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)
        self._end()
        self._stderr.seek(0)
        lines = [printable(line) for line in self._stderr.read().splitlines()]
        return "; ".join([line for line in lines if line][-_LAST_LINES:])

    def _end(self) -> None:
        try:
            self._process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait()


def dial(command: tuple[str, ...], timeout: float | None) -> ProcessSocket:
    """A line on which an engine has answered. Raises ConnectionRefusedError with ssh's own words.

    Only an answer tells that there is one: ssh says nothing of having arrived.
    """
    try:
        line = ProcessSocket(command)
    except FileNotFoundError as error:
        if error.filename != command[0]:
            raise
        raise ConnectionRefusedError(errno.ECONNREFUSED, f"there is no command {command[0]} here") from error
    try:
        line.settimeout(_GREETING_SECONDS)
        line.sendall(_GREETING)
        with http.client.HTTPResponse(line) as response:
            response.begin()
            response.read()
    except (OSError, http.client.HTTPException) as error:
        with line:
            said = line.last_words()
        raise ConnectionRefusedError(errno.ECONNREFUSED, _why(said, error)) from error
    except BaseException:
        line.close()
        raise
    line.settimeout(timeout)
    return line


def _why(said: str, error: Exception) -> str:
    """What ssh said, and what came in place of an answer: a login shell may talk, or say that it lets nobody in."""
    if said and isinstance(error, (OSError, http.client.RemoteDisconnected)):
        return said
    return "; ".join(filter(None, (said, printable(str(error)))))


class _Connection(urllib3.connection.HTTPConnection):
    def __init__(self, command: tuple[str, ...]) -> None:
        super().__init__(urlsplit(ENGINE).hostname or "")
        self._command = command

    def connect(self) -> None:
        limit = self.timeout
        self.sock = dial(self._command, limit if isinstance(limit, (int, float)) else None)


class _Pool(urllib3.HTTPConnectionPool):
    def __init__(self, command: tuple[str, ...]) -> None:
        super().__init__(urlsplit(ENGINE).hostname or "")
        self._command = command

    def _new_conn(self) -> Any:
        return _Connection(self._command)


class SshAdapter(requests.adapters.HTTPAdapter):
    """Carries the requests of any number of threads, each on a connection of its own while it lasts."""

    def __init__(self, command: tuple[str, ...]) -> None:
        super().__init__()
        self._pool = _Pool(command)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> Any:
        """The one pool, whatever the request."""
        return self._pool

    def get_connection(self, *_: Any, **__: Any) -> Any:
        """The same, as requests before 2.32 asks for it."""
        return self._pool

    def request_url(self, request: requests.PreparedRequest, proxies: Mapping[str, str] | None) -> str:
        """Only the path: no proxy stands between."""
        return request.path_url

    def close(self) -> None:
        """End all connections that are at rest."""
        super().close()
        with suppress(OSError):
            self._pool.close()
