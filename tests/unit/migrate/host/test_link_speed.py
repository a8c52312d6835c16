"""How fast a link is found to be, and how hard is compressed for it."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest

from migrate.host.link_speed import choose_level, look_at_link, measure_link
from migrate.model import Codec, RemoteCommand, Reply


class Line:
    """A shell behind a line of so many bytes a second, and a clock that knows how long each thread has waited."""

    name = "line"

    def __init__(self, rate: float, latency: float) -> None:
        self._rate = rate
        self._latency = latency
        self._waited = threading.local()
        self.sent = 0

    def clock(self) -> float:
        return getattr(self._waited, "seconds", 0.0)

    def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
        assert (command.name, silence) == ("sink", 60.0)
        size = sum(map(len, stdin))
        self.sent += size
        self._waited.seconds = self.clock() + self._latency + size / self._rate
        return Reply(status=0, out=b"", err="")


@pytest.mark.parametrize("latency", [0.001, 0.3])
@pytest.mark.parametrize("rate", [1e5, 5e6, 25e6, 200e6])
def test_a_link_is_as_fast_as_it_is_whatever_the_round_trip(rate: float, latency: float) -> None:
    line = Line(rate, latency)
    assert measure_link(line, clock=line.clock) == pytest.approx(rate, rel=0.01)
    assert line.sent == 512 << 10  # little, beside what changes in an hour


@pytest.mark.parametrize(
    ("rate", "limit", "level"),
    [
        (1e6, None, 6),
        (25e6, None, 3),
        (100e6, None, -1),
        (100e6, 1_000_000, 6),
        (100e6, 20_000_000, 3),
        (1e6, 10**9, 6),
    ],
)
def test_the_slower_the_link_the_harder_is_compressed(rate: float, limit: int | None, level: int) -> None:
    assert choose_level(Codec.ZSTD, rate, limit) == level


class LongLine(Line):
    """One where TCP begins with ten segments, and has twice as many on their way after each round trip."""

    window = 14_600

    def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
        data = b"".join(stdin)
        while self.window < min(len(data), self._rate * self._latency):
            self.window *= 2
            self._waited.seconds = self.clock() + self._latency
        return super().run(command, (data,), silence=silence)


@pytest.mark.parametrize("latency", [0.0, 0.001, 0.05, 0.3])
@pytest.mark.parametrize("rate", [3e4, 1e5, 1e6, 25e6, 200e6])
def test_a_look_at_a_link_is_short_whatever_it_carries(rate: float, latency: float) -> None:
    line = Line(rate, latency)
    found = look_at_link(line, clock=line.clock)
    assert found.rate == pytest.approx(rate, rel=0.01)
    assert found.round_trip == latency
    assert line.clock() <= 2.0


@pytest.mark.parametrize(("latency", "least"), [(0.02, 10e6), (0.1, 4e6)])
def test_a_long_line_is_given_time_to_come_to_speed(latency: float, least: float) -> None:
    line = LongLine(100e6, latency)
    assert least <= look_at_link(line, clock=line.clock).rate <= 101e6
    assert line.sent >= 1 << 20
    assert line.clock() <= 2.0


def test_a_slow_line_is_not_kept_busy() -> None:
    line = Line(5e4, 0.01)
    look_at_link(line, clock=line.clock)
    assert line.sent == 32 << 10
