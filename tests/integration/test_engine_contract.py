"""The Docker Engine in force against the contract of all engines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.contract.engine")

from bottle.docker_engine import DockerEngine  # noqa: E402
from bottle.errors import BuildFailed  # noqa: E402
from tests.contract.engine import EngineContract, Rig  # noqa: E402


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
