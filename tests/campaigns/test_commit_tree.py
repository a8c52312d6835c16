"""Random work in a bottle, committed again and again, on several engines: tests/oracle at length.

`ORACLE_SEEDS=0:40` takes other seeds than these, `-k here` only the engine in force. A failure prints the seed and all
that it does; `ORACLE_SEEDS=17:18` does it again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import pytest

from tests.campaigns.oracles import oracle_on
from tests.hosts import SharedHost, SidHost
from tests.hosts.host import ImageStore
from tests.integration.members import of_member, python_of_member
from tests.oracle.directed import DIRECTED, Seed
from tests.oracle.judged import Judged, judging
from tests.oracle.oracle import oracle_in
from tests.support.users import users_folder

pytestmark = pytest.mark.campaign
_FIRST, _END = (int(each) for each in os.environ.get("ORACLE_SEEDS", "1000:1300").split(":"))
SEEDS = range(_FIRST, _END)
ON_HOSTS = SEEDS[::5]  # each takes longer there
WHERE = ("here", "member", "classic", "containerd", "sid")
CASES: list[tuple[str, Seed]] = [
    *((where, name) for where in WHERE for name in DIRECTED),
    *(("here", seed) for seed in SEEDS),
    *((where, seed) for where in WHERE[1:] for seed in ON_HOSTS),
]
seeds = pytest.mark.parametrize(("where", "seed"), CASES, ids=[f"{where}-{seed}-" for where, seed in CASES])


@pytest.fixture(scope="session")
def here(
    request: pytest.FixtureRequest,
    engine: docker.DockerClient,
    oracle_image: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Judged]:
    """What becomes of the seeds on the engine in force."""
    folder = tmp_path_factory.mktemp("here")
    with oracle_in(folder, engine, oracle_image) as oracle, judging(oracle, request, where="here") as judged:
        yield judged


@pytest.fixture(scope="session")
def member(request: pytest.FixtureRequest, engine: docker.DockerClient, oracle_image: str) -> Iterator[Judged]:
    """The same for a member of the docker group, whose commits are read through a helper container."""
    python = python_of_member()
    with (
        users_folder() as folder,
        oracle_in(folder / "oracle", engine, oracle_image, lambda desk: of_member(desk, python)) as oracle,
        judging(oracle, request, where="member") as judged,
    ):
        yield judged


@contextmanager
def _on_host(
    store: ImageStore, request: pytest.FixtureRequest, kind: type[SharedHost] = SharedHost
) -> Iterator[Judged]:
    image, wheel, run_id = (request.getfixturevalue(name) for name in ("oracle_image", "wheel", "run_id"))
    folder = request.getfixturevalue("tmp_path_factory").mktemp(store)
    with (
        kind(folder, store, run_id=run_id) as host,
        oracle_on(host, wheel, image) as oracle,
        judging(oracle, request, where=request.fixturename) as judged,
    ):
        yield judged


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


@pytest.fixture(scope="session")
def sid(request: pytest.FixtureRequest) -> Iterator[Judged]:
    """What becomes of them on the Docker of Debian sid with the containerd image store."""
    with _on_host("containerd", request, SidHost) as judged:
        yield judged


@pytest.fixture
def judged(request: pytest.FixtureRequest, where: str) -> Judged:
    """The verdicts there."""
    found = request.getfixturevalue(where)
    assert isinstance(found, Judged)
    return found


@seeds
def test_a_commit_keeps_what_docker_keeps(judged: Judged, seed: Seed) -> None:
    judged.like_docker(seed)


@seeds
def test_a_commit_keeps_what_docker_drops(judged: Judged, seed: Seed) -> None:
    judged.like_live(seed)


@seeds
def test_commits_are_made_of_what_changed(judged: Judged, seed: Seed) -> None:
    assert judged.of(seed).by_engine == []


@pytest.mark.parametrize("where", WHERE)
def test_a_commit_is_what_was_there_at_one_moment(judged: Judged) -> None:
    assert judged.oracle.torn(commits=40) == []
