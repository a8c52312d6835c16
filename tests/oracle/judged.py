"""The verdicts on some seeds, each found once, a few at a time: several tests look at them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.oracle.oracle import Oracle, Verdict

# Docker's commit, which a commit of bottle is, drops them. A commit that bottle writes itself keeps them.
ALL_IS_KEPT = pytest.mark.xfail(reason="a commit is Docker's, which drops user xattrs, ACLs and nanoseconds")


_AT_A_TIME = 3  # much of it is waiting for an engine


class Judged:
    """Verdicts of one oracle."""

    def __init__(self, oracle: Oracle, verdicts: dict[int, Future[Verdict]]) -> None:
        self.oracle = oracle
        self._verdicts = verdicts

    def of(self, seed: int) -> Verdict:
        """The one on that seed, as soon as it is there."""
        return self._verdicts[seed].result()

    def like_docker(self, seed: int) -> None:
        """Assert that all is kept that Docker keeps; and, so that this says something, that Docker keeps it."""
        verdict = self.of(seed)
        assert not verdict.docker_unlike_live, verdict.report(verdict.docker_unlike_live)
        assert not verdict.unlike_docker, verdict.report(verdict.unlike_docker)

    def like_live(self, seed: int) -> None:
        """Assert that all is kept, also what Docker drops."""
        verdict = self.of(seed)
        assert not verdict.unlike_live, verdict.report(verdict.unlike_live)


@contextmanager
def judging(oracle: Oracle, seeds: Iterable[int]) -> Iterator[Judged]:
    """Have the seeds judged, from now on."""
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        try:
            yield Judged(oracle, {seed: pool.submit(oracle.judge, seed) for seed in seeds})
        finally:
            pool.shutdown(cancel_futures=True)
