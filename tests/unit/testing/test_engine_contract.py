"""The fake engine, in both of its stores, against the contract of all engines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.contract.engine")

from bottle.model import Store  # noqa: E402
from bottle.testing import FakeEngine  # noqa: E402
from tests.contract.engine import EngineContract, Rig  # noqa: E402


@pytest.fixture(params=list(Store), ids=lambda store: store.value)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    engine = FakeEngine(store=request.param)
    engine.add_image("debian:trixie-slim", {"/etc/os-release": b"ID=debian\n", "/srv/.keep": b""}, Cmd=["bash"])

    def play(ref: str, output: bytes, code: int) -> None:
        engine.say(ref, output)
        engine.exit(ref, code)

    rig = Rig(engine=engine, base="debian:trixie-slim", folder=tmp_path, play=play)
    yield rig
    rig.clean()
    assert engine.images(rig.labels) == ()


class TestFakeEngine(EngineContract):
    """Held to the same as the real one."""
