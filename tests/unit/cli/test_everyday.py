"""The commands for every day: the form of their JSON, their exit codes, and what they say to people.

The forms are held by golden files; UPDATE_GOLDEN=1 writes them anew, to be looked at before they are committed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bottle.cli import bottles, doctor, fork, listing, look, prune
from bottle.cli.main import main
from bottle.model import Mount, MountKind, Tombstone
from bottle.naming import Identity
from bottle.operations import Context, commit, stop
from bottle.store.state import BottleState
from tests.support.world import AGENT, World

GOLDEN = Path(__file__).parent / "golden"
EVERYDAY = ("init", "inspect", "history", "fork", "prune", "doctor", "list")
Run = Callable[..., Result]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command in this world, in its project's folder."""

    def context() -> Context:
        return world.context

    for module in (bottles, doctor, fork, listing, look, prune):
        monkeypatch.setattr(module, "make_context", context)
    monkeypatch.setenv("BOTTLE_HOME", str(world.home.path))
    monkeypatch.chdir(world.cwd)

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(main, words)

    return invoke


def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Identities that are the same each time."""
    numbers = iter(range(1, 100))
    monkeypatch.setattr(Identity, "fresh", classmethod(lambda cls, agent: cls(agent, f"{next(numbers):05}")))


@pytest.fixture
def bottle(world: World, monkeypatch: pytest.MonkeyPatch) -> BottleState:
    """A bottle with two commits that has stopped."""
    names(monkeypatch)
    cache = Mount(kind=MountKind.VOLUME, source="cache", target="/root/.cache")
    made = world.start(replace(AGENT, volumes=(cache,)))
    world.work(made, "/root/.demo/log", b"first")
    commit(world.context, made, message="one")
    world.work(made, "/work", b"x" * 5000)
    commit(world.context, made, message="two")
    stop(world.context, made)
    return made


def matches(name: str, result: Result, world: World) -> None:
    """Hold an answer against its golden file, but for what differs from run to run."""
    assert result.exit_code == 0, result.output
    text = result.stdout.replace(str(world.folder), "WORLD")
    text = re.sub(r"\b[0-9a-f]{64}\b", "HEX", text)
    text = re.sub(r'"(bytes|free)": \d{4,}', r'"\1": 4242', text)
    document: Any = json.loads(text)
    assert document["schema"] == 1
    path = GOLDEN / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n")
    assert document == json.loads(path.read_text())


def test_list(run: Run, bottle: BottleState, world: World) -> None:
    matches("list", run("list", "-a", "--format", "json"), world)
    shown = run("ls").stdout.splitlines()
    assert shown[0].split() == ["IDENTITY", "STATE", "STARTED", "COMMIT", "COMMITTED", "SIZE", "SHARED", "NOTE"]
    assert "exited with 143" in shown[1]


def test_a_moved_bottle_in_the_list(run: Run, bottle: BottleState, world: World) -> None:
    bottle.tombstone.write(Tombstone(host="me@there", moved_at=datetime(2026, 1, 2, tzinfo=UTC)))
    assert "moved to me@there" in run("list").stdout
    (shown,) = json.loads(run("list", "--format", "json").stdout)["bottles"]
    assert (shown["state"], shown["status"], shown["moved_to"]) == ("moved", "moved to me@there", "me@there")
    moved = run("inspect", "demo").stdout
    assert "moved to:    me@there" in moved
    assert f"there:       bottle resume {bottle.identity}" in moved


def test_inspect(run: Run, bottle: BottleState, world: World) -> None:
    matches("inspect", run("inspect", str(bottle.identity), "--format", "json"), world)
    text = run("inspect", "demo").stdout
    assert f"committed:   {bottle.committed_image()}, present" in text
    assert "transcript:  1 file, 5 B" in text
    world.lose_images(bottle)
    assert "WHICH IS GONE" in run("inspect", "demo").stdout
    assert run("inspect", "nobody").exit_code == 3


def test_history(run: Run, bottle: BottleState, world: World) -> None:
    matches("history", run("history", str(bottle.identity), "--format", "json"), world)
    header, first, second = run("history", "demo").stdout.splitlines()
    assert header.split() == ["CURRENT", "COMMIT", "MADE", "IMAGE", "SIZE", "OWN", "FROM", "MESSAGE", "FORKS"]
    assert first.split()[0] == "1"
    assert second.split()[:2] == ["*", "2"]


def test_history_of_none(run: Run, world: World) -> None:
    bottle = world.start()
    assert run("history", "demo").stdout == f"{bottle.identity} was never committed:  bottle commit {bottle.identity}\n"


def test_fork(run: Run, bottle: BottleState, world: World) -> None:
    result = run("fork", f"{bottle.identity}@1", "--share-cwd", "--format", "json")
    matches("fork", result, world)
    assert f"SHARE {world.cwd}" in result.stderr
    new = json.loads(result.stdout)["identity"]
    assert f"{bottle.identity}@1" in run("history", new).stdout
    assert f"{new} descends from commit 1 of {bottle.identity}" in run("inspect", new).stdout


def test_what_fork_refuses(run: Run, bottle: BottleState) -> None:
    assert run("fork", str(bottle.identity)).exit_code == 2
    assert "--share-cwd" in run("fork", str(bottle.identity)).stderr
    for origin in (f"{bottle.identity}@", f"{bottle.identity}@x", f"{bottle.identity}@²"):
        assert run("fork", origin, "--share-cwd").exit_code == 2
    assert run("fork", f"{bottle.identity}@9", "--share-cwd").exit_code == 3
    assert run("fork", "nobody").exit_code == 3


def test_prune_shows_the_plan_and_then_follows_it(run: Run, bottle: BottleState, world: World) -> None:
    world.engine.clock.now = datetime(2030, 1, 1, tzinfo=UTC)
    staging = world.home.path / "outgoing" / str(bottle.identity)
    staging.mkdir(parents=True)
    (staging / "blob").write_bytes(b"x" * 10)
    bottle.tombstone.write(Tombstone(host="me@there", moved_at=datetime(2026, 1, 2, tzinfo=UTC)))
    matches("prune-dry-run", run("prune", "--dry-run", "--format", "json"), world)
    shown = run("prune", "--dry-run").stdout
    assert "would take away, 10 B" not in shown  # the bottle is in the sum too
    assert staging.exists()
    matches("prune", run("prune", "--format", "json"), world)
    assert not staging.exists()
    assert "it needs consent (--yes)" in run("prune").stdout
    assert "took away bottle" in run("prune", "--yes").stdout
    assert world.home.identities() == ()
    assert run("prune", "--dry-run").stdout == "there is nothing to take away\n"


def test_doctor(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.statvfs", lambda path: SimpleNamespace(f_bavail=10**7, f_frsize=4096))
    monkeypatch.setattr("bottle.trees.walk.shows_marks", lambda: False)
    assert run("init").exit_code == 0
    matches("doctor", run("doctor", "--format", "json"), world)
    world.engine.down = True
    result = run("doctor")
    assert result.exit_code == 5
    assert "BAD     docker" in result.stdout
    assert "next, for docker: install and start Docker" in result.stdout
    assert run("doctor", "-o").exit_code == 2
    assert run("doctor", "--", "-oProxyCommand=x").exit_code == 2


def test_init(run: Run, world: World) -> None:
    matches("init", run("init", "--format", "json"), world)
    assert run("init").exit_code == 4


@pytest.mark.parametrize("name", EVERYDAY)
def test_help_has_an_example_and_the_exit_codes(name: str) -> None:
    text = CliRunner().invoke(main, [name, "--help"]).stdout
    assert "Example:" in text
    assert "Exit codes that matter" in text
    assert "--format [text|json]" in text
