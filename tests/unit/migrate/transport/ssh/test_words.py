"""How a host is written behind `ssh`, in what somebody is told to type."""

from __future__ import annotations

import pytest

from bottle.words import ssh_to


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("box", "ssh box"),
        ("me@box", "ssh me@box"),
        ("me@box:2222", "ssh -p 2222 me@box"),
        ("[::1]", "ssh ::1"),
        ("me@[fe80::1%eth0]:22", "ssh -p 22 me@fe80::1%eth0"),
    ],
)
def test_a_port_is_an_option(place: str, told: str) -> None:
    assert ssh_to(place) == told
    assert ssh_to(place, options="-v") == told.replace("ssh ", "ssh -v ")
