"""A Docker Engine through docker-py: the only code that imports docker."""

from bottle.docker_engine.engine import DockerEngine

__all__ = ["DockerEngine"]
