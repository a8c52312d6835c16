"""A commit of a folder: whatever happens while it is read, its layers show what was there when it stood still."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable, Sequence, Set
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from bottle.errors import TreeUnfit
from bottle.layers import NewLayer
from bottle.trees import reader, snapshot as module, walk
from bottle.trees.snapshot import Index, Snapshot
from bottle.trees.source import DirectReader
from tests.support.layering import View, content, laid
from tests.unit.trees.test_delta import STEPS, whole, work

Steps = list[tuple[str, bytes, bytes]]
_FLAGS = {0o640: ("no dump",)}  # by the mode of a file, as not every filesystem has flags


@pytest.fixture(autouse=True)
def on_any_filesystem(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may lie in memory; nothing here writes through a mapping."""
    monkeypatch.setattr(walk, "filesystem", lambda _: "ext4")


def nothing(_: Sequence[bytes]) -> Set[bytes]:
    """An image that is empty."""
    return frozenset()


def committed(
    top: Path,
    scratch: Path,
    before: Index | None,
    view: View,
    meanwhile: Steps,
    *,
    at_once: bool = False,
    in_image: Callable[[Sequence[bytes]], Set[bytes]] = nothing,
) -> tuple[View, Index]:
    """What shows with one more commit, while `meanwhile` is done behind its first look.

    `at_once`: all that is little is read in one go. `in_image` as `Snapshot` has it.
    """
    layers: list[bytes] = []

    def take(layer: NewLayer, done: Callable[[], None] = lambda: None) -> None:
        layers.append(content(layer.path))
        done()

    with Snapshot(DirectReader(top), "c", before, scratch, in_image) as snapshot:
        if not (at_once and snapshot.read_at_once()):
            snapshot.read_ahead(snapshot.look_ahead(), take)
            work(os.fsencode(top), meanwhile)
            snapshot.read_still()
        layer = snapshot.last_layer()
        if layer is not None:
            take(layer)
        snapshot.keep_index(scratch / "index", ("sha256:x",))
    for each in layers:
        view = laid(view, each)
    return view, Index.open(scratch / "index")


@pytest.mark.parametrize("most", [1, 1 << 26])
@given(rounds=st.lists(st.tuples(STEPS, STEPS, st.sampled_from([None, 0, 4, 1000])), min_size=1, max_size=4))
def test_commits_on_top_of_each_other_show_what_is_there(
    tmp_path_factory: pytest.TempPathFactory, most: int, rounds: list[tuple[Steps, Steps, int | None]]
) -> None:
    top, scratch = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("scratch")
    view: View = {}
    before: Index | None = None
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_CUT", most)
        patched.setattr(module, "_CUTS", (0,) * 100)
        for steps, meanwhile, little in rounds:
            work(os.fsencode(top), steps)
            patched.setattr(module, "_LITTLE", (1 << 20, little))
            at_once = little is not None and before is not None
            view, before = committed(top, scratch, before, view, meanwhile, at_once=at_once)
            assert view == whole(top)
    shutil.rmtree(top)


def test_nothing_changed_is_no_layer(tmp_path: Path) -> None:
    top, scratch = tmp_path / "top", tmp_path / "scratch"
    top.mkdir()
    scratch.mkdir()
    (top / "a").write_text("x")
    time.sleep(3 * walk.GRAIN / 1e9)
    _, index = committed(top, scratch, None, {}, [])
    with Snapshot(DirectReader(top), "c", index, scratch, nothing) as snapshot:
        changes = snapshot.look_ahead()
        assert changes.is_empty
        snapshot.read_ahead(changes, pytest.fail)
        snapshot.read_still()
        assert snapshot.last_layer() is None
        assert snapshot.written() == 1


