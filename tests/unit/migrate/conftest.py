"""A far host that is a folder of this machine, with the real scripts run by a local shell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bottle.naming import Identity
from migrate.testing import LocalRemote

IDENTITY = Identity.parse("demo-abc12")


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
