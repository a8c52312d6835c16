"""`ports.Engine` on a Docker Engine, put together from its parts."""

import time
from collections.abc import Mapping
from functools import cached_property

from bottle import facts
from bottle.docker_engine.builds import Builds
from bottle.docker_engine.connection import Connection
from bottle.docker_engine.containers import Containers
from bottle.docker_engine.contents import Contents
from bottle.docker_engine.helpers import Helpers
from bottle.docker_engine.images import Images
from bottle.docker_engine.volumes import Volumes
from bottle.errors import EngineError
from bottle.model import Endpoint, EngineInfo, NetworkFacts, Product

_FRESH = 5  # seconds for which who answers stays the same: a commit asks at every step, and Docker counts all it has


class DockerEngine(Builds, Containers, Contents, Helpers, Images, Volumes):
    """The engine that the docker client would talk to (see `endpoint.resolve`).

    It connects on first use. `environment` takes the place of this process's.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(Connection(environment))
        self._told: tuple[float, EngineInfo] | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Where it is looked for, and what said so. Raises ContextUnusable."""
        return self._connection.endpoint

    @property
    def is_local(self) -> bool:
        """Whether it is reached through a socket of this machine, and so can mount this machine's folders."""
        return self._connection.is_local

    @cached_property
    def mounts_memory(self) -> bool:
        """Whether files can be copied into and out of a container that has a folder in memory mounted read-only.

        A rootless dockerd mounts it once more for that, and without the flags nosuid and nodev, which it may not take
        away (moby, daemon/containerfs_linux.go, as of 26.1). Of one that does not answer nothing is known.
        """
        if self._connection.socket_owner() in {None, 0}:
            return True
        try:
            info = self.info()
        except EngineError:
            return True
        return not (info.rootless and info.product is Product.DOCKER)

    def info(self) -> EngineInfo:
        """Who answers, or has answered some seconds ago."""
        if self._told is not None and time.monotonic() - self._told[0] < _FRESH:
            return self._told[1]
        with self._asked_to("say who it is"):
            info, version = self._quick.info(), self._quick.version()
        told = facts.engine_info(info, version, self._dialect.product, self._connection.socket_owner())
        self._told = time.monotonic(), told
        return told

    def networks(self) -> tuple[NetworkFacts, ...]:
        """The networks that a container can be in, sorted by name."""
        with self._asked_to("list networks"):
            return tuple(sorted(map(facts.network_facts, self._quick.networks()), key=lambda network: network.name))
