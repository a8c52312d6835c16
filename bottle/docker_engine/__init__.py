"""A Docker Engine through docker-py: the only code that imports docker."""

import sys

# docker-py imports paramiko for its own way through ssh, which bottle does not take (see ssh.py): a quarter of the time
# that a command needs to begin. None stands for a module that is not there, as where paramiko is not installed.
sys.modules.setdefault("docker.transport.sshconn", None)  # type: ignore[arg-type]

from bottle.docker_engine.engine import DockerEngine  # noqa: E402  (all that imports docker comes after that)

__all__ = ["DockerEngine"]