def test_what_is_little_is_read_at_once_and_all_else_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top, scratch = tmp_path / "top", tmp_path / "scratch"
    top.mkdir()
    scratch.mkdir()
    _, index = committed(top, scratch, None, {}, [])
    (top / "a").write_bytes(bytes(5000))
    for most, names, is_little in ((1 << 20, 100, True), (5000, 100, False), (1 << 20, 1, False)):
        monkeypatch.setattr(module, "_LITTLE", (most, names))
        with Snapshot(DirectReader(top), "c", index, scratch, nothing) as snapshot:
            assert snapshot.read_at_once() is is_little
            assert [leaf.name for each in snapshot.look_ahead().deltas() for leaf in each.leaves] == [b"a"]


def test_when_the_clock_went_back_all_is_read_again(tmp_path: Path) -> None:
    top, scratch = tmp_path / "top", tmp_path / "scratch"
    top.mkdir()
    scratch.mkdir()
    (top / "a").write_text("x")
    _, index = committed(top, scratch, None, {}, [])
    future = Index(index.path, module.replace(index.header, synced_at=1 << 62))
    with Snapshot(DirectReader(top), "c", future, scratch, nothing) as snapshot:
        assert [leaf.name for each in snapshot.look_ahead().deltas() for leaf in each.leaves] == [b"a"]


def test_what_changes_while_it_is_read_unpaused_is_told(tmp_path: Path) -> None:
    top, scratch = tmp_path / "top", tmp_path / "scratch"
    top.mkdir()
    scratch.mkdir()
    (top / "a").write_text("x")
    os.utime(top / "a", ns=(1, 1))
    with Snapshot(DirectReader(top), "c", None, scratch, nothing) as snapshot:
        snapshot.read_ahead(snapshot.look_ahead(), pytest.fail)
        snapshot.read_still()
        (top / "b").write_text("y")
        assert "/b" in snapshot.changed_meanwhile()


@pytest.mark.parametrize("most", [1, 1 << 26])
def test_what_was_away_while_it_was_read_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """A folder that was moved away and back has no other ctimes within it."""
    top, scratch = tmp_path / "top", tmp_path / "scratch"
    work(os.fsencode(top.parent), [("mkdir", b"top", b""), ("mkdir", b"scratch", b"")])
    for name in ("a", "b", "c"):
        (top / name).mkdir()
        (top / name / "f").write_text(name)
        (top / name / "l").symlink_to(name)
    monkeypatch.setattr(module, "_CUT", most)
    monkeypatch.setattr(module, "_CUTS", (0,) * 100)
    layers: list[bytes] = []

    def take(layer: NewLayer, done: Callable[[], None]) -> None:
        layers.append(content(layer.path))
        done()

    with Snapshot(DirectReader(top), "c", None, scratch, nothing) as snapshot:
        changes = snapshot.look_ahead()
        (top / "b").rename(top / "away")
        (top / "c").rename(top / "b")
        snapshot.read_ahead(changes, take)
        (top / "b").rename(top / "c")
        (top / "away").rename(top / "b")
        snapshot.read_still()
        try:
            layer = snapshot.last_layer()
        except TreeUnfit:
            return  # it is committed another way
        assert layer is not None
        layers.append(content(layer.path))
    view: View = {}
    for each in layers:
        view = laid(view, each)
    assert view == whole(top)


def test_sockets_are_told(tmp_path: Path) -> None:
    top, scratch = tmp_path / "top", tmp_path / "scratch"
    (top / "d").mkdir(parents=True)
    scratch.mkdir()
    os.mknod(top / "d/s", 0o140644)
    with Snapshot(DirectReader(top), "c", None, scratch, nothing) as snapshot:
        snapshot.read_ahead(snapshot.look_ahead(), pytest.fail)
        snapshot.read_still()
        assert snapshot.sockets() == ("/d/s",)


