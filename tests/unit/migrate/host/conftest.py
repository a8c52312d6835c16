"""A host where moves were cut, and whose user is not root."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from migrate.host.arguments import Nonce, Workspace
from migrate.host.commands import Register
from migrate.host.script import PlainScript
from migrate.model import Reply
from migrate.transport.testing import LocalRemote
from tests.unit.migrate.conftest import IDENTITY, install

SETPRIV = shutil.which("setpriv")
# Where the tests run as root: without what lets root write where nobody may.
BARRED = (SETPRIV, "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search", "sh")


class Rig:
    """A host where moves were cut."""

    def __init__(self, far: Path, remote: LocalRemote, programs: Path) -> None:
        self.far, self.remote, self.programs = far, remote, programs
        self.incoming = far / ".bottle" / "incoming" / str(IDENTITY)
        self.state = far / ".bottle" / "state" / str(IDENTITY)
        self.goal = far / "projects" / "goal"
        self.near = self.goal.with_name(f".bottle-incoming-{IDENTITY}")
        self.goal.parent.mkdir()

    def make(self, folder: Path, content: str) -> Path:
        """A workspace with a module cache of Go's, whose folders nobody may write in."""
        (folder / "mod" / "inner").mkdir(parents=True)
        (folder / "link").symlink_to("/nowhere")
        for name in ("file", "mod/cached", "mod/inner/cached"):
            (folder / name).write_text(content)
        for name in ("mod/inner", "mod"):
            (folder / name).chmod(0o555)
        return folder

    def stage(self, nonce: str) -> None:
        self.make(self.incoming / f"workspace-{nonce}", nonce)
        (self.incoming / f"state-{nonce}").mkdir()

    def cut_after_placing(self, nonce: str) -> None:
        """A run of register.sh that dies between the two last renames, in a second that is over when this returns."""
        self.stage(nonce)
        (self.programs / "mv").unlink(missing_ok=True)
        (self.programs / "mv").write_text(
            f'#!/bin/sh\ncase "$1" in state-*) kill -9 $PPID ;; *) exec {shutil.which("mv")} "$@" ;; esac\n'
        )
        (self.programs / "mv").chmod(0o755)
        assert self.register(nonce).status != 0
        (self.programs / "mv").unlink()
        assert (self.goal / "file").read_text() == nonce
        time.sleep(1.1)

    def run(self, script: PlainScript) -> Reply:
        return self.remote.run(script.command())

    def register(self, nonce: str, workspace: str | None = None) -> Reply:
        place = Workspace(self.goal if workspace is None else workspace)
        return self.run(Register(identity=IDENTITY, nonce=Nonce(nonce), workspace=place))

    def require_placed(self, nonce: str) -> None:
        names = {str(each.relative_to(self.goal)) for each in self.goal.rglob("*")}
        assert names == {"file", "link", "mod", "mod/cached", "mod/inner", "mod/inner/cached"}
        assert {(self.goal / name).read_text() for name in ("file", "mod/cached", "mod/inner/cached")} == {nonce}
        assert [each.name for each in self.goal.parent.iterdir()] == [self.goal.name]


@pytest.fixture
def rig(far: Path, programs: Path, tools: str) -> Rig:
    install(tools, programs)
    if os.geteuid() != 0:
        return Rig(far, LocalRemote(far, path=f"{programs}:{os.environ['PATH']}"), programs)
    if SETPRIV is None:
        pytest.skip("setpriv is not installed")
    return Rig(far, LocalRemote(far, shell=BARRED, path=f"{programs}:{os.environ['PATH']}"), programs)  # type: ignore[arg-type]
