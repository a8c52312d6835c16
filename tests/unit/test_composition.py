"""The parts that operations act on: the real ones, or those that are given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bottle.composition import make_context
from bottle.docker_engine import DockerEngine
from bottle.errors import NotFound
from bottle.ports import Silent
from bottle.runtime import default_runtime
from bottle.testing import FakeEngine, RecordingProgress
from tests.support.world import World


def test_nothing_given_it_is_what_the_commands_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTTLE_HOME", str(tmp_path / "home"))
    context = make_context()
    assert context.home.path == tmp_path / "home"
    assert (context.environ, context.runtime) == (os.environ, default_runtime())
    assert isinstance(context.engine, DockerEngine)
    assert isinstance(context.progress, Silent)
    assert not context.home.path.exists()  # nothing is made before it is needed


def test_what_is_given_is_used(tmp_path: Path) -> None:
    engine, progress, runtime, environ = FakeEngine(), RecordingProgress(), tmp_path / "run", {"A": "b"}
    context = make_context(home=tmp_path, engine=engine, environ=environ, runtime=runtime, progress=progress)
    assert (context.home.path, context.engine, context.environ) == (tmp_path, engine, environ)
    assert (context.runtime, context.progress) == (runtime, progress)


def test_layers_are_read_and_squashed_by_the_engine_of_the_context(tmp_path: Path) -> None:
    world = World(tmp_path)
    context = make_context(home=world.home.path, engine=world.engine, progress=world.progress)
    bottle = world.start()
    with pytest.raises(NotFound, match="there is no image nothing"):
        context.layers.image("nothing")
    with pytest.raises(NotFound, match="there is no image nothing"):
        list(context.layers.read("nothing", frozenset(), world.progress))
    assert context.squasher is not None
    with pytest.raises(NotFound, match="there is no image nothing"):
        context.squasher.squash(bottle.identity, "nothing", base=(), tag="shallow:1")
