"""Remote hosts over SSH: the only code that imports fabric and paramiko."""

import logging

from migrate.transport.ssh.keyfile import require_key_file
from migrate.transport.ssh.options import SshOptions
from migrate.transport.ssh.remote import SshRemote

# What paramiko logs as an error is raised here as one; without a handler Python would print it, tracebacks and all.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

__all__ = ["SshOptions", "SshRemote", "require_key_file"]
