"""A port of the host in Docker's short syntax."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bottle.portbinding import PortBinding
from tests.support.values import PORTS


@pytest.mark.parametrize(
    ("text", "binding", "place"),
    [
        ("3000:80", PortBinding("127.0.0.1", 3000, 80), "127.0.0.1:3000"),
        ("0.0.0.0:3000:80/tcp", PortBinding("0.0.0.0", 3000, 80), "0.0.0.0:3000"),
        ("10.0.0.1:53:53/udp", PortBinding("10.0.0.1", 53, 53, "udp"), "10.0.0.1:53"),
        ("[::1]:3000:80", PortBinding("::1", 3000, 80), "[::1]:3000"),
        ("[0:0::0001]:3000:80", PortBinding("::1", 3000, 80), "[::1]:3000"),
    ],
)
def test_dockers_short_syntax_is_read(text: str, binding: PortBinding, place: str) -> None:
    assert PortBinding.parse(text) == binding
    assert binding.place == place


@given(PORTS)
def test_what_is_written_reads_back(binding: PortBinding) -> None:
    assert PortBinding.parse(str(binding)) == binding


@pytest.mark.parametrize(
    "text",
    ["", "80", "80:", ":80", "0:80", "80:65536", "80:80/sctp", "::1:80:80", "1.2.3:80:80", "[1::2::3]:80:80",
     "80-81:80-81", "-1:80", "80:80\n", "[fe80::1%eth0]:80:80", "x:80:80"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        PortBinding.parse(text)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        PortBinding.parse(text)
    except ValueError:
        return


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("80:80", "80:81", True),
        ("80:80", "81:80", False),
        ("80:80", "80:80/udp", False),
        ("80:80", "10.0.0.1:80:80", False),
        ("80:80", "0.0.0.0:80:80", True),
        ("[::]:80:80", "[::1]:80:80", True),
        ("[::]:80:80", "0.0.0.0:80:80", False),  # Docker opens both for one port
    ],
)
def test_one_port_of_the_host_leads_to_one_place(one: str, other: str, clash: bool) -> None:
    assert PortBinding.parse(one).clashes(PortBinding.parse(other)) is clash
    assert PortBinding.parse(other).clashes(PortBinding.parse(one)) is clash
