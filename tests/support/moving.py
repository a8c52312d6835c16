"""A bottle here, and a far host: its scripts are the real ones, its engine takes everything and proves nothing."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bottle.model import ImageFacts
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity
from bottle.operations.commit import commit
from bottle.operations.resume import resume
from bottle.operations.stop import stop
from bottle.plan.resume import ResumeRequest
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
        return move(self.world.context, self.bottle, self.remote, MoveOptions(**{"workspace": workspace, **request}))

    def plan(self, **request: Any) -> MovePlan:
        asked = MoveOptions(**{"workspace": self.far / "plan", **request})
        return plan(self.world.context, self.bottle, self.remote, asked)

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


KEEPING = "load*) cat >~/load-$(ls ~ | grep -c load-).tar ;;"


def committed(rig: MoveRig, *writes: tuple[str, bytes]) -> None:
    """Have the bottle commit a layer for each of `writes`, and stand still."""
    world, bottle = rig.world, rig.bottle
    for path, content in writes:
        world.work(bottle, path, content)
        commit(world.context, bottle)
        stop(world.context, bottle)
        world.engine.remove_container(bottle.identity.container)
        resume(world.context, bottle, ResumeRequest())
    stop(world.context, bottle)
    world.engine.remove_container(bottle.identity.container)


def keep_loads(rig: MoveRig, script: str = KEEPING) -> None:
    """Have the engine there keep what it is given to load."""
    rig.program("docker", (rig.programs / "docker").read_text().replace("load*) cat >/dev/null ;;", script))


@dataclass
class Classic:
    """What an engine with the classic store makes of what it is given (moby, image/tarexport/load.go)."""

    chains: set[tuple[str, ...]] = field(default_factory=set)
    tags: list[str] = field(default_factory=list)
    configs: list[bytes] = field(default_factory=list)  # of each of them
    read: list[str] = field(default_factory=list)  # the layers that came in an archive

    def load(self, archive: Path) -> None:
        with tarfile.open(archive) as tar:
            files = {each.name: content.read() for each in tar if (content := tar.extractfile(each)) is not None}
        for manifest in json.loads(files["manifest.json"]):
            layers = json.loads(files[manifest["Config"]])["rootfs"]["diff_ids"]
            for depth, (diff_id, path) in enumerate(zip(layers, manifest["Layers"], strict=True), 1):
                if tuple(layers[:depth]) not in self.chains:
                    assert path in files, f"{manifest['RepoTags']}: no such file: {path}"
                    self.read.append(diff_id)
                    self.chains.add(tuple(layers[:depth]))
            self.tags += manifest["RepoTags"]
            self.configs += [files[manifest["Config"]] for _ in manifest["RepoTags"]]

    @classmethod
    def of(cls, rig: MoveRig, *there: tuple[str, ...]) -> Classic:
        """What became of all that was loaded, upon the images `there`."""
        found = cls({chain[:depth] for chain in there for depth in range(1, len(chain) + 1)})
        for archive in sorted(rig.far.glob("load-*.tar"), key=lambda path: int(path.stem.removeprefix("load-"))):
            found.load(archive)
        return found
