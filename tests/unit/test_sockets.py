"""Which program has a port: tried with real ones of this host."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from bottle import sockets
from bottle.portbinding import PortBinding

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def listener(address: str, protocol: str = "tcp") -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, KINDS[protocol])
    made.bind((address, 0))
    if protocol == "tcp":
        made.listen()
    return made


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("there", "wanted"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0"), ("::1", "::1"), ("::", "::1")],
)
def test_the_program_that_has_a_port_is_named(there: str, wanted: str, protocol: str) -> None:
    with listener(there, protocol) as made:
        port = PortBinding(wanted, made.getsockname()[1], 80, protocol)
        holder = sockets.port_holder(port)
        assert holder is not None
        assert holder.endswith(f"(process {os.getpid()})")
    assert sockets.port_holder(port) is None


def test_a_port_elsewhere_is_not_in_the_way() -> None:
    with listener("127.0.0.1") as made:
        assert sockets.port_holder(PortBinding("127.0.0.2", made.getsockname()[1], 80)) is None
        assert sockets.port_holder(PortBinding("127.0.0.1", made.getsockname()[1], 80, "udp")) is None


def test_an_address_that_is_not_here_is_for_the_engine_to_refuse() -> None:
    assert sockets.port_holder(PortBinding("192.0.2.1", 3000, 80)) is None


def test_one_that_cannot_be_looked_into_is_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    with listener("127.0.0.1") as made:
        port = PortBinding("127.0.0.1", made.getsockname()[1], 80)
        monkeypatch.setattr(sockets, "_programs", lambda inodes: iter(()))
        assert sockets.port_holder(port) == sockets.UNKNOWN
        monkeypatch.setattr(sockets, "sockets_at", lambda table, binding: iter(()))
        assert sockets.port_holder(port) == sockets.UNKNOWN


@pytest.mark.skipif(sys.byteorder != "little", reason="the table is one of a machine of that order")
def test_a_table_of_the_kernels_is_read() -> None:
    table = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:0BB8 00000000:0000 0A 0:0 00:0 0 1000 0 11 1 0 100 0 0 10 0\n"
        "   1: 0100007F:0BB8 0100007F:C001 01 0:0 00:0 0 1000 0 22 1 0 100 0 0 10 0\n"
        "   2: 0000000000000000FFFF00000100007F:0BB8 00000000000000000000000000000000:0000 0A 0:0 00:0 0 1000 0 33 1\n"
        "   3: 0200007F:0BB8 00000000:0000 0A 0:0 00:0 0 1000 0 44 1 0 100 0 0 10 0\n"
        "   4: short\n"
    )
    assert list(sockets.sockets_at(table, PortBinding("127.0.0.1", 3000, 80))) == ["11", "33"]
    assert list(sockets.sockets_at(table, PortBinding("0.0.0.0", 3000, 80))) == ["11", "33", "44"]
    assert list(sockets.sockets_at(table, PortBinding("127.0.0.1", 3001, 80))) == []
