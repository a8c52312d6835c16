"""From a target to an open connection, over the jump hosts that ssh_config names.

fabric is told the route instead of finding it itself: it visits `ProxyJump a,b` in the order b, a, and drops a jump
whose name is that of the target.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from fabric import Config, Connection
from paramiko import SSHClient, SSHConfig, Transport

from bottle.errors import RemoteError
from migrate.model import Target
from migrate.transport.ssh.config import HostConfig
from migrate.transport.ssh.host_key import HostKeyCheck
from migrate.transport.ssh.login import Login, Prompter
from migrate.transport.ssh.lookup import lookup
from migrate.transport.ssh.options import SshOptions
from migrate.transport.ssh.proxy import Proxy, Tunnel
from migrate.transport.ssh.translate import translated

_CONNECT_TIMEOUT = 20.0
_MAX_HOPS = 8
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
# A window as OpenSSH's; what is sent is bound by the far side's.
_WINDOW = 2 << 20
# AES-GCM encrypts and authenticates in one pass: half the time of paramiko's first choice, CTR with HMAC.
_FAST_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")


@dataclass(slots=True)
class Route:
    """Connections opened one through the other; the last one leads to the target."""

    transport: Transport | None = None
    _closers: list[Callable[[], None]] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        """Whether the target can still be talked to, as far as is known here."""
        return self.transport is not None and self.transport.is_active()

    def opened(self, closer: Callable[[], None]) -> None:
        """Remember what must be closed."""
        self._closers.append(closer)

    def close(self) -> None:
        """Close everything, the far end first."""
        while self._closers:
            self._closers.pop()()


def open_route(target: Target, options: SshOptions, prompter: Prompter, *, stood: bool) -> Route:
    """Connect. Every host on the way is checked by its key before anything else is sent to it."""
    route = Route()
    try:
        connection = _open(target, options, prompter, route, via=None, hops=0, stood=stood)
        route.transport = connection.transport
    except BaseException:
        route.close()
        raise
    return route


def _open(
    target: Target,
    options: SshOptions,
    prompter: Prompter,
    route: Route,
    *,
    via: Connection | None,
    hops: int,
    stood: bool,
) -> Connection:
    if hops > _MAX_HOPS:
        raise RemoteError(f"the ProxyJump of {target} goes round in circles")
    with translated(str(target), stood=stood):
        config = lookup(target, options.ssh_config, options.identity_files)
        for hop in _jumps(target, config) if via is None else ():
            via = _open(hop, options, prompter, route, via=via, hops=hops + 1, stood=stood)
        connection = _connection(target, config, options, prompter)
        if via is not None:
            connection.connect_kwargs["sock"] = Tunnel.through(via.transport, connection.host, connection.port)
        elif config.proxy_command is not None:
            proxy = Proxy.start(config.proxy_command)
            route.opened(proxy.close)
            connection.connect_kwargs["sock"] = proxy.sock
        elif config.bind_address is not None or config.address_family in _FAMILIES:
            connection.connect_kwargs["sock"] = _dial(config, connection.connect_timeout)
        route.opened(connection.client.close)
        connection.open()
        connection.transport.set_keepalive(options.keepalive)
        return connection


def _connection(target: Target, config: HostConfig, options: SshOptions, prompter: Prompter) -> Connection:
    """A fabric connection whose client trusts nobody but HostKeyCheck."""
    timeout = options.connect_timeout or config.connect_timeout or _CONNECT_TIMEOUT
    check = HostKeyCheck(config, accept_new=options.accept_new_host_key)
    connection = Connection(
        host=config.hostname,
        user=config.user,
        port=config.port,
        # An empty ssh_config: it has been looked up already. Lazy: fabric's own settings files have no say here.
        config=Config(ssh_config=SSHConfig.from_file(StringIO()), lazy=True),
        gateway=False,
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
    client = SSHClient()
    client.set_missing_host_key_policy(check)
    connection.client = client
    return connection


def _transports(check: HostKeyCheck) -> Callable[..., Transport]:
    def make(sock: Any, **settings: Any) -> Transport:
        if isinstance(sock, socket.socket) and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = Transport(sock, default_window_size=_WINDOW, **settings)
        security = transport.get_security_options()
        fast = [name for name in _FAST_CIPHERS if name in security.ciphers]
        security.ciphers = (*fast, *(name for name in security.ciphers if name not in fast))
        check.prefer_known_types(transport)
        return transport

    return make


def _jumps(target: Target, config: HostConfig) -> list[Target]:
    """Hosts to go through, first one first. A jump over the target itself is none, as in OpenSSH."""
    return [hop for hop in config.proxy_jump if (hop.host, hop.port) != (target.host, target.port)]


def _dial(config: HostConfig, timeout: float) -> socket.socket:
    """A connection of the address family, and from the address, that the configuration names. Raises OSError."""
    family = _FAMILIES.get(config.address_family, socket.AF_UNSPEC)
    source = (config.bind_address, 0) if config.bind_address is not None else None
    failure: OSError | None = None
    for *kind, _, address in socket.getaddrinfo(config.hostname, config.port, family, socket.SOCK_STREAM):
        line = socket.socket(*kind)
        try:
            line.settimeout(timeout)
            if source is not None:
                line.bind(source)
            line.connect(address)
        except OSError as exc:
            line.close()
            failure = exc
        else:
            return line
    raise failure or OSError("it has no address")
