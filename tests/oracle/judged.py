"""The verdicts on some seeds, each found once, a few at a time: several tests look at them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.oracle.directed import Seed
from tests.oracle.oracle import Oracle, Verdict

_AT_A_TIME = 3  # much of it is waiting for an engine


class Judged:
    """Verdicts of one oracle."""

    def __init__(self, oracle: Oracle, verdicts: dict[Seed, Future[Verdict]], *, docker_is_right: bool) -> None:
        self.oracle = oracle
        self._verdicts = verdicts
        self._docker_is_right = docker_is_right

    def of(self, seed: Seed) -> Verdict:
        """The one on that seed, as soon as it is there."""
        return self._verdicts[seed].result()

    def like_docker(self, seed: Seed) -> None:
        """Assert that all is kept that Docker keeps; and, so that this says something, that Docker keeps it."""
        verdict = self.of(seed)
        if self._docker_is_right:
            assert not verdict.docker_unlike_live, verdict.report(verdict.docker_unlike_live)
        assert not verdict.unlike_docker, verdict.report(verdict.unlike_docker)

    def like_live(self, seed: Seed) -> None:
        """Assert that all is kept, also what Docker drops."""
        verdict = self.of(seed)
        assert not verdict.unlike_live, verdict.report([*verdict.by_engine, *verdict.unlike_live])


@contextmanager
def judging(oracle: Oracle, request: pytest.FixtureRequest, **where: str) -> Iterator[Judged]:
    """Have the seeds judged, from now on, that tests of this session are about; those with `where` as parameters.

    Docker's commit to the containerd store leaves out a file of the image that was written to in place, where its size
    and its time are what they were (tried with 26.1; containerd compares no more, continuity's fs.DiffDirChanges).
    """
    right = where.get("where") not in {"containerd", "sid"}
    params = [each.callspec.params for each in request.session.items if hasattr(each, "callspec")]
    seeds = dict.fromkeys(each["seed"] for each in params if "seed" in each and where.items() <= each.items())
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        try:
            verdicts = {seed: pool.submit(oracle.judge, seed) for seed in seeds}
            yield Judged(oracle, verdicts, docker_is_right=right)
        finally:
            pool.shutdown(cancel_futures=True)
