"""A host whose engine is another one than the system's dockerd, reached through a folder that it shares with us."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from testcontainers.core.container import DockerContainer

from tests.hosts.host import DockerHost
from tests.hosts.image import ensure_other_image

OtherEngine = Literal["podman", "rootless"]

_DATA = {"podman": "/var/lib/containers", "rootless": "/home/op/.local/share/docker"}


class OtherHost(DockerHost):
    """Podman 4.3 as root, or a dockerd that the user `op` runs.

    `shared` is a folder of this machine, which the host has under the same name, so that its engine can mount what is
    in there; its socket is `shared`/socket/engine. The rest is as with DockerHost.
    """

    def __init__(self, engine: OtherEngine, shared: Path, **options: Any) -> None:
        super().__init__("classic", **options)
        self.engine = engine
        self.data = _DATA[engine]
        self.shared = shared
        self.socket = shared / "socket" / "engine"

    def _image(self) -> str:
        self.socket.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        return ensure_other_image(self._client)

    def _furnish(self, container: DockerContainer) -> None:
        container.with_env("HOST_ENGINE", self.engine).with_env("HOST_SOCKET", str(self.socket))
        container.with_volume_mapping(str(self.shared), str(self.shared), "rw")

    @property
    def environment(self) -> dict[str, str]:
        """What tells a docker client of this machine to use its engine."""
        return {"DOCKER_HOST": f"unix://{self.socket}"}
