"""A Docker Engine through docker-py: the only code that imports docker.

`DockerEngine` is loaded when somebody first asks for it; the docker client's files (`endpoint`) need none of it.
"""

import sys

from bottle.lazyload import public_names

# docker-py imports paramiko for its own way through ssh, which bottle does not take (see ssh.py): a quarter of the time
# that a command needs to begin. None stands for a module that is not there, as where paramiko is not installed.
sys.modules.setdefault("docker.transport.sshconn", None)  # type: ignore[arg-type]

__getattr__, __all__ = public_names(__name__, __file__)
