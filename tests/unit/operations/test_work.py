"""What a container has written, where it is read from, and who is asked where that fails in the middle."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bottle.errors import TreeUnfit
from bottle.operations.work import Work, work_of
from bottle.trees.source import DirectReader
from tests.support.world import World


class Failing(DirectReader):
    """A folder of which no content can be read."""

    def members(self, *_: object) -> Iterator[object]:  # type: ignore[override]
        raise TreeUnfit("it went away")


def work_in(world: World, monkeypatch: pytest.MonkeyPatch, reader: type[DirectReader] | None, folder: Path) -> Work:
    bottle = world.start()
    world.work(bottle, "/file", b"one")
    container = world.engine.container(bottle.identity.container)
    assert container is not None
    found = reader(folder) if reader is not None else None
    monkeypatch.setattr("bottle.operations.work.written_by", lambda *_: (found, ""))
    return work_of(world.context, bottle, container, None)


@pytest.mark.parametrize("reader", [DirectReader, Failing, None])
def test_it_is_read_or_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reader: type[DirectReader] | None
) -> None:
    folder = tmp_path / "upper"
    folder.mkdir()
    (folder / "file").write_bytes(b"one")
    work = work_in(world, monkeypatch, reader, folder)
    assert work.layer.things["file"].size == 3
    assert work.layer.things["file"].digest is None
    assert work.digests(["file"]) == {"file": hashlib.sha256(b"one").digest()}


def test_what_the_engine_shows_nothing_at_is_gone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive of a socket is an empty one."""
    read = world.engine.read_archive

    def archive(ref: str, path: str) -> Iterator[bytes]:
        return iter([bytes(1024)]) if path == "/file" else read(ref, path)

    monkeypatch.setattr(world.engine, "read_archive", archive)
    work = work_in(world, monkeypatch, None, world.folder)
    assert ("file" in work.layer.things, work.layer.gone) == (False, {"file"})
