"""The Dockers that people have, besides the one that runs the tests: the contract of all engines, and the main job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.contract.engine")

from bottle.model import Product  # noqa: E402
from tests.contract.engine import EngineContract, Rig  # noqa: E402
from tests.hosts import BASE_IMAGE, DockerHost, SharedHost, SidHost  # noqa: E402
from tests.integration.mainjob import bench_on, introduce, it_moves, rig_on, the_main_job  # noqa: E402

pytestmark = pytest.mark.campaign

HOSTS: dict[str, type[SharedHost]] = {"26.1": SharedHost, "28.5": SidHost}


@pytest.fixture(scope="session", params=product(HOSTS, ("classic", "containerd")), ids=" ".join)
def docker_host(
    request: pytest.FixtureRequest, run_id: str, base_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SharedHost]:
    """A host with each of them in turn."""
    version, store = request.param
    shared = tmp_path_factory.mktemp("docker")
    with HOSTS[version](shared, store, run_id=run_id) as host:
        host.load_image(base_image)
        yield host


class TestDocker(EngineContract):
    """Held to the same as every engine."""

    @pytest.fixture
    def rig(self, docker_host: SharedHost, base_image: str, tmp_path: Path) -> Iterator[Rig]:
        yield from rig_on(docker_host, base_image, tmp_path.name)

    def test_info_says_what_answers(self, rig: Rig, docker_host: SharedHost) -> None:
        info = rig.engine.info()
        assert (info.product, info.store.value, info.rootless) == (Product.DOCKER, docker_host.store, False)
        assert info.version == docker_host.docker("version", "--format", "{{.Server.Version}}").text


def test_the_main_job_and_a_move_each_way(
    docker_host: SharedHost, classic_host: DockerHost, with_bottle: Callable[[DockerHost], DockerHost]
) -> None:
    with_bottle(docker_host)
    with_bottle(classic_host).load_image(BASE_IMAGE)
    for here, there in ((docker_host, classic_host), (classic_host, docker_host)):
        with bench_on(here, "root", "/root") as bench:
            identity = the_main_job(bench, pauses=True)
            introduce(bench, there)
            it_moves(bench, identity, there)
