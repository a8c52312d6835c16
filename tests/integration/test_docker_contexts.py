"""Docker contexts: bottle talks to the engine that the docker client talks to, also over ssh and TLS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.contract.engine")

from bottle.docker_engine import DockerEngine  # noqa: E402
from tests.contract.engine import EngineContract, Rig  # noqa: E402
from tests.integration.sshd import Sshd, running  # noqa: E402


@pytest.fixture(scope="module")
def socket_path() -> str:
    """The socket of the engine in force."""
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An sshd that is `Box` to every `ssh` of these tests, which heeds a configuration of its own, as in a home."""
    folder = tmp_path_factory.mktemp("ssh")
    with running(folder) as server, pytest.MonkeyPatch.context() as patch:
        config = server.ssh_config(folder / "config", server.known_hosts(folder / "known_hosts"), alias="Box")
        client = folder / "bin" / "ssh"
        client.parent.mkdir()
        client.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {config} "$@"\n')
        client.chmod(0o755)
        patch.setenv("PATH", f"{client.parent}:{os.environ['PATH']}")
        yield server


class TestThroughSsh(EngineContract):
    """An engine behind ssh is held to the same as any other."""

    @pytest.fixture(scope="class")
    def engine_there(self, server: Sshd, socket_path: str) -> DockerEngine:
        return DockerEngine({"DOCKER_HOST": f"ssh://Box{socket_path}"})

    @pytest.fixture
    def rig(self, engine_there: DockerEngine, base_image: str, tmp_path: Path) -> Iterator[Rig]:
        rig = Rig(engine=engine_there, base=base_image, folder=tmp_path)
        yield rig
        rig.clean()
