"""What is given its name is on disk before it has it: a power cut leaves the old or the new, never an empty new one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bottle.files.atomic import replace_tree, write_atomic
from bottle.model import Agent, Metadata
from bottle.naming import Identity
from bottle.store.home import StateHome
from migrate.bundle.export import export
from migrate.bundle.imports import ImportRequest, import_bundle
from tests.support.durability import ledger
from tests.support.world import AGENT, World


def filled(folder: Path) -> Path:
    (folder / "deep" / "er").mkdir(parents=True)
    for path in (folder / "file", folder / "deep" / "file", folder / "deep" / "er" / "file"):
        path.write_text("work")
    (folder / "link").symlink_to("file")
    return folder


def test_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = ledger(tmp_path, monkeypatch)
    write_atomic(tmp_path / "file", b"data")
    book.require_durable(tmp_path / "file")


def test_a_tree_that_replaces_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, new = filled(tmp_path / "target"), filled(tmp_path / "new")
    book = ledger(tmp_path, monkeypatch)
    replace_tree(new, target)
    book.require_durable(target)


def test_a_draft_that_becomes_a_bottle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, identity = StateHome(tmp_path), Identity.fresh("demo")
    metadata = Metadata(
        identity=identity, agent=Agent(name="demo", image="x"), started_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    home.states.mkdir(parents=True)
    draft = home.draft(identity)
    filled(draft.path)
    draft.write_metadata(metadata)
    book = ledger(tmp_path, monkeypatch)
    home.adopt(draft)
    book.require_durable(home.bottle(identity).path)


def exported(world: World) -> Path:
    """The bundle of a bottle that has a workspace."""
    (world.cwd / "deep").mkdir()
    (world.cwd / "deep" / "file").write_text("work")
    bottle = world.start(replace(AGENT, network="none"))
    world.work(bottle, "/root/.demo/journal", b"step 1\n")
    file = world.folder / "demo.bottle"
    export(world.context, bottle, file)
    return file


def test_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = ledger(tmp_path, monkeypatch)
    book.require_durable(exported(World(tmp_path / "world")))


def test_a_bottle_that_is_imported_and_its_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, elsewhere = exported(World(tmp_path / "world")), World(tmp_path / "elsewhere")
    book = ledger(tmp_path, monkeypatch)
    imported = import_bundle(elsewhere.context, ImportRequest(file=file))
    book.require_durable(elsewhere.home.bottle(imported.identity).path)
    assert imported.workspace is not None
    book.require_durable(imported.workspace)
