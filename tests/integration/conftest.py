"""Real engines for the integration tests: the machine's own, and hosts in containers to migrate to."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException

from tests.hosts import DockerHost, ensure_base_image, ensure_host_image, new_run_id, remove_hosts
from tests.integration import migration
from tests.integration.migration import Desk
from tests.integration.smallimage import build_small
from tests.oracle import image as oracle
from tests.support.distribution import build

NO_ENGINE = """\
no Docker Engine answers ({error}).
The integration tests need one and do not skip. Next:
    scripts/engine start && eval "$(scripts/engine env)"
or let scripts/test set all of it up; scripts/test --unit runs the tests that need no Docker."""


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """A client of the engine in force; the tests fail without one."""
    refusal = ""
    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except DockerException as error:
        refusal = NO_ENGINE.format(error=error)
    if refusal:
        # Outside the handler, so that the report shows this text and no chain of tracebacks.
        pytest.fail(refusal, pytrace=False)
    yield client
    client.close()


@pytest.fixture(scope="session")
def base_image(engine: docker.DockerClient) -> str:
    """The name of the base image, which is in the engine."""
    return ensure_base_image(engine)


@pytest.fixture(scope="session")
def host_image(engine: docker.DockerClient, base_image: str) -> str:
    """The name of the image that hosts run."""
    return ensure_host_image(engine)


@pytest.fixture(scope="session")
def buildx(engine: docker.DockerClient, host_image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of configuration that gives the docker client here the buildx that the hosts have."""
    holder = engine.containers.create(host_image)
    try:
        packed = b"".join(holder.get_archive("/usr/libexec/docker/cli-plugins/docker-buildx")[0])
    finally:
        holder.remove()
    folder = tmp_path_factory.mktemp("client")
    plugins = folder / "cli-plugins"
    plugins.mkdir()
    subprocess.run(["tar", "--no-same-owner", "-xC", plugins], input=packed, check=True)
    return folder


@pytest.fixture(scope="session")
def run_id(engine: docker.DockerClient) -> Iterator[str]:
    """The label of all hosts of this test session; whatever still has it at the end is removed."""
    run = new_run_id()
    yield run
    remove_hosts(engine, run_id=run)


@pytest.fixture(scope="session")
def classic_host(run_id: str, host_image: str) -> Iterator[DockerHost]:
    """A host with the classic image store, shared by the tests: leave its dockerd running."""
    with DockerHost("classic", run_id=run_id) as host:
        yield host


@pytest.fixture(scope="session")
def containerd_host(run_id: str, host_image: str) -> Iterator[DockerHost]:
    """A host with the containerd image store, shared by the tests: leave its dockerd running."""
    with DockerHost("containerd", run_id=run_id) as host:
        yield host


@pytest.fixture(params=["classic", "containerd"])
def destination(request: pytest.FixtureRequest) -> DockerHost:
    """Each of the two shared hosts in turn."""
    host = request.getfixturevalue(f"{request.param}_host")
    assert isinstance(host, DockerHost)
    return host


@pytest.fixture
def make_host(run_id: str, host_image: str) -> Iterator[Callable[..., DockerHost]]:
    """Start a host of one's own, with the options of DockerHost; removed after the test."""
    with ExitStack() as stack:

        def make(**options: Any) -> DockerHost:
            return stack.enter_context(DockerHost(run_id=run_id, **options))

        yield make


@pytest.fixture(scope="session")
def small_base(engine: docker.DockerClient, base_image: str) -> Iterator[str]:
    """What the image of the agents that are moved is made from; every host has it."""
    name = build_small(engine, base_image, "bottle-small-test", secrets.token_hex(4), migration.TOOLS, migration.FILES)
    yield name
    engine.images.remove(name, force=True)


@pytest.fixture(scope="session")
def agents(engine: docker.DockerClient, small_base: str) -> Iterator[str]:
    """The image of the agents that are moved."""
    migration.build_image(engine, small_base)
    yield migration.IMAGE
    engine.images.remove(migration.IMAGE, force=True)


@pytest.fixture(scope="session")
def oracle_image(engine: docker.DockerClient, host_image: str) -> Iterator[str]:
    """The image of the bottles that the oracle judges."""
    name = oracle.build(engine, host_image, secrets.token_hex(4))
    yield name
    engine.images.remove(name, force=True)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What hosts install bottle from."""
    return build("wheel", migration.ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def with_bottle(wheel: Path) -> Callable[[DockerHost], DockerHost]:
    """Give a host bottle, once."""
    done: set[str] = set()

    def install(host: DockerHost) -> DockerHost:
        if host.name not in done:
            host.install_bottle(wheel)
            done.add(host.name)
        return host

    return install


@pytest.fixture(scope="session")
def equipped(with_bottle: Callable[[DockerHost], DockerHost], small_base: str) -> Callable[[DockerHost], DockerHost]:
    """Give a host bottle and what the agents' image is made from, once."""
    done: set[str] = set()

    def equip(host: DockerHost) -> DockerHost:
        if host.name not in done:
            with_bottle(host).load_image(small_base)
            done.add(host.name)
        return host

    return equip


@pytest.fixture
def host(destination: DockerHost, equipped: Callable[[DockerHost], DockerHost]) -> DockerHost:
    """Each of the two shared hosts, ready to resume what arrives."""
    return equipped(destination)


@pytest.fixture(scope="session")
def there(classic_host: DockerHost, equipped: Callable[[DockerHost], DockerHost]) -> DockerHost:
    """One of them, where its image store makes no difference."""
    return equipped(classic_host)


@pytest.fixture
def desk(tmp_path: Path, engine: docker.DockerClient, agents: str) -> Iterator[Desk]:
    """A fresh desk; whatever its bottles leave anywhere is removed."""
    with migration.desk_in(tmp_path / "desk", engine) as desk:
        yield desk
