"""Hosts whose engine is used from this machine too, through a folder that they share with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from testcontainers.core.container import DockerContainer

from tests.hosts.host import DockerHost, ImageStore
from tests.hosts.image import ensure_other_image, ensure_sid_image

OtherEngine = Literal["podman", "rootless"]

_DATA = {"podman": "/var/lib/containers", "rootless": "/home/op/.local/share/docker"}


class SharedHost(DockerHost):
    """A Docker host as the others, and reached from here.

    `shared` is a folder of this machine, which the host has under the same name, so that its engine can mount what is
    in there; its socket is `shared`/socket/engine.
    """

    def __init__(self, shared: Path, store: ImageStore = "classic", **options: Any) -> None:
        self.shared = shared
        self.socket = shared / "socket" / "engine"
        sockets = ["unix:///var/run/docker.sock", f"unix://{self.socket}"]
        super().__init__(store, daemon_options={"hosts": sockets}, **options)

    def _furnish(self, container: DockerContainer) -> None:
        super()._furnish(container)
        self.socket.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        container.with_volume_mapping(str(self.shared), str(self.shared), "rw")

    def wait_ready(self) -> None:
        """As it says, with the socket open to whoever runs the tests, in a folder that only they may enter."""
        super().wait_ready()
        self.exec(["chmod", "666", str(self.socket)])

    @property
    def environment(self) -> dict[str, str]:
        """What tells a docker client of this machine to use its engine."""
        return {"DOCKER_HOST": f"unix://{self.socket}"}


class SidHost(SharedHost):
    """A host with the Docker of Debian sid."""

    def _image(self) -> str:
        return ensure_sid_image(self._client)


class OtherHost(SharedHost):
    """Podman 4.3 as root, or a dockerd that the user `op` runs."""

    def __init__(self, engine: OtherEngine, shared: Path, **options: Any) -> None:
        super().__init__(shared, **options)
        self.engine = engine
        self.data = _DATA[engine]

    def _image(self) -> str:
        return ensure_other_image(self._client)

    def _furnish(self, container: DockerContainer) -> None:
        super()._furnish(container)
        container.with_env("HOST_ENGINE", self.engine).with_env("HOST_SOCKET", str(self.socket))
