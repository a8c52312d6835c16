"""Random work in a bottle, committed again and again: the tree of each commit is the one that Docker's own would have.

Some seeds of what tests/campaigns/test_commit_tree.py tries at length; chosen because together they do everything. Only
those run that are asked for: `-k "165 or 186"` takes 20 s.
"""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from tests.oracle.directed import DIRECTED, Seed
from tests.oracle.judged import Judged, judging
from tests.oracle.oracle import oracle_in

SEEDS: tuple[Seed, ...] = (*DIRECTED, 22, 36, 63, 107, 114, 164, 165, 174, 186, 259)


@pytest.fixture(scope="module")
def judged(
    request: pytest.FixtureRequest,
    engine: docker.DockerClient,
    oracle_image: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Judged]:
    """What becomes of the seeds on the engine in force."""
    folder = tmp_path_factory.mktemp("oracle")
    with oracle_in(folder, engine, oracle_image) as oracle, judging(oracle, request) as judged:
        yield judged


@pytest.mark.parametrize("seed", SEEDS)
def test_a_commit_keeps_what_docker_keeps(judged: Judged, seed: Seed) -> None:
    judged.like_docker(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_commit_keeps_what_docker_drops(judged: Judged, seed: Seed) -> None:
    judged.like_live(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_commits_are_made_of_what_changed(judged: Judged, seed: Seed) -> None:
    """A container that was never started since the engine came up has no folder that could be found, and no work."""
    assert judged.of(seed).by_engine == []


def test_a_commit_is_what_was_there_at_one_moment(judged: Judged) -> None:
    assert judged.oracle.torn(commits=3) == []
