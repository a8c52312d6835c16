"""A workspace that begins with what the bottle had left there: only what differs travels, and all is as it is here."""

from __future__ import annotations

import os
import random
import shutil
import stat
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bottle.errors import VerificationFailed
from bottle.files import tree
from bottle.store.state import BottleState
from bottle.testing import RecordingProgress
from migrate.contents import basis
from migrate.contents.basis import Basis, contents
from migrate.contents.index import GRAIN, look
from migrate.contents.left import listing
from migrate.contents.live_folder import LiveFolder
from migrate.contents.packing import live_folder
from migrate.host.destination import Destination
from migrate.host.payload import Payload
from migrate.host.probe import probe
from migrate.image.spool import DirectorySpool
from migrate.model import Codec
from migrate.transport.testing import LocalRemote
from tests.support.uploading import make_uploader
from tests.unit.migrate.conftest import IDENTITY
from tests.unit.migrate.host.conftest import Rig
from tests.unit.migrate.host.test_way_back import leave

NONCE = "0" * 32


class Seeding:
    """A host where a workspace was left, and the workspace as it is here by now."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig, self.here = rig, folder / "here"
        self.progress = RecordingProgress()
        uploader = make_uploader(rig.remote, IDENTITY, self.progress)
        host = probe(rig.remote, IDENTITY, "")
        self.there = Destination(
            shell=rig.remote, host=host, identity=IDENTITY, uploader=uploader, progress=self.progress
        )
        self.spool = DirectorySpool(folder / "spool", Codec.NONE)
        leave(rig)
        for each in rig.goal.iterdir():
            if each.name == "fifo" or any(byte in each.name for byte in "\n\x01"):
                each.unlink()
        self.note()
        shutil.copytree(rig.goal, self.here, symlinks=True)
        (self.here / "hard").unlink()
        os.link(self.here / "file", self.here / "hard")
        for node in tree.walk(rig.goal):
            os.utime(self.here / node.path, ns=(0, node.facts.st_mtime_ns), follow_symlinks=False)
        os.utime(self.here, ns=(0, rig.goal.stat().st_mtime_ns))

    def note(self) -> None:
        """Note what was left as it is by now."""
        BottleState(IDENTITY, self.rig.state).note_workspace_left(listing(self.rig.goal, look(self.rig.goal)))

    def bring(self, owners: bool | None = None) -> LiveFolder:
        """All that a move does, up to when it is put into place."""
        owners = self.there.host.root if owners is None else owners
        compare = partial(self.there.seed, NONCE, str(self.rig.goal))
        folder = live_folder(self.here, self.spool, basis=Basis(self.here, owners, compare).differences)
        self.there.uploader.send([Payload.of(folder.tarball.blob)], "sending")
        if folder.first is None:
            self.there.unpack(folder.tarball, "workspace", NONCE)
        else:
            self.there.update(folder.first, "workspace", NONCE)
        return folder

    def require_same(self) -> None:
        """That what is staged there is what is here."""
        assert facts(self.rig.incoming / f"workspace-{NONCE}") == facts(self.here)


def facts(folder: Path) -> dict[str, tuple[object, ...]]:
    """All of a folder: kinds, rights, times, contents, and which names are of one file."""
    found: dict[str, tuple[object, ...]] = {".": (folder.stat().st_mode, folder.stat().st_mtime_ns)}
    inodes: dict[int, str] = {}
    for node in tree.walk(folder):
        content = node.open().read() if node.is_file else node.target() if node.is_symlink else ""
        first = inodes.setdefault(node.facts.st_ino, node.path) if node.is_file else ""
        found[node.path] = (node.facts.st_mode, node.facts.st_mtime_ns, content, first)
    return found


@pytest.fixture
def seeding(far: Path, remote: LocalRemote, programs: Path, tmp_path: Path) -> Seeding:
    return Seeding(Rig(far, remote, programs), tmp_path)


def test_what_is_the_same_does_not_travel(seeding: Seeding) -> None:
    time.sleep(2 * GRAIN / 10**9)
    folder = seeding.bring()
    assert folder.first is not None
    assert (folder.first.delta.changed, folder.first.delta.removed) == ((".", "file", "hard"), ())  # linked ones travel
    seeding.require_same()
    assert folder.update() is None


def _turn_into_a_folder(here: Path) -> None:
    (here / "two words").unlink()
    (here / "two words").mkdir()
    (here / "two words" / "inner").write_text("new")


def _turn_into_a_file(here: Path) -> None:
    (here / "mod").chmod(0o755)
    (here / "mod/inner").chmod(0o755)
    shutil.rmtree(here / "mod")
    (here / "mod").write_text("new")


def _turn_the_link(here: Path) -> None:
    times = (here / "link").lstat()
    (here / "link").unlink()
    (here / "link").symlink_to("/nowhera")
    os.utime(here / "link", ns=(0, times.st_mtime_ns), follow_symlinks=False)


def _write_at_the_same_time(here: Path) -> None:
    times = (here / "two words").stat()
    (here / "two words").write_text("new")
    os.utime(here / "two words", ns=(0, times.st_mtime_ns))


def _link_to_a_copy(here: Path) -> None:
    """The same content at the same time, by two files instead of one."""
    facts = (here / "hard").stat()
    (here / "hard").unlink()
    (here / "hard").write_text("old")
    os.utime(here / "hard", ns=(0, facts.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "written": lambda here: (here / "file").write_text("new"),
    "written, with its time": _write_at_the_same_time,
    "added": lambda here: (here / "new").write_text("new"),
    "added in a closed folder": lambda here: _in_closed(here, lambda: (here / "mod/inner/new").write_text("new")),
    "removed": lambda here: (here / "file").unlink(),
    "removed from a closed folder": lambda here: _in_closed(here, (here / "mod/inner/cached").unlink),
    "renamed": lambda here: (here / "file").rename(here / "other"),
    "touched": lambda here: os.utime(here / "tab\t"),
    "rights": lambda here: (here / "back\\slash").chmod(0o4755),
    "rights of a folder": lambda here: (here / "empty").chmod(0o1700),
    "rights of the top": lambda here: here.chmod(0o711),
    "a link turned, with its time": _turn_the_link,
    "a folder instead of a file": _turn_into_a_folder,
    "a file instead of a folder": _turn_into_a_file,
    "two files instead of one": _link_to_a_copy,
    "one more name": lambda here: os.link(here / "two words", here / "words"),
    "nothing": lambda _: None,
    "all gone": lambda here: [tree.remove(each) for each in here.iterdir()],
}


def _in_closed(here: Path, change: Callable[[], object]) -> None:
    (here / "mod/inner").chmod(0o755)
    change()
    (here / "mod/inner").chmod(0o555)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_differs_travels_and_no_more(seeding: Seeding, change: Callable[[Path], object]) -> None:
    (seeding.here / "untouched").write_bytes(b"x" * 100_000)
    shutil.copy2(seeding.here / "untouched", seeding.rig.goal / "untouched")
    os.utime(seeding.here, ns=(0, seeding.rig.goal.stat().st_mtime_ns))
    seeding.note()
    change(seeding.here)
    folder = seeding.bring()
    assert folder.first is not None
    assert "untouched" not in folder.tarball.members
    seeding.require_same()


def test_a_name_that_is_there_only_and_that_no_line_can_tell_is_no_other_path(seeding: Seeding) -> None:
    """`mod\\x02y` is no file `mod` where a folder is here, whose content would go."""
    (seeding.rig.goal / "mod\x02y").write_text("old")
    seeding.note()
    assert seeding.bring().first is None
    assert any("cannot be told" in note for note in seeding.progress.notes)
    seeding.require_same()


def test_a_goal_of_a_link_that_no_line_can_tell_is_not_guessed(seeding: Seeding) -> None:
    (seeding.rig.goal / "turned").symlink_to("a\x03b")
    (seeding.here / "turned").symlink_to("a/b")
    for folder in (seeding.rig.goal, seeding.here):
        os.utime(folder / "turned", ns=(0, 0), follow_symlinks=False)
    seeding.note()
    seeding.bring()
    seeding.require_same()


def test_names_of_one_file_are_those_that_they_are_here(seeding: Seeding) -> None:
    for folder, second in ((seeding.rig.goal, "b"), (seeding.here, "c")):
        third = "c" if second == "b" else "b"
        for name in ("a", third):
            (folder / name).write_text("same")
            os.utime(folder / name, ns=(0, 0))
        os.link(folder / "a", folder / second)
        os.link(folder / third, folder / "d")
    os.utime(seeding.here, ns=(0, seeding.rig.goal.stat().st_mtime_ns))
    seeding.note()
    assert seeding.bring().first is not None
    seeding.require_same()


def test_what_was_there_is_proved_too(seeding: Seeding, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Destination.seed

    def seed(there: Destination, nonce: str, workspace: str, wanted: bytes) -> bytes | None:
        reply = real(there, nonce, workspace, wanted)
        (seeding.rig.incoming / f"workspace-{NONCE}" / "two words").write_text("bad")
        return reply

    monkeypatch.setattr(Destination, "seed", seed)
    with pytest.raises(VerificationFailed, match="two words"):
        seeding.bring()


def test_half_a_copy_takes_no_room(seeding: Seeding) -> None:
    (seeding.rig.programs / "cp").write_text('#!/bin/sh\nmkdir "$3"; echo "No space left" >&2; exit 1\n')
    (seeding.rig.programs / "cp").chmod(0o755)
    assert seeding.there.seed(NONCE, str(seeding.rig.goal), b"") is None
    assert not (seeding.rig.incoming / f"workspace-{NONCE}").exists()
    assert seeding.bring().first is None
    seeding.require_same()


def test_of_many_paths_none_is_compared(seeding: Seeding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basis, "MOST", 3)
    assert seeding.bring().first is None
    seeding.require_same()


def test_what_is_of_another_kind_goes_first(seeding: Seeding) -> None:
    _turn_into_a_folder(seeding.here)
    _turn_into_a_file(seeding.here)
    first = seeding.bring().first
    assert first is not None
    assert first.delta.removed == ("mod", "two words")


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_done_here_is_there(seeding: Seeding, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(dice.randint(1, 8)):
        _do_something(dice, seeding.here)
    assert seeding.bring().first is not None
    seeding.require_same()


def _do_something(dice: random.Random, here: Path) -> None:
    nodes = [node.path for node in tree.walk(here)]
    folders = [".", *(path for path in nodes if (here / path).is_dir() and not (here / path).is_symlink())]
    files = [path for path in nodes if (here / path).is_file() and not (here / path).is_symlink()]
    path, place = here / dice.choice(nodes), here / dice.choice(folders)
    rights = stat.S_IMODE(place.stat().st_mode)
    place.chmod(0o755)
    fresh = place / f"fresh {dice.random()}"
    match dice.randrange(7):
        case 0:
            fresh.write_text(str(dice.random()))
        case 1:
            fresh.mkdir(dice.choice([0o755, 0o555]))
        case 2:
            fresh.symlink_to(dice.choice(["../up/there", "/abs", "plain"]))
        case 3 if files:
            os.link(here / dice.choice(files), fresh)
        case 4 if not place.is_relative_to(path):
            path.parent.chmod(0o755)
            path.rename(fresh)
        case 5:
            path.parent.chmod(0o755)
            tree.remove(path)
        case _ if not path.is_symlink():
            path.chmod(dice.choice([0o600, 0o644, 0o711]) if path.is_file() else 0o750)
    if place.exists():
        place.chmod(rights)


def test_what_somebody_does_meanwhile_travels_afterwards(seeding: Seeding, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Destination.seed

    def seed(there: Destination, nonce: str, workspace: str, wanted: bytes) -> bytes | None:
        reply = real(there, nonce, workspace, wanted)
        (seeding.here / "two words").write_text("meanwhile")
        (seeding.here / "empty").rmdir()
        return reply

    monkeypatch.setattr(Destination, "seed", seed)
    folder = seeding.bring()
    update = folder.update()
    assert update is not None
    seeding.there.uploader.send([Payload.of(update.tarball.blob)], "sending")
    seeding.there.update(update, "workspace", NONCE)
    seeding.require_same()


def test_where_it_cannot_begin_so_it_travels_whole(seeding: Seeding) -> None:
    (seeding.rig.goal / "theirs").write_text("x")
    assert seeding.there.seed(NONCE, str(seeding.rig.goal), b"") is None
    assert not (seeding.rig.incoming / f"workspace-{NONCE}").exists()
    assert seeding.bring().first is None
    assert any("somebody has worked in" in note for note in seeding.progress.notes)
    seeding.require_same()


def test_names_that_no_line_can_tell_travel_whole(seeding: Seeding) -> None:
    (seeding.here / "a\nline").write_text("x")
    assert contents(seeding.here, owners=False) is None
    assert seeding.bring().first is None
    seeding.require_same()


def test_what_was_left_and_can_be_told_in_no_line_is_not_begun_with(seeding: Seeding) -> None:
    (seeding.rig.goal / "a\nline").write_text("x")
    seeding.note()
    assert seeding.bring().first is None
    seeding.require_same()


def test_more_differences_than_are_told_travel_whole(seeding: Seeding) -> None:
    for number in range(14_000):
        (seeding.here / f"{number:0100d}").touch()
    assert seeding.bring().first is None
    assert any("too much differs" in note for note in seeding.progress.notes)
    seeding.require_same()
