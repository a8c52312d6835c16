"""What every move begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrate.host.destination import Destination
from migrate.move import image
from migrate.transport.testing import LocalRemote
from tests.support.moving import MoveRig


@pytest.fixture
def rig(tmp_path: Path, far: Path, programs: Path, remote: LocalRemote, monkeypatch: pytest.MonkeyPatch) -> MoveRig:
    monkeypatch.setattr(image, "measure_link", lambda *_: 1e9)
    monkeypatch.setattr(
        Destination, "verify_image", lambda *_, **__: None
    )  # no engine there has an image to be looked at
    return MoveRig(tmp_path, far, programs, remote)
