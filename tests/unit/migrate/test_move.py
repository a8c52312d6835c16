"""A whole move, or one that breaks: real scripts on the far host, whose engine takes everything and proves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bottle.errors import PreflightRefused
from bottle.naming import Identity
from bottle.state import StateHome
from migrate.handoff import Arrival
from migrate.move import Moved, move
from migrate.observe import MoveRequest
from migrate.testing import LocalRemote
from tests.support.world import World

DOCKER = """\
#!/bin/sh
case "$*" in
version*) echo 26.1.0 ;;
*DockerRootDir*) echo / ;;
info*) echo '{info}' ;;
load) cat >/dev/null ;;
esac
"""


class Rig:
    """A bottle here that has worked, and a host there."""

    def __init__(self, tmp_path: Path, far: Path, programs: Path, remote: LocalRemote) -> None:
        self.world = World(tmp_path / "here")
        self.remote = remote
        self.far = far
        self.programs = programs
        self.answer_as("theirs")
        self.bottle = self.world.start()
        self.world.work(self.bottle, "/work.txt", b"1")

    def answer_as(self, engine: str) -> None:
        """What the engine there says of itself."""
        info = {"ServerVersion": "26.1.0", "Architecture": "x86_64", "DockerRootDir": "/", "ID": engine}
        self.program("docker", DOCKER.format(info=json.dumps(info)))

    def program(self, name: str, script: str) -> None:
        (self.programs / name).write_text(script)
        (self.programs / name).chmod(0o755)

    def move(self, **request: Any) -> Moved:
        workspace = self.far / f"workspace-{len(list(self.far.iterdir()))}"
        return move(self.world.context, self.bottle, self.remote, MoveRequest(workspace=workspace, **request))

    @property
    def there(self) -> tuple[Identity, ...]:
        """The bottles that are there."""
        return StateHome(self.far / ".bottle").identities()


@pytest.fixture
def rig(tmp_path: Path, far: Path, programs: Path, remote: LocalRemote, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(Arrival, "verify_image", lambda *_: None)  # no engine there has an image to be looked at
    return Rig(tmp_path, far, programs, remote)


@pytest.mark.parametrize("keep", [False, True], ids=["move", "copy"])
def test_a_home_on_the_same_engine_is_no_other_host(rig: Rig, keep: bool) -> None:
    rig.answer_as(rig.world.engine.id)
    with pytest.raises(PreflightRefused, match="the very one"):
        rig.move(keep=keep)
    assert (rig.there, rig.bottle.tombstone(), rig.bottle.migration()) == ((), None, None)
    assert rig.world.content(rig.bottle, "/work.txt") == b"1"


def test_a_home_on_another_engine_gets_the_bottle(rig: Rig) -> None:
    moved = rig.move()
    assert rig.there == (moved.arrived_as,) == (rig.bottle.identity,)
    assert rig.bottle.tombstone() is not None
