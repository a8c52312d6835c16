"""A move over a cable that is cut, flips a bit, falls silent or crawls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.campaigns.bench import STRUCK, Bench, RecordProperty
from tests.campaigns.moves import a_move
from tests.hosts import DockerHost
from tests.integration.proxy import Proxy, proxy

pytestmark = pytest.mark.campaign
MEGA = 1 << 20
PARTS = (0.02, 0.2, 0.4, 0.6, 0.8, 0.97)


@pytest.fixture
def link(bench: Bench, there: DockerHost) -> Iterator[Proxy]:
    """A cable to the host, known as `link`."""
    with proxy(there.address, there.port) as running:
        bench.desk.knows_as("link", there, running.port)
        yield running


@pytest.fixture
def whole(bench: Bench, there: DockerHost, link: Proxy) -> tuple[int, int]:
    """The bytes that a move sends and gets when nothing is in its way."""
    with a_move(bench, there, "link", size=2 * MEGA) as move:
        link.expect()
        assert not move.goes_through()
        return link.sent, link.received


@pytest.mark.parametrize("fault", ["cut", "flip", "cut_back", "flip_back", "stall"])
def test_a_cable_with_a_fault(
    bench: Bench, there: DockerHost, link: Proxy, whole: tuple[int, int], fault: str, record_property: RecordProperty
) -> None:
    total = whole[1] if fault.endswith("_back") else whole[0]
    parts = PARTS[1::3] if fault == "stall" else PARTS
    broken = []
    for part in parts:
        with a_move(bench, there, "link", size=2 * MEGA) as move:
            link.expect(**{fault: int(part * total)})
            done = bench.desk.bottle(*move.words)
            said = done.stderr.decode()
            found = ["a traceback"] if "Traceback" in said else []
            # A line that breaks is tried again by the same run; only in its first moments it may give up.
            found += [f"exit {done.returncode}"] if done.returncode not in {0, 6} else []
            found += [*move.standing(), *move.goes_through()]
            broken += [f"{fault} at {part:.0%}: {each}\n{said}" for each in found]
    record_property(STRUCK, len(parts))
    assert not broken, "\n".join(broken)


def test_a_cable_that_crawls(bench: Bench, there: DockerHost, link: Proxy, record_property: RecordProperty) -> None:
    record_property(STRUCK, 1)
    with a_move(bench, there, "link", size=MEGA) as move:
        link.expect(rate=200_000)
        assert not move.goes_through()