@pytest.mark.parametrize("most", [1, 1 << 26], ids=["in pieces", "whole"])
def test_sockets_hide_what_the_image_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Also those that came when nearly all was in a layer already; what is asked once is not asked again."""
    monkeypatch.setattr(module, "_CUT", most)
    monkeypatch.setattr(module, "_CUTS", (0,) * 100)
    image, top, scratch = (tmp_path / name for name in ("image", "top", "scratch"))
    for name in ("d/late", "d/s", "e/below", "t", "deep/er/s"):
        (image / name).parent.mkdir(parents=True, exist_ok=True)
        (image / name).write_text(name)
    scratch.mkdir()
    work(os.fsencode(top), [("mkdir", name, b"") for name in (b"d", b"deep/er", b"z")])
    made: Steps = [("socket", name, b"") for name in (b"d/s", b"d/new", b"deep/er/s", b"e", b"t", b"z/last")]
    work(os.fsencode(top), [*made, ("write", b"z/file", b"")])
    asked: list[bytes] = []

    def in_image(paths: Sequence[bytes]) -> Set[bytes]:
        asked.extend(paths)
        return {path for path in paths if (image / os.fsdecode(path)).exists()}

    meanwhile: Steps = [("socket", b"d/late", b"")]
    view, index = committed(top, scratch, None, whole(image), meanwhile, in_image=in_image)
    assert set(view) == {"d", "deep", "deep/er", "z", "z/file"}
    assert sorted(asked) == [b"d/late", b"d/new", b"d/s", b"deep/er/s", b"e", b"t", b"z/last"]
    again, _ = committed(top, scratch, index, view, [("write", b"z/more", b"")], in_image=pytest.fail)
    assert set(again) == {*view, "z/more"}


@pytest.mark.parametrize("at_once", [False, True])
def test_a_socket_that_hides_nothing_is_no_layer(tmp_path: Path, *, at_once: bool) -> None:
    top, scratch = tmp_path / "top", tmp_path / "scratch"
    top.mkdir()
    scratch.mkdir()
    _, index = committed(top, scratch, None, {}, [])
    os.mknod(top / "s", 0o140644)
    with Snapshot(DirectReader(top), "c", index, scratch, nothing) as snapshot:
        if not (at_once and snapshot.read_at_once()):
            snapshot.read_ahead(snapshot.look_ahead(), pytest.fail)
            snapshot.read_still()
        assert snapshot.last_layer() is None


def test_holes_are_told(tmp_path: Path) -> None:
    top, scratch = tmp_path / "top", tmp_path / "scratch"
    top.mkdir()
    scratch.mkdir()
    with (top / "sparse").open("wb") as file:
        file.truncate(8 << 20)
    with Snapshot(DirectReader(top), "c", None, scratch, nothing) as snapshot:
        snapshot.read_ahead(snapshot.look_ahead(), pytest.fail)
        snapshot.read_still()
        assert snapshot.sparse() == ("/sparse",)
        assert snapshot.flagged() == {}


def test_what_is_lost_is_told_only_of_what_the_commit_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top, scratch = tmp_path / "top", tmp_path / "scratch"
    (top / "old").mkdir(parents=True)
    scratch.mkdir()
    for name in ("deleted", "filled", "replaced", "stays", "old/moved"):
        with (top / name).open("wb") as file:
            file.truncate(8 << 20)
    (top / "stays").chmod(0o640)
    monkeypatch.setattr(
        reader, "flags_of", lambda descriptor: _FLAGS.get(stat.S_IMODE(os.fstat(descriptor).st_mode), ())
    )
    with Snapshot(DirectReader(top), "c", None, scratch, nothing) as snapshot:
        snapshot.read_ahead(snapshot.look_ahead(), pytest.fail)
        (top / "deleted").unlink()
        (top / "filled").write_bytes(b"x")
        (top / "replaced").unlink()
        (top / "replaced").symlink_to("nowhere")
        (top / "old").rename(top / "new")
        (top / "late").touch(0o640)
        snapshot.read_still()
        assert sorted(snapshot.sparse()) == ["/new/moved", "/stays"]
        assert snapshot.flagged() == {"/stays": ("no dump",), "/late": ("no dump",)}
        snapshot.last_layer()


def test_a_filesystem_whose_times_do_not_tell_everything_is_none_for_this(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "filesystem", lambda _: None)
    with pytest.raises(TreeUnfit, match="change times"):
        Snapshot(DirectReader(tmp_path), "c", None, tmp_path, nothing)
