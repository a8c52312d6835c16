"""Which program of this host has a port: what the engine cannot say of those that are no containers."""

import errno
import ipaddress
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bottle.portbinding import PortBinding
from bottle.text import printable

UNKNOWN = "another program"

_PROC = Path("/proc")
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
# The states of sockets that keep others from a port: https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html
_LISTENING = {"tcp": "0A", "udp": "07"}
_WORD = re.compile(r"[0-9A-F]{8}")


def port_holder(binding: PortBinding) -> str | None:
    """The program that has a port of this host, by name and number as far as this user may know; None for nobody.

    A port that this user may not try counts as free: the engine will say.
    """
    if not _is_taken(binding):
        return None
    inodes = set(_inodes(binding))
    return next(_programs(inodes), UNKNOWN) if inodes else UNKNOWN


def _is_taken(binding: PortBinding) -> bool:
    family = socket.AF_INET6 if ":" in binding.address else socket.AF_INET
    try:
        with socket.socket(family, _KINDS[binding.protocol]) as trial:
            if family == socket.AF_INET6:
                trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if binding.protocol == "tcp":  # as engines do: a connection that is being closed holds nobody up
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((binding.address, binding.host))
    except OSError as exc:
        return exc.errno == errno.EADDRINUSE
    return False


def _inodes(binding: PortBinding) -> Iterator[str]:
    """The numbers of the sockets that are in the way."""
    for name in (binding.protocol, f"{binding.protocol}6"):
        with suppress(OSError):
            yield from sockets_at((_PROC / "net" / name).read_text(encoding="ascii", errors="replace"), binding)


def sockets_at(table: str, binding: PortBinding) -> Iterator[str]:
    """The inodes of those in a table of the kernel's, as /proc/net/tcp is, that keep others from `binding`."""
    wanted = ipaddress.ip_address(binding.address)
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != _LISTENING[binding.protocol]:
            continue
        address, _, port = fields[1].partition(":")
        here = ipaddress.ip_address(
            b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in _WORD.findall(address))
        )
        here = getattr(here, "ipv4_mapped", None) or here
        if int(port, 16) == binding.host and (here == wanted or here.is_unspecified or wanted.is_unspecified):
            yield fields[9]


def _programs(inodes: set[str]) -> Iterator[str]:
    """The programs that have one of these sockets open, of those that this user may look into."""
    targets = {f"socket:[{inode}]" for inode in inodes}
    for process in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            if any(_target(each) in targets for each in (process / "fd").iterdir()):
                yield f"{printable((process / 'comm').read_text(errors='replace').strip())} (process {process.name})"


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:  # closed meanwhile
        return ""
