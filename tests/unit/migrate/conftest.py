"""A far host that is a folder of this machine, with the real scripts run by a local shell."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bottle.naming import Identity
from migrate.transport.testing import LocalRemote

IDENTITY = Identity.parse("demo-abc12")

APPLETS = (
    "awk cat chmod cp dirname find flock grep gzip head ls ln mkdir mv printf rm rmdir sed sha256sum sort stat sync"
    " tail tar tr uname wc"
)
NO_BUSYBOX = pytest.mark.skipif(shutil.which("busybox") is None, reason="busybox is not installed")
TOOLS = ("gnu", pytest.param("busybox", marks=NO_BUSYBOX))


def install(tools: str, folder: Path) -> None:
    """Have the programs in a folder, which come before all others on the far host, be those of a host with `tools`."""
    if tools == "busybox":
        busybox = str(shutil.which("busybox"))
        has = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
        for name in set(APPLETS.split()).intersection(has):
            (folder / name).symlink_to(busybox)


@pytest.fixture
def identity() -> Identity:
    return IDENTITY


@pytest.fixture
def far(tmp_path: Path) -> Path:
    """The home folder of the far host."""
    home = tmp_path / "far"
    home.mkdir()
    return home


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Programs put here are found first on the far host. Its docker refuses, lest a real engine be asked."""
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "docker").write_text("#!/bin/sh\nexit 1\n")
    (folder / "docker").chmod(0o755)
    return folder


@pytest.fixture
def remote(far: Path, programs: Path) -> LocalRemote:
    return LocalRemote(far, path=f"{programs}:{os.environ['PATH']}")
