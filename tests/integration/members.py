"""A desk at which a member of the docker group sits, who may not read the engine's folders."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bottle.docker_engine import DockerEngine
from tests.integration.migration import ROOT, Desk
from tests.support.users import member_of


def python_of_member() -> tuple[str, ...]:
    """What runs Python as a user of the docker group.

    Tests are skipped where none can: root's Python lies in root's own folder, and the system has none of its version.
    """
    socket = DockerEngine().endpoint.address.removeprefix("unix://")
    python = member_of(Path(socket).stat().st_gid)
    if python is None:
        pytest.skip("no Python of this version that another user can run")
    return python


def of_member(desk: Desk, python: tuple[str, ...]) -> Desk:
    """The same desk, at which such a user sits, with a workspace."""
    desk.workspace.mkdir(exist_ok=True)
    desk.python = python
    above = [str(ROOT), *(each for each in sys.path if each.endswith("-packages"))]
    desk.environ |= {"PYTHONPATH": os.pathsep.join(above), "PYTHONDONTWRITEBYTECODE": "1"}
    if os.geteuid() == 0:
        owner = desk.folder.parent.stat()
        for each in (desk.folder, *desk.folder.rglob("*")):
            os.chown(each, owner.st_uid, owner.st_gid)
    return desk
