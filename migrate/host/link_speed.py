"""How hard to compress: as hard as still keeps the CPU ahead of the link.

Levels above 6 are not used: zstd's memory grows with them, and a move stays under 150 MB.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from migrate.host.commands import Sink
from migrate.host.probe import require_done
from migrate.model import Codec
from migrate.ports import Shell

_SAMPLE = 512 * 1024
_SLOW = 8_000_000  # bytes a second; below it, two cores at level 6 are faster than the link
_FAST = 60_000_000  # above it, what a level takes of two cores is missed more than what it saves the link
_LEVELS = {Codec.ZSTD: (-1, 3, 6), Codec.GZIP: (1, 1, 6), Codec.NONE: (None, None, None)}


def choose_level(codec: Codec, rate: float, limit: int | None) -> int | None:
    """The level for a link that carries `rate` bytes a second and may be used for `limit` of them."""
    quick, fair, thorough = _LEVELS[codec]
    usable = min(rate, limit or rate)
    return thorough if usable < _SLOW else fair if usable < _FAST else quick


def measure_link(remote: Shell, *, clock: Callable[[], float] = time.monotonic) -> float:
    """Bytes a second that the link carries, by sending a little that does not compress. Raises what `run` raises."""

    def took(payload: bytes) -> float:
        began = clock()
        require_done(remote, remote.run(Sink().command(), (payload,)), "measuring the link")
        return clock() - began

    with ThreadPoolExecutor(max_workers=2) as pool:  # side by side: what both wait for is no matter
        overhead, whole = pool.map(took, (b"", os.urandom(_SAMPLE)))
    return _SAMPLE / max(whole - overhead, 1e-3)
