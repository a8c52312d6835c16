"""The program of docs/LIBRARY.md does what the page says, with an engine in memory and a host that is a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from bottle.operations import history
from migrate.host.destination import Destination
from migrate.move import image
from migrate.transport.testing import LocalRemote
from tests.support import library
from tests.unit.migrate.move.test_move import Rig


def test_the_program_commits_moves_and_tells_how_far_it_is(
    tmp_path: Path,
    far: Path,
    programs: Path,
    remote: LocalRemote,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rig = Rig(tmp_path, far, programs, remote)
    bottle = rig.world.start(copy_cwd=True)
    monkeypatch.setattr(image, "measure_link", lambda *_: 1e9)
    monkeypatch.setattr(Destination, "verify_image", lambda *_: None)  # no engine there has an image to be looked at
    monkeypatch.setattr("bottle.composition.DockerEngine", lambda: rig.world.engine)
    monkeypatch.setattr("bottle.composition.default_runtime", lambda: rig.world.runtime)
    monkeypatch.setattr("migrate.transport.ssh.SshRemote.connect", lambda *_, **__: remote)
    monkeypatch.setenv("BOTTLE_HOME", str(rig.world.home.path))
    exec(library.program(str(bottle.identity), "me@local.test"), {})
    *steps, said = capsys.readouterr().out.splitlines()
    assert said == f"{bottle.identity} is on local.test"
    assert steps
    assert all(step.endswith(" bytes more") for step in steps)
    assert rig.there == (bottle.identity,)
    assert "before the move" in {each.commit.message for each in history(rig.world.context, bottle).entries}
