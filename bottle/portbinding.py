"""A port of the host that leads into a bottle, in Docker's short syntax."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self

LOOPBACK = "127.0.0.1"
EXPECTED = (
    'HOST:CONTAINER or ADDRESS:HOST:CONTAINER, such as "3000:3000" (on 127.0.0.1) or "[::1]:8080:80", '
    "with /udp behind if it is no TCP"
)

_FORM = re.compile(
    r"(?:(?P<address>[0-9.]+|\[[0-9A-Fa-f:.]+\]):)?(?P<host>[0-9]{1,5}):(?P<container>[0-9]{1,5})(?:/(?P<protocol>tcp|udp))?"
)
_MOST = 65_535


@dataclass(frozen=True, slots=True, order=True)
class PortBinding:
    """Port `host` at `address` of the host leads to port `container` inside. `PortBinding.parse(str(b)) == b`."""

    address: str
    host: int
    container: int
    protocol: str = "tcp"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read Docker's short syntax. Raises ValueError, which says what was expected.

        Without an address it is the loopback's, where Docker would open the port to every network: what an agent serves
        is for who runs it.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(f"expected {EXPECTED}")
        host, container = int(match["host"]), int(match["container"])
        if not (0 < host <= _MOST and 0 < container <= _MOST):
            raise ValueError(f"expected ports from 1 to {_MOST}")
        try:
            address = ipaddress.ip_address((match["address"] or LOOPBACK).strip("[]"))
        except ValueError:
            raise ValueError("expected an IPv4 or IPv6 address ahead of the ports") from None
        return cls(str(address), host, container, match["protocol"] or "tcp")

    def __str__(self) -> str:
        return f"{self.place}:{self.container}{'' if self.protocol == 'tcp' else f'/{self.protocol}'}"

    @property
    def place(self) -> str:
        """Where on the host it is."""
        return f"{f'[{self.address}]' if ':' in self.address else self.address}:{self.host}"

    def clashes(self, other: "PortBinding") -> bool:
        """Whether both want the same port of the host."""
        if (self.host, self.protocol) != (other.host, other.protocol):
            return False
        mine, theirs = ipaddress.ip_address(self.address), ipaddress.ip_address(other.address)
        return mine.version == theirs.version and (mine == theirs or mine.is_unspecified or theirs.is_unspecified)
