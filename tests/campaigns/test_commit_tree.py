"""Random work in a bottle, committed again and again, on several engines: tests/oracle at length.

`ORACLE_SEEDS=0:40` takes other seeds than these, `-k here` only the engine in force. A failure prints the seed and all
that it does; `ORACLE_SEEDS=17:18` does it again.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import docker
import pytest

from tests.hosts import SharedHost
from tests.hosts.host import ImageStore
from tests.oracle import image
from tests.oracle.judged import ALL_IS_KEPT, Judged, judging
from tests.oracle.oracle import oracle_in

pytestmark = pytest.mark.campaign
_FIRST, _END = (int(each) for each in os.environ.get("ORACLE_SEEDS", "1000:1300").split(":"))
SEEDS = range(_FIRST, _END)
ON_HOSTS = SEEDS[::5]  # of their engines less is visible from here, so each takes longer
CASES = [
    *(("here", seed) for seed in SEEDS),
    *(("classic", seed) for seed in ON_HOSTS),
    *(("containerd", seed) for seed in ON_HOSTS),
]
seeds = pytest.mark.parametrize(("where", "seed"), CASES, ids=[f"{where}-{seed}-" for where, seed in CASES])


@pytest.fixture(scope="session")
def oracle_image(engine: docker.DockerClient, host_image: str) -> Iterator[str]:
    """The image that the bottles are started from."""
    name = image.build(engine, host_image, secrets.token_hex(4))
    yield name
    engine.images.remove(name, force=True)


@pytest.fixture(scope="session")
def here(engine: docker.DockerClient, oracle_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    """What becomes of the seeds on the engine in force."""
    folder = tmp_path_factory.mktemp("here")
    with oracle_in(folder, engine, oracle_image, {}) as oracle, judging(oracle, SEEDS) as judged:
        yield judged


def _on_host(store: ImageStore, run_id: str, image: str, factory: pytest.TempPathFactory) -> Iterator[Judged]:
    with SharedHost(factory.mktemp(store), store, run_id=run_id) as host:
        host.load_image(image)
        client = docker.DockerClient(host.environment["DOCKER_HOST"], timeout=600)
        try:
            with (
                oracle_in(host.shared / "desk", client, image, host.environment) as oracle,
                judging(oracle, ON_HOSTS) as judged,
            ):
                yield judged
        finally:
            client.close()


@pytest.fixture(scope="session")
def classic(run_id: str, oracle_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    """What becomes of them on Docker 26.1."""
    yield from _on_host("classic", run_id, oracle_image, tmp_path_factory)


@pytest.fixture(scope="session")
def containerd(run_id: str, oracle_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    """What becomes of them on Docker 26.1 with the containerd image store."""
    yield from _on_host("containerd", run_id, oracle_image, tmp_path_factory)


@pytest.fixture
def judged(request: pytest.FixtureRequest, where: str) -> Judged:
    """The verdicts there."""
    found = request.getfixturevalue(where)
    assert isinstance(found, Judged)
    return found


@seeds
def test_a_commit_keeps_what_docker_keeps(judged: Judged, seed: int) -> None:
    judged.like_docker(seed)


@ALL_IS_KEPT
@seeds
def test_a_commit_keeps_what_docker_drops(judged: Judged, seed: int) -> None:
    judged.like_live(seed)


@pytest.mark.parametrize("where", ["here", "classic", "containerd"])
def test_a_commit_is_what_was_there_at_one_moment(judged: Judged) -> None:
    assert judged.oracle.torn(commits=40) == []
