"""The real commands, in a world with an engine in memory."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bottle.cli.main import main
from bottle.store.state import BottleState
from tests.support.trees import Snapshot, snapshot
from tests.support.world import BASE, World

MANIFEST = f"""
[agents.demo]
image = "{BASE}"
command = ["cat"]
transcript = ["/root/.demo"]
secrets = ["DEMO_TOKEN"]
volumes = ["cache:/cache"]
"""


@dataclass
class Cli:
    """A user at a shell, in a project with a manifest."""

    world: World

    def __call__(self, *words: str, **options: Any) -> Result:
        """Run a command. An error that is not the command's own, a traceback for a user, fails the test."""
        result = CliRunner().invoke(main, words, prog_name="bottle", **options)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *words: str, exit_code: int = 0) -> dict[str, Any]:
        """The one document that a command prints."""
        result = self(words[0], "--format", "json", *words[1:])
        assert result.exit_code == exit_code, result.output
        document: dict[str, Any] = json.loads(result.stdout)
        assert document["schema"] == 1
        return document

    def start(self) -> BottleState:
        """A bottle that runs."""
        return self.world.home.find(self.json("start", "-d", "demo")["identity"])

    def disk(self) -> Snapshot:
        """All there is, but for the logs of runs."""
        found = snapshot(self.world.folder)
        return {name: facts for name, facts in found.items() if name != "home" and not name.startswith("home/logs")}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    world = World(tmp_path / "world")
    (world.cwd / "bottle.toml").write_text(MANIFEST)
    monkeypatch.chdir(world.cwd)
    monkeypatch.setenv("BOTTLE_HOME", str(world.home.path))
    monkeypatch.setenv("DEMO_TOKEN", "hunter2")
    monkeypatch.setattr("bottle.composition.DockerEngine", lambda: world.engine)
    monkeypatch.setattr("bottle.composition.default_runtime", lambda: world.runtime)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    root, before = logging.getLogger(), list(logging.getLogger().handlers)
    yield Cli(world)
    for handler in [each for each in root.handlers if each not in before]:
        root.removeHandler(handler)
        stream = getattr(handler, "stream", None)
        if isinstance(getattr(stream, "name", None), int):  # the log of a run, which lives as long as its process
            stream.close()  # type: ignore[union-attr]
