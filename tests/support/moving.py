"""A bottle here, and a far host: its scripts are the real ones, its engine takes everything and proves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bottle.model import ImageFacts
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity
from bottle.store.home import StateHome
from migrate.model import RemoteCommand, Reply
from migrate.move.execute import move, plan
from migrate.move.model import Moved, MovePlan
from migrate.transport.testing import LocalRemote
from tests.support.world import Killed, World

DOCKER = """\
#!/bin/sh
case "$*" in
version*) echo amd64 ;;
*DockerRootDir*) echo / ;;
info*) echo '{info}' ;;
load*) cat >/dev/null ;;
esac
"""


class MoveRig:
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
        info = {"ServerVersion": "26.1.0", "Architecture": "aarch64", "DockerRootDir": "/", "ID": engine}
        self.program("docker", DOCKER.format(info=json.dumps(info)))

    def hold(self, *images: ImageFacts) -> None:
        """Have the engine there list these images."""
        listed = "\n".join(each.id for each in images)
        described = "\n".join(f"{each.id} {json.dumps(list(each.diff_ids))}" for each in images)
        script = (self.programs / "docker").read_text()
        held = f"image' 'ls*) echo '{listed}' ;;\nimage' 'inspect*) echo '{described}' ;;\n"
        self.program("docker", script.replace("load*)", f"{held}load*)"))

    def program(self, name: str, script: str) -> None:
        (self.programs / name).write_text(script)
        (self.programs / name).chmod(0o755)

    def move(self, **request: Any) -> Moved:
        workspace = self.far / f"workspace-{len(list(self.far.iterdir()))}"
        return move(self.world.context, self.bottle, self.remote, MoveOptions(workspace=workspace, **request))

    def plan(self, **request: Any) -> MovePlan:
        return plan(self.world.context, self.bottle, self.remote, MoveOptions(workspace=self.far / "plan", **request))

    def die_after(self, script: str, **request: Any) -> None:
        """A move that is killed when `script` has run there, before its answer is heard."""
        run = self.remote.run

        def mortal(command: RemoteCommand, *args: Any, **kwargs: Any) -> Reply:
            reply = run(command, *args, **kwargs)
            if command.name == script:
                raise Killed(script)
            return reply

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.remote, "run", mortal)
            with pytest.raises(Killed):
                self.move(**request)

    @property
    def there(self) -> tuple[Identity, ...]:
        """The bottles that are there."""
        return StateHome(self.far / ".bottle").identities()
