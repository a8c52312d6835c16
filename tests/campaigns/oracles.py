"""The oracle on hosts: bottle runs there, beside an engine that is looked at from here."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from tests.hosts.other import SharedHost
from tests.integration.migration import Desk
from tests.oracle.oracle import Oracle, oracle_in

_PYTHON = "/opt/bottle/bin/python"
_OWN = ("BOTTLE_HOME", "HOME", "MIGRATION_TEST_SECRET")
_THERE = 'cd "$1" && shift && exec "$@"'


@dataclass(kw_only=True)
class FarDesk(Desk):
    """A desk in a folder that a host has too, where all is typed on that host."""

    host: SharedHost

    def bottle(self, *words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        return self._run("bottle", *words)

    def program(self, path: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
        there = self.folder.parent / path.name
        shutil.copyfile(path, there)
        return self._run(_PYTHON, str(there), *words)

    def _run(self, *argv: str) -> subprocess.CompletedProcess[bytes]:
        environ = {name: self.environ[name] for name in _OWN}
        done = self.host.exec(["sh", "-c", _THERE, "sh", str(self.folder), *argv], env=environ, check=False)
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout, done.stderr)


@contextmanager
def oracle_on(host: SharedHost, wheel: Path, image: str) -> Iterator[Oracle]:
    """The oracle on a host that runs."""
    host.install_bottle(wheel)
    host.load_image(image)
    client = docker.DockerClient(host.environment["DOCKER_HOST"], timeout=600)
    try:
        with oracle_in(host.shared / "desk", client, image, lambda desk: FarDesk(**vars(desk), host=host)) as oracle:
            yield oracle
    finally:
        client.close()
