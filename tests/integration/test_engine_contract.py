"""The Docker Engine in force against the contract of all engines."""

import socket
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

pytest.register_assert_rewrite("tests.contract.engine")

from bottle.docker_engine import DockerEngine  # noqa: E402
from bottle.errors import BuildFailed, PortTaken  # noqa: E402
from bottle.model import NetworkFacts  # noqa: E402
from bottle.portbinding import PortBinding  # noqa: E402
from bottle.testing import RecordingProgress  # noqa: E402
from tests.contract.engine import EngineContract, Rig  # noqa: E402
from tests.support.ports import free_port  # noqa: E402


@pytest.fixture(scope="module")
def docker_engine() -> DockerEngine:
    return DockerEngine()


@pytest.fixture
def rig(docker_engine: DockerEngine, base_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setenv("PATH", "")  # no docker client, so that the engine builds
    rig = Rig(engine=docker_engine, base=base_image, folder=tmp_path)
    yield rig
    rig.clean()


class TestDockerEngine(EngineContract):
    """Held to the same as the fake."""

    @pytest.mark.parametrize("step", ["RUN --mount=type=tmpfs,target=/x true", "RUN <<END\ntouch /x\nEND"])
    def test_what_only_buildkit_builds_is_told_apart(self, rig: Rig, step: str) -> None:
        with pytest.raises(BuildFailed) as caught:
            rig.build(step)
        assert "buildx" in caught.value.next_step

    def test_a_registry_that_does_not_answer_is_told_apart_from_a_mistake(self, rig: Rig) -> None:
        with pytest.raises(BuildFailed) as caught:
            rig.engine.build(
                dockerfile=b"FROM localhost:1/no-such-image:1\n",
                context=rig.folder,
                tag=rig.image("never"),
                labels=rig.labels,
                args={},
                secrets={},
                progress=RecordingProgress(),
            )
        assert caught.value.next_step.startswith("docker pull of the image after FROM")

    def test_a_network_is_listed_as_long_as_it_is_there(self, rig: Rig, engine: docker.DockerClient) -> None:
        network = engine.networks.create(rig.name("lab"))
        try:
            assert NetworkFacts(id=network.id, name=rig.name("lab")) in rig.engine.networks()
            rig.running(network=rig.name("lab"))
        finally:
            rig.clean()
            network.remove()
        assert rig.name("lab") not in {each.name for each in rig.engine.networks()}

    def test_a_published_port_is_answered_by_the_container(self, rig: Rig) -> None:
        serve = (
            "use IO::Socket::INET; my $all = IO::Socket::INET->new(LocalPort => 80, Listen => 1) or die $!;"
            "$| = 1; print qq(ready\n); my $one = $all->accept; print $one qq(hello\n)"
        )
        port = PortBinding("127.0.0.1", free_port(), 80)
        ref = rig.running(
            entrypoint=("perl", "-e", serve), network="bridge", ports=(port,), cap_add=("NET_BIND_SERVICE",)
        )
        assert next(iter(rig.engine.logs(ref, follow=True))) == b"ready\n"
        with socket.create_connection((port.address, port.host), 10) as line:
            assert line.recv(100) == b"hello\n"

    def test_a_port_that_a_program_has_is_named_by_the_engine(self, rig: Rig) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = PortBinding("127.0.0.1", listener.getsockname()[1], 80)
            with pytest.raises(PortTaken, match=port.place):
                rig.running(network="bridge", ports=(port,))
