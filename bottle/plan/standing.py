"""Which earlier commit a new one stands on, so that no image gets too deep and none is written again often. Pure.

Counted from the first commit of a container, whose layer is large and stays: the one with the number n, written in base
16, stands on the one whose number has its last digit that is not 0 set to 0. So it says what the commits since then
have said, as one layer, as log-structured stores do; depth grows by 15 for each digit, and each change is written once
more for each.
"""

from collections.abc import Iterator, Sequence

from bottle.model import CommitRecord

_BASE = 16


def standing_on(commits: Sequence[CommitRecord]) -> tuple[int, ...]:
    """The numbers of those of a container's commits, oldest first, on which its next one may stand, the best first."""
    if not commits:
        return ()
    best = _below(len(commits))
    return tuple(dict.fromkeys((commits[best].number, *(each.number for each in reversed(commits)))))


def kept_indexes(commits: Sequence[CommitRecord]) -> frozenset[int]:
    """The numbers of those of a container's commits on which a later one will stand, or may have to."""
    if not commits:
        return frozenset()
    return frozenset(commits[place].number for place in (len(commits) - 1, *_rounded(len(commits) - 1)))


def _below(place: int) -> int:
    """Where the commit is that the one at `place`, counted from 0, stands on."""
    step = 1
    while place % (step * _BASE) == 0:
        step *= _BASE
    return place - step


def _rounded(place: int) -> Iterator[int]:
    step = _BASE
    while place // step:
        yield place // step * step
        step *= _BASE
    yield 0
