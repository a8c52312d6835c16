"""The docker client, a program that may be on the PATH or not."""

import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress

from bottle.text import printable

CLIENT = "docker"
_SECONDS = 20


def find_client(environ: Mapping[str, str]) -> str | None:
    """Where it is, None where there is none."""
    return shutil.which(CLIENT, path=environ.get("PATH"))


def client_version(environ: Mapping[str, str]) -> str | None:
    """What it says of itself, such as `Docker version 28.2.2, build e6534b4`; None where there is none that answers."""
    client = find_client(environ)
    if client is None:
        return None
    with suppress(OSError, subprocess.TimeoutExpired):
        asked = subprocess.run(
            [client, "--version"],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        if asked.returncode == 0:
            return printable(asked.stdout.decode("utf-8", "replace").strip())
    return None
