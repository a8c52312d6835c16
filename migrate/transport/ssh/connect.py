"""From a target to an open connection, over the jump hosts that ssh_config names."""

import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from fabric import Config, Connection
from paramiko import SSHClient, SSHConfig, Transport

from bottle.errors import RemoteError
from migrate.model import Target
from migrate.transport.ssh.config import HostConfig
from migrate.transport.ssh.host_key import HostKeyCheck
from migrate.transport.ssh.login import Login, Prompter
from migrate.transport.ssh.lookup import lookup
from migrate.transport.ssh.translate import translated

_CONNECT_TIMEOUT = 20.0
_MAX_HOPS = 8
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
# A window as OpenSSH's; what is sent is bound by the far side's.
_WINDOW = 2 << 20
# AES-GCM encrypts and authenticates in one pass: half the time of paramiko's first choice, CTR with HMAC.
_FAST_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")


@dataclass(frozen=True, slots=True, kw_only=True)
class SshOptions:
    """What the user says about how to log in.

    `ask_password` shows its argument as a prompt and returns what is typed; None where there is no terminal.
    `ssh_config` stands in for ~/.ssh/config and /etc/ssh/ssh_config. Times are in seconds; without `connect_timeout`
    ssh_config's ConnectTimeout holds, else 20 seconds.
    """

    identity_files: tuple[Path, ...] = ()
    accept_new_host_key: bool = False
    ask_password: Callable[[str], str] | None = None
    ssh_config: Path | None = None
    connect_timeout: float | None = None
    keepalive: int = 15


class Route(Connection):  # type: ignore[misc]  # fabric has no types
    """A connection that trusts nobody but HostKeyCheck; its `gateway` is the route to the host before it, if any."""

    def __init__(
        self,
        target: Target,
        config: HostConfig,
        options: SshOptions,
        prompter: Prompter,
        *,
        via: "Route | None",
        stood: bool,
    ) -> None:
        # fabric's way to have attributes that are no settings.
        self._set(target=target, host_config=config, keepalive=options.keepalive, stood=stood)
        timeout = options.connect_timeout or config.connect_timeout or _CONNECT_TIMEOUT
        check = HostKeyCheck(config, accept_new=options.accept_new_host_key)
        bound = config.bind_address is not None or config.address_family in _FAMILIES
        super().__init__(
            host=config.hostname,
            user=config.user,
            port=config.port,
            # An empty ssh_config: it has been looked up already. Lazy: fabric's own settings files have no say here.
            config=Config(ssh_config=SSHConfig.from_file(StringIO()), lazy=True),
            gateway=via or config.proxy_command or bound,
            forward_agent=False,
            connect_timeout=max(int(timeout), 1),
            connect_kwargs={
                "auth_strategy": Login(str(target), config.user, config, options.identity_files, prompter),
                "transport_factory": _transports(check),
                "banner_timeout": timeout,
                "auth_timeout": timeout,
                "channel_timeout": timeout,
            },
        )
        self.client = SSHClient()
        self.client.set_missing_host_key_policy(check)

    def open(self) -> None:
        """Connect and log in, after what leads there. Raises RemoteError and its kin."""
        with translated(str(self.target), stood=self.stood):
            super().open()
            self.transport.set_keepalive(self.keepalive)

    def open_gateway(self) -> "_Line | socket.socket":
        """What stands in for paramiko's own socket."""
        config: HostConfig = self.host_config
        if isinstance(self.gateway, Route):
            return _Line(super().open_gateway())
        if config.proxy_command is not None:
            return _Proxy(config.proxy_command)
        return _dial(config, self.connect_timeout)

    def close(self) -> None:
        """Close everything, the far end first; fabric's closes only what logged in, and leaves the gateway open."""
        self.client.close()
        if isinstance(self.gateway, Route):
            self.gateway.close()


def open_route(target: Target, options: SshOptions, prompter: Prompter, *, stood: bool) -> Route:
    """Connect. Every host on the way is checked by its key before anything else is sent to it."""
    route = _route(target, options, prompter, via=None, hops=0, stood=stood)
    try:
        route.open()
    except BaseException:
        route.close()
        raise
    return route


def _route(
    target: Target, options: SshOptions, prompter: Prompter, *, via: Route | None, hops: int, stood: bool
) -> Route:
    if hops > _MAX_HOPS:
        raise RemoteError(f"the ProxyJump of {target} goes round in circles")
    with translated(str(target), stood=stood):
        config = lookup(target, options.ssh_config, options.identity_files)
        for hop in _jumps(target, config) if via is None else ():
            via = _route(hop, options, prompter, via=via, hops=hops + 1, stood=stood)
        return Route(target, config, options, prompter, via=via, stood=stood)


def _jumps(target: Target, config: HostConfig) -> list[Target]:
    """Hosts to go through, first one first. A jump over the target itself is none, as in OpenSSH."""
    return [hop for hop in config.proxy_jump if (hop.host, hop.port) != (target.host, target.port)]


def _transports(check: HostKeyCheck) -> Callable[..., Transport]:
    def make(sock: Any, **settings: Any) -> Transport:
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = Transport(sock, default_window_size=_WINDOW, **settings)
        security = transport.get_security_options()
        fast = [name for name in _FAST_CIPHERS if name in security.ciphers]
        security.ciphers = (*fast, *(name for name in security.ciphers if name not in fast))
        check.prefer_known_types(transport)
        return transport

    return make


class _Line:
    """What stands in for a transport's socket. It closes without an error: the transport's thread does so unguarded."""

    def __init__(self, line: Any) -> None:
        self._line = line

    def close(self) -> None:
        """Close it, dead or alive."""
        with suppress(Exception):
            self._line.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)


class _Proxy(_Line):
    """A running ProxyCommand, its tokens already expanded; run by a shell, as OpenSSH does."""

    def __init__(self, command: str) -> None:
        ours, theirs = socket.socketpair()
        super().__init__(ours)
        with theirs:
            self._process = subprocess.Popen(
                ("/bin/sh", "-c", f"exec {command}"), stdin=theirs.fileno(), stdout=theirs.fileno()
            )

    def close(self) -> None:
        """End it."""
        super().close()
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _dial(config: HostConfig, timeout: float) -> socket.socket:
    """A connection of the address family, and from the address, that the configuration names. Raises OSError."""
    family = _FAMILIES.get(config.address_family, socket.AF_UNSPEC)
    failure = OSError("it has no address")
    for *kind, _, address in socket.getaddrinfo(config.hostname, config.port, family, socket.SOCK_STREAM):
        line = socket.socket(*kind)
        try:
            line.settimeout(timeout)
            if config.bind_address is not None:
                line.bind((config.bind_address, 0))
            line.connect(address)
        except OSError as exc:
            line.close()
            failure = exc
        else:
            return line
    raise failure
