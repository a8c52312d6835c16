"""Asks the `ssh` client what ssh_config says of a host; where there is none, an own reader has to do."""

import shutil
from pathlib import Path

from migrate.model import Target
from migrate.transport.ssh import openssh, parsed
from migrate.transport.ssh.config import HostConfig


def lookup(target: Target, file: Path | None, identity_files: tuple[Path, ...]) -> HostConfig:
    """All that ssh_config says of `target`; what the target itself says goes ahead of it.

    `file` stands in for the user's and the system's file. With `identity_files` named, the usual keys are not tried.
    Raises UsageError when the configuration cannot be read or is not valid.
    """
    program = shutil.which("ssh")
    if program is not None:
        found = openssh.ask(program, target, file, identity_files)
        if found is not None:
            return found
    return parsed.lookup(target, file, identity_files)
