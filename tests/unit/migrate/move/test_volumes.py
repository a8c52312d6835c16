"""Volumes that travel in rounds; the other host takes everything, and says what it was told."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bottle.errors import BottleError, ConnectionLost, RemoteError, VerificationFailed
from bottle.model import Mount, MountKind, Status
from migrate.contents.archive import Tarball
from migrate.contents.live_folder import FolderUpdate
from migrate.host.destination import Destination
from migrate.model import RemoteCommand, Reply
from migrate.move import live
from migrate.move.model import Moved
from tests.support.moving import MoveRig
from tests.support.world import AGENT

CACHE = Mount(kind=MountKind.VOLUME, source="cache", target="/cache")


@dataclass
class Volumes:
    """A bottle with a volume, and what was done with that there."""

    rig: MoveRig
    monkeypatch: pytest.MonkeyPatch
    folder: Path
    told: list[tuple[object, ...]] = field(default_factory=list)
    fails: dict[tuple[str, int], BottleError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rig.program("bottle", "#!/bin/sh\n[ $1 = --version ] && echo bottle 1.0 || echo it runs\n")
        self.rig.bottle = self.rig.world.start(replace(AGENT, volumes=(CACHE,)))
        (name,) = (each for each in self.rig.world.engine.volumes({}) if each.endswith("-cache"))
        self.folder.mkdir()
        (self.folder / "early").write_text("1")
        self.rig.world.work(self.rig.bottle, "/cache/early", b"1")  # as the engine gives it out
        self.rig.world.engine.volumes_on_disk[name] = self.folder
        self.monkeypatch.setattr(Destination, "fill", self._fill)
        self.monkeypatch.setattr(Destination, "renew", self._renew)
        self.monkeypatch.setattr(live, "is_last", lambda rounds, most: len(rounds) == most)

    def _fill(self, volume: Mount, tarball: Tarball, tag: str) -> None:
        self._tell("fill")

    def _renew(self, volume: Mount, update: FolderUpdate, tag: str) -> None:
        self._tell("renew", update.delta.changed, update.delta.removed, update.counts)

    def _tell(self, what: str, *how: object) -> None:
        self.told.append((what, *how))
        if error := self.fails.get((what, sum(each[0] == what for each in self.told))):
            raise error

    def after_each_load(self, act: Callable[[int], None]) -> None:
        run, times = self.rig.remote.run, 0

        def meddled(command: RemoteCommand, *args: object, **kwargs: object) -> Reply:
            nonlocal times
            reply = run(command, *args, **kwargs)  # type: ignore[arg-type]
            if command.name == "load":
                times += 1
                act(times)
            return reply

        self.monkeypatch.setattr(self.rig.remote, "run", meddled)

    def move(self) -> Moved:
        return self.rig.move(live=True, rounds=2)

    @property
    def notes(self) -> list[str]:
        return [note for note in self.rig.world.progress.notes if "is brought whole" in note]


@pytest.fixture
def volumes(rig: MoveRig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Volumes:
    return Volumes(rig, monkeypatch, tmp_path / "cache")


def test_what_changes_in_it_follows(volumes: Volumes) -> None:
    def work(times: int) -> None:
        if volumes.rig.world.status(volumes.rig.bottle) is Status.RUNNING:
            (volumes.folder / f"later-{times}").write_text("2")
            (volumes.folder / "early").unlink(missing_ok=True)

    volumes.after_each_load(work)
    volumes.move()
    assert [each[0] for each in volumes.told] == ["fill", "renew", "renew"]
    assert volumes.told[1] == ("renew", (".", "later-1"), ("early",), (1, 0, 1))
    _, changed, removed, counts = volumes.told[2]
    assert {".", "later-2"} <= set(changed)  # type: ignore[call-overload]
    assert (removed, counts) == ((), (2, 0, 1))
    assert volumes.notes == []


def test_one_that_cannot_be_looked_into_is_brought_when_the_agent_stands_still(volumes: Volumes) -> None:
    volumes.rig.world.engine.volumes_on_disk.clear()
    seen: list[Status | None] = []
    volumes.monkeypatch.setattr(
        Destination, "fill", lambda *_: seen.append(volumes.rig.world.status(volumes.rig.bottle))
    )
    volumes.move()
    assert seen == [Status.EXITED]


def make_fifo(folder: Path) -> None:
    os.mkfifo(folder / "fifo")


def give_attribute(folder: Path) -> None:
    (folder / "late").write_text("x")
    os.setxattr(folder / "late", "user.note", b"1")


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("act", [make_fifo, give_attribute])
def test_what_a_tar_of_ours_would_lose_is_brought_whole(
    volumes: Volumes, act: Callable[[Path], None], early: bool
) -> None:
    if early:
        act(volumes.folder)
        volumes.rig.world.work(volumes.rig.bottle, "/cache/late", b"x")
    volumes.after_each_load(lambda times: act(volumes.folder) if times == 1 and not early else None)
    volumes.move()
    assert volumes.told[-1] == ("fill",)
    assert len(volumes.notes) == (0 if early and act is give_attribute else 1)  # the engine's tar is no worse elsewhere


@pytest.mark.parametrize(
    ("when", "error"),
    [
        (("fill", 1), VerificationFailed("not as sent")),
        (("renew", 1), VerificationFailed("not as sent")),
        (("renew", 2), VerificationFailed("not as sent")),
        (("renew", 1), RemoteError("no shell")),
        (("renew", 2), RemoteError("no shell")),
    ],
)
def test_one_that_cannot_be_followed_there_is_brought_whole(
    volumes: Volumes, when: tuple[str, int], error: BottleError
) -> None:
    volumes.after_each_load(lambda times: (volumes.folder / f"later-{times}").touch())
    volumes.fails = {when: error}
    volumes.move()
    assert volumes.told[-1] == ("fill",)
    assert len(volumes.notes) == 1
    assert error.what in volumes.notes[0]


@pytest.mark.parametrize(
    ("when", "error"),
    [
        (("fill", 1), ConnectionLost("gone")),
        (("renew", 1), ConnectionLost("gone")),
        (("fill", 1), RemoteError("it is in use there")),
    ],
)
def test_what_is_in_its_way_is_told_while_the_agent_works(
    volumes: Volumes, when: tuple[str, int], error: BottleError
) -> None:
    volumes.after_each_load(lambda times: (volumes.folder / f"later-{times}").touch())
    volumes.fails = {when: error}
    with pytest.raises(type(error)):
        volumes.move()
    assert volumes.rig.world.status(volumes.rig.bottle) is Status.RUNNING
    volumes.move()
    assert [each[0] for each in volumes.told].count("fill") == 2
