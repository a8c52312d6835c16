"""Who reads what a container has written: this process, a helper, or nobody, and then why."""

from __future__ import annotations

import errno
import os
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from bottle.errors import EngineError, PreflightRefused
from bottle.helper.container import Helper
from bottle.layers import NewLayer
from bottle.model import ImageFacts, Store
from bottle.operations import Context, bydelta
from bottle.operations.bydelta import settle_disk, written_by
from bottle.operations.commit import commit
from bottle.store.state import BottleState
from bottle.trees import snapshot, spool
from bottle.trees.source import DirectReader
from tests.support.helping import PACKAGES
from tests.support.world import AGENT, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


@pytest.fixture
def bottle(world: World, tmp_path: Path) -> BottleState:
    """One whose container writes into a folder of this machine."""
    bottle = world.start()
    (tmp_path / "layer").mkdir()
    world.engine.layers_on_disk[bottle.identity.container] = tmp_path / "layer"
    return bottle


@pytest.fixture
def context(world: World) -> Iterator[Context]:
    """Where layers can be made, and a helper be had."""
    with closing(Helper(world.engine, "tests.support.helping", PACKAGES)) as helper:
        yield replace(world.context, appender=cast("Any", object()), helper=helper)


def test_who_may_look_into_it_reads_it(context: Context, bottle: BottleState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bydelta, "can_read", lambda _: True)
    reader, why_not = written_by(context, bottle)
    assert isinstance(reader, DirectReader)
    assert (reader.way, why_not) == ("", "")


def test_who_may_not_has_a_helper_read_it(
    context: Context, bottle: BottleState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bydelta, "can_read", lambda _: False)
    reader, why_not = written_by(context, bottle)
    assert reader is not None
    assert (reader.place, reader.way, why_not) == (tmp_path / "layer", ", read through a helper container", "")
    assert reader.inode() == (tmp_path / "layer").stat().st_ino


def test_and_without_one_the_reason_is_told(
    context: Context, world: World, bottle: BottleState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bydelta, "can_read", lambda _: False)
    world.engine.fail_next("run_helper", EngineError("Docker could not run it: SELinux says no"))
    assert written_by(context, bottle) == (None, "Docker could not run it: SELinux says no")
    without = replace(context, helper=None)
    assert written_by(without, bottle) == (None, "the engine's folders cannot be read from here")
    info = replace(world.engine.info(), rootless=True)
    monkeypatch.setattr(world.engine, "info", lambda: info)
    assert written_by(context, bottle) == (None, "users in the engine's containers are others outside")


def test_where_it_wrote_is_remembered_of_one_that_does_not_run(
    context: Context, world: World, bottle: BottleState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bydelta, "can_read", lambda _: False)
    world.engine.store = Store.CONTAINERD
    container = context.container(bottle.identity)
    assert container is not None
    bydelta.remember_place(context, bottle, container)
    del world.engine.layers_on_disk[bottle.identity.container]
    reader, _ = written_by(context, bottle)
    assert reader is not None
    assert reader.place == tmp_path / "layer"
    (tmp_path / "layer").rename(tmp_path / "old")
    (tmp_path / "layer").mkdir()  # another folder
    assert written_by(context, bottle) == (None, "the engine does not say where the container's files are")


@pytest.mark.parametrize(
    ("seconds", "loaded_after", "expected"),
    [
        ([0.1], 9, 1),  # a quick disk: the engine goes on during the pause
        ([4, 2, 0.1], 9, 3),
        ([4, 4, 4, 4], 2, 3),  # a slow one: what was unpacked last is written down too
        ([4], 0, 1),
    ],
)
def test_the_disk_has_little_left_when_the_agent_is_paused(
    seconds: list[float], loaded_after: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, settled = 0.0, 0
    monkeypatch.setattr(bydelta.time, "monotonic", lambda: now)

    def settle() -> None:
        nonlocal now, settled
        now += seconds[settled]
        settled += 1

    settle_disk(settle, lambda: settled >= loaded_after)
    assert settled == expected


@pytest.mark.parametrize(
    ("module", "name"),
    [(snapshot, "unnamed"), (spool, "unnamed"), (snapshot, "sync_folder")],
    ids=["index", "files", "index that is kept"],
)
def test_on_a_full_disk_nothing_is_committed(
    context: Context,
    bottle: BottleState,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, name, full)
    _refused(context, bottle, tmp_path, monkeypatch)


def test_nor_where_there_is_no_room_from_the_start(
    context: Context, bottle: BottleState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bydelta, "free_room", lambda path: 0 if path == str(bottle.path) else None)
    _refused(context, bottle, tmp_path, monkeypatch)


def test_the_image_that_the_container_was_made_from_is_asked_what_sockets_hide(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it has nothing, there is no whiteout."""
    layer = tmp_path / "layer"
    (layer / "srv").mkdir(parents=True)
    world.engine.add_image("work:1", {"/srv/first": b"1", "/srv/\udcff": b"2", "/srv/folder/third": b"3"})
    bottle = world.start(replace(AGENT, image="work:1"))
    world.engine.layers_on_disk[bottle.identity.container] = layer
    monkeypatch.setattr(bydelta, "can_read", lambda _: True)
    monkeypatch.setattr(DirectReader, "filesystem", lambda _: "ext4")
    for name in ("first", "\udcff", "folder", "new"):
        os.mknod(layer / "srv" / name, 0o140600)
    given: list[str] = []

    def append(_: str, __: tuple[str, ...], layers: Sequence[NewLayer], *___: object, **____: object) -> ImageFacts:
        for each in layers:
            with tarfile.open(each.path, errors="surrogateescape") as tar:
                given.extend(tar.getnames())
        raise EngineError("the engine commits")

    context = replace(world.context, appender=cast("Any", SimpleNamespace(append=append)))
    before = {container.name for container in world.engine.containers({})}
    commit(context, bottle)
    assert given == ["srv", "srv/.wh.first", "srv/.wh.folder", "srv/.wh.\udcff"]
    assert {container.name for container in world.engine.containers({})} == before


def _refused(context: Context, bottle: BottleState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bydelta, "can_read", lambda _: True)
    monkeypatch.setattr(DirectReader, "filesystem", lambda _: "ext4")
    (tmp_path / "layer" / "work").write_text("work")
    with pytest.raises(PreflightRefused, match=os.strerror(errno.ENOSPC)) as caught:
        commit(context, bottle)
    assert "nothing was committed" in caught.value.left
    assert (bottle.commits(), bottle.intent.read()) == ((), None)
