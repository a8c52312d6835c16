"""How fast the link is, and how hard to compress: as hard as still keeps the CPU ahead of it.

Levels above 6 are not used: zstd's memory grows with them, and a move stays under 150 MB.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from migrate.host.commands import Sink
from migrate.host.probe import require_done
from migrate.model import Codec
from migrate.ports import Shell

_SAMPLE = 512 * 1024
_SAMPLES = (32 << 10, 256 << 10, 1 << 20)  # bytes, for a look that knows nothing of the link
_LOOK = 1.5  # seconds that it takes, about
_BEGINNING = 4  # round trips in which TCP has not come to speed
_LEAST = 1e-3  # seconds: what is shorter is not measured
_SLOW = 8_000_000  # bytes a second; below it, two cores at level 6 are faster than the link
_FAST = 60_000_000  # above it, what a level takes of two cores is missed more than what it saves the link
_LEVELS = {Codec.ZSTD: (-1, 3, 6), Codec.GZIP: (1, 1, 6), Codec.NONE: (None, None, None)}


def choose_level(codec: Codec, rate: float, limit: int | None) -> int | None:
    """The level for a link that carries `rate` bytes a second and may be used for `limit` of them."""
    quick, fair, thorough = _LEVELS[codec]
    usable = min(rate, limit or rate)
    return thorough if usable < _SLOW else fair if usable < _FAST else quick


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a link carries, in bytes a second, and the seconds of a command on the far host that does nothing."""

    rate: float
    round_trip: float

    def limited(self, limit: int | None) -> "Link":
        """The same, which may be used for `limit` bytes a second."""
        return replace(self, rate=min(self.rate, limit or self.rate))


def measure_link(remote: Shell, *, clock: Callable[[], float] = time.monotonic) -> float:
    """Bytes a second that the link carries, by sending a little that does not compress. Raises what `run` raises."""
    with ThreadPoolExecutor(max_workers=2) as pool:  # side by side: what both wait for is no matter
        overhead, whole = pool.map(lambda payload: _taken(remote, payload, clock), (b"", os.urandom(_SAMPLE)))
    return _SAMPLE / max(whole - overhead, _LEAST)


def look_at_link(remote: Shell, *, clock: Callable[[], float] = time.monotonic) -> Link:
    """The link, by samples that grow for as long as the next one is sent in no time to speak of. Raises as `run`.

    One that is long and wide is found slower than it is: TCP takes some round trips to come to speed.
    """
    began, beyond, rate = clock(), 0.0, 0.0
    round_trip = min(_taken(remote, b"", clock) for _ in range(2))  # who is busy for a moment is not far away
    for sample in _SAMPLES:
        # What took little more than round trips says nothing of how long more would take: as long again, perhaps.
        expected = sample / rate if beyond > _BEGINNING * round_trip else beyond
        if beyond and clock() - began + round_trip + expected > _LOOK:
            break
        beyond = max(_taken(remote, os.urandom(sample), clock) - round_trip, _LEAST)
        rate = sample / beyond
    return Link(rate=rate, round_trip=round_trip)


def _taken(remote: Shell, payload: bytes, clock: Callable[[], float]) -> float:
    """The seconds that it takes to send this to a command which does nothing with it."""
    began = clock()
    require_done(remote, remote.run(Sink().command(), (payload,)), "measuring the link")
    return clock() - began
