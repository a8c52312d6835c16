"""Random work in a bottle, committed again and again, on several engines: tests/oracle at length.

`ORACLE_SEEDS=0:40` takes other seeds than these, `-k here` only the engine in force. A failure prints the seed and all
that it does; `ORACLE_SEEDS=17:18` does it again.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from testcontainers.core.container import DockerContainer

from bottle.helper import python
from bottle.runtime import default_runtime
from tests.hosts import SharedHost
from tests.hosts.host import ImageStore
from tests.oracle import image
from tests.oracle.judged import Judged, judging
from tests.oracle.oracle import oracle_in

pytestmark = pytest.mark.campaign
HELPER_PACKAGES = ("bottle", "migrate", "zstandard")
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
def here(
    request: pytest.FixtureRequest,
    engine: docker.DockerClient,
    oracle_image: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Judged]:
    """What becomes of the seeds on the engine in force."""
    folder = tmp_path_factory.mktemp("here")
    with oracle_in(folder, engine, oracle_image, {}) as oracle, judging(oracle, request, where="here") as judged:
        yield judged


class _Host(SharedHost):
    """One that has what bottle keeps of what runs on this machine, too, and this Python, for a helper."""

    def _furnish(self, container: DockerContainer) -> None:
        super()._furnish(container)
        for folder in (default_runtime(), *map(Path, python.shown(HELPER_PACKAGES))):
            if folder.parent not in {Path("/"), Path("/etc")}:  # it has a system of its own
                container.with_volume_mapping(str(folder), str(folder), "rw" if folder == default_runtime() else "ro")


@contextmanager
def _on_host(store: ImageStore, request: pytest.FixtureRequest) -> Iterator[Judged]:
    image = request.getfixturevalue("oracle_image")
    folder = request.getfixturevalue("tmp_path_factory").mktemp(store)
    with _Host(folder, store, run_id=request.getfixturevalue("run_id")) as host:
        host.load_image(image)
        client = docker.DockerClient(host.environment["DOCKER_HOST"], timeout=600)
        try:
            with (
                oracle_in(host.shared / "desk", client, image, host.environment) as oracle,
                judging(oracle, request, where=store) as judged,
            ):
                yield judged
        finally:
            client.close()


@pytest.fixture(scope="session")
def classic(request: pytest.FixtureRequest) -> Iterator[Judged]:
    """What becomes of them on Docker 26.1."""
    with _on_host("classic", request) as judged:
        yield judged


@pytest.fixture(scope="session")
def containerd(request: pytest.FixtureRequest) -> Iterator[Judged]:
    """What becomes of them on Docker 26.1 with the containerd image store."""
    with _on_host("containerd", request) as judged:
        yield judged


@pytest.fixture
def judged(request: pytest.FixtureRequest, where: str) -> Judged:
    """The verdicts there."""
    found = request.getfixturevalue(where)
    assert isinstance(found, Judged)
    return found


@seeds
def test_a_commit_keeps_what_docker_keeps(judged: Judged, seed: int) -> None:
    judged.like_docker(seed)


@seeds
def test_a_commit_keeps_what_docker_drops(judged: Judged, seed: int) -> None:
    judged.like_live(seed)


@pytest.mark.parametrize(("where", "seed"), [each for each in CASES if each[0] != "containerd"])
def test_commits_are_made_of_what_changed(judged: Judged, seed: int) -> None:
    """A containerd store tells where a container writes by its mount, which is not seen from outside of the host."""
    assert judged.of(seed).by_engine == 0


@pytest.mark.parametrize("where", ["here", "classic", "containerd"])
def test_a_commit_is_what_was_there_at_one_moment(judged: Judged) -> None:
    assert judged.oracle.torn(commits=40) == []
