"""Deltas: laid over what was there before, they show what is there now, whatever was done in between."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from bottle.errors import PreflightRefused, TreeUnfit
from bottle.trees import walk
from bottle.trees.delta import FolderDelta, layer_delta
from bottle.trees.index import OPAQUE, Entry, Folder, pack
from bottle.trees.reader import Lost, Member, members as read
from bottle.trees.spool import pieces
from bottle.trees.survey import Comparison, surveyed, without_links
from tests.support.layering import View, content, laid, tar_of

NAMES = (b"a", b"b", b"c", b"d!", b"n\nl", b"\xff\xfe")
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(b"/".join)
KINDS = ("write", "append", "mkdir", "rm", "rename", "link", "symlink", "chmod", "touch", "fifo", "socket")
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), PATHS, PATHS), max_size=14)
WHITEOUT = 0o020000  # a character device of number 0


def work(top: bytes, steps: list[tuple[str, bytes, bytes]]) -> None:
    """Do what can be done of it; what cannot, is not."""
    for number, (what, one, other) in enumerate(steps):
        here, there = os.path.join(top, one), os.path.join(top, other)  # noqa: PTH118
        with suppress(OSError, shutil.Error):
            _DO[what](here, there, number)


def _write(here: bytes, _: bytes, number: int) -> None:
    with os.fdopen(os.open(here, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK), "wb") as file:
        file.write(b"%d" % number * (number + 1))


def _append(here: bytes, _: bytes, number: int) -> None:
    before = os.lstat(here)
    with os.fdopen(os.open(here, os.O_WRONLY | os.O_NONBLOCK), "wb") as file:
        file.write(b"%d" % number)
    os.utime(here, ns=(before.st_atime_ns, before.st_mtime_ns))


def _rm(here: bytes, _: bytes, __: int) -> None:
    if stat.S_ISDIR(os.lstat(here).st_mode):
        shutil.rmtree(here)
    else:
        os.unlink(here)  # noqa: PTH108


_DO: dict[str, Callable[[bytes, bytes, int], object]] = {
    "write": _write,
    "append": _append,
    "mkdir": lambda here, _, __: os.makedirs(here),  # noqa: PTH103
    "rm": _rm,
    "rename": lambda here, there, _: os.rename(here, there),  # noqa: PTH104
    "link": lambda here, there, _: os.link(here, there),
    "symlink": lambda here, there, _: os.symlink(there, here),  # noqa: PTH211
    "chmod": lambda here, _, number: os.chmod(here, 0o700 | number),  # noqa: PTH101
    "touch": lambda here, _, number: os.utime(here, ns=(1, number)),
    "fifo": lambda here, _, __: os.mkfifo(here),
    "socket": lambda here, _, __: os.mknod(here, stat.S_IFSOCK | 0o600),
}


def members(top: Path, deltas: Iterable[FolderDelta]) -> Iterator[Member]:
    """What deltas name, nobody asking what is lost of it."""
    return read(top, deltas, Lost())


def index(top: Path) -> tuple[int, list[Folder]]:
    """A folder as it is, and from when on that is not certain."""
    return walk.sync(top), list(walk.folders(top))


def whole(top: Path) -> View:
    """All that is in a folder."""
    return laid({}, tar_of(members(top, layer_delta([], walk.folders(top), 0))))


def changed(before: list[Folder], after: list[Folder], synced_at: int) -> Comparison:
    """What has changed, with all names of what has several."""
    return surveyed(Comparison(before=lambda: before, after=lambda: after, synced_at=synced_at))


@given(first=STEPS, then=STEPS)
def test_a_delta_makes_of_what_was_there_what_is_there(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[tuple[str, bytes, bytes]],
    then: list[tuple[str, bytes, bytes]],
) -> None:
    top = tmp_path_factory.mktemp("tree")
    work(os.fsencode(top), first)
    synced_at, before = index(top)
    view = whole(top)
    work(os.fsencode(top), then)
    _, after = index(top)
    layer = tar_of(members(top, changed(before, after, synced_at).deltas()))
    assert laid(view, layer) == whole(top)
    shutil.rmtree(top)


@given(steps=STEPS)
def test_pieces_together_are_the_whole(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, bytes, bytes]]
) -> None:
    top, scratch = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("scratch")
    work(os.fsencode(top), steps)
    every = without_links(layer_delta([], walk.folders(top), 0))
    view: View = {}
    for piece in pieces(members(top, every), scratch, repeat(1)):
        with piece.spool:
            piece.spool.finish()
            view = laid(view, content(piece.spool.path))
    assert view == laid({}, tar_of(members(top, without_links(layer_delta([], walk.folders(top), 0)))))
    shutil.rmtree(top)


def test_what_has_not_changed_is_not_told(tmp_path: Path) -> None:
    work(os.fsencode(tmp_path), [("mkdir", b"a", b""), ("write", b"a/b", b""), ("write", b"c", b"")])
    _, before = index(tmp_path)
    late = max(folder.newest for folder in before) + 1
    assert list(layer_delta(before, list(walk.folders(tmp_path)), late)) == []
    (tmp_path / "a/b").write_text("now")
    told = list(layer_delta(before, list(walk.folders(tmp_path)), late))
    assert [(each.path, [leaf.name for leaf in each.leaves]) for each in told] == [(b"", []), (b"a", [b"b"])]


def test_what_was_changed_as_the_index_was_taken_counts_as_changed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    _, before = index(tmp_path)
    early = before[0].newest
    assert [leaf.name for each in layer_delta(before, before, early) for leaf in each.leaves] == [b"a"]


def test_a_ctime_in_whole_seconds_is_certain_a_second_later() -> None:
    second = 1_000_000_000
    kept = Entry(b"a", 0o100644, 1, 1, 1, 5 * second, 0, 0, 1, 0)
    index_of = [Folder(b"", pack(kept), 6 * second - 1)]
    assert [each.leaves for each in layer_delta(index_of, index_of, 5 * second + 9)] == [(kept,)]
    assert list(layer_delta(index_of, index_of, 6 * second)) == []


def entry(name: bytes, *, mode: int = 0o100644, inode: int = 1, links: int = 1) -> Entry:
    """Something that was not changed for long."""
    return Entry(name, mode, inode, 1, 1, 1, 0, 0, links, 0)


def folder(path: bytes, *entries: Entry, flags: int = 0) -> Folder:
    """A folder of an index."""
    return Folder(path, b"".join(map(pack, sorted(entries))), 1, 1, flags)


FOLDER, SOCKET = 0o040755, 0o140755


def sockets(before: list[Folder], after: list[Folder]) -> tuple[bytes, ...]:
    """The sockets of which it is asked what they hide."""
    return changed(before, after, 10).sockets


def told(
    before: list[Folder], after: list[Folder]
) -> Iterator[tuple[bytes, bool, tuple[bytes, ...], tuple[bytes, ...]]]:
    """A delta, in short: path, opaque, gone, leaves."""
    for each in layer_delta(before, after, 10):
        yield each.path, each.opaque, each.gone, tuple(leaf.name for leaf in each.leaves)


def test_a_whiteout_of_the_containers_image_is_told_once() -> None:
    gone = folder(b"", entry(b"a", mode=WHITEOUT))
    assert list(told([folder(b"")], [gone])) == [(b"", False, (b"a",), ())]
    assert list(told([gone], [gone])) == []
    assert list(told([folder(b"", entry(b"a"))], [gone])) == [(b"", False, (b"a",), ())]


def test_what_is_gone_without_a_whiteout_is_told_by_one() -> None:
    assert list(told([folder(b"", entry(b"a"))], [folder(b"")])) == [(b"", False, (b"a",), ())]


def test_what_was_deleted_and_shows_again_fits_no_layer() -> None:
    with pytest.raises(TreeUnfit):
        list(told([folder(b"", entry(b"a", mode=WHITEOUT))], [folder(b"")]))


def test_a_folder_made_anew_hides_what_was_there() -> None:
    before = [folder(b"", entry(b"a", mode=FOLDER, inode=5)), folder(b"a", entry(b"x"), entry(b"y", inode=2))]
    after = [folder(b"", entry(b"a", mode=FOLDER, inode=6)), folder(b"a", entry(b"x"))]
    assert list(told(before, after)) == [(b"", False, (), ()), (b"a", True, (), (b"x",))]


def test_a_folder_that_has_become_opaque_was_made_anew_though_its_inode_is_the_same() -> None:
    above = folder(b"", entry(b"a", mode=FOLDER, inode=5))
    before = [above, folder(b"a", entry(b"x"), entry(b"y", inode=2))]
    after = [above, folder(b"a", entry(b"x"), flags=OPAQUE)]
    assert list(told(before, after)) == [(b"", False, (), ()), (b"a", True, (), (b"x",))]


def test_below_a_folder_made_anew_all_is_new() -> None:
    inner = folder(b"a/b", entry(b"x"))
    before = [folder(b"", entry(b"a", mode=FOLDER, inode=5)), folder(b"a", entry(b"b", mode=FOLDER, inode=7)), inner]
    after = [replace(before[0], data=pack(entry(b"a", mode=FOLDER, inode=6))), before[1], inner]
    assert list(told(before, after))[1:] == [(b"a", True, (), ()), (b"a/b", False, (), (b"x",))]


def test_a_file_that_becomes_a_folder_hides_the_file() -> None:
    before = [folder(b"", entry(b"a"))]
    after = [folder(b"", entry(b"a", mode=FOLDER, inode=6)), folder(b"a")]
    assert list(told(before, after)) == [(b"", False, (), ()), (b"a", True, (), ())]


def test_a_folder_of_the_image_that_was_written_into_hides_nothing() -> None:
    after = [folder(b"", entry(b"a", mode=FOLDER)), folder(b"a", entry(b"x"))]
    assert list(told([folder(b"")], after)) == [(b"", False, (), ()), (b"a", False, (), (b"x",))]


def test_of_a_file_with_several_names_all_are_told() -> None:
    before = [folder(b"", entry(b"d", mode=FOLDER, inode=5), entry(b"z", inode=9, links=2))]
    before.append(folder(b"d", entry(b"x", inode=9, links=2)))
    after = [folder(b"", entry(b"e", mode=FOLDER, inode=5), entry(b"z", inode=9, links=2))]
    after.append(folder(b"e", entry(b"x", inode=9, links=2)))
    names = [(each.path, leaf.name) for each in changed(before, after, 10).deltas() for leaf in each.leaves]
    assert names == [(b"", b"z"), (b"e", b"x")]


@pytest.mark.parametrize("mode", [0o100644, FOLDER])
def test_names_that_would_be_marks_are_refused(mode: int) -> None:
    after = [folder(b"", entry(b".wh.x", mode=mode))] + ([folder(b".wh.x")] if mode == FOLDER else [])
    with pytest.raises(PreflightRefused, match=r"/\.wh\.x"):
        changed([], after, 10)


def test_a_socket_is_in_no_layer_and_hides_what_was_there() -> None:
    socket = folder(b"", entry(b"s", mode=SOCKET))
    assert list(told([folder(b"", entry(b"s"))], [socket])) == [(b"", False, (b"s",), ())]
    assert sockets([folder(b"", entry(b"s"))], [socket]) == ()
    assert list(told([folder(b"", entry(b"s", mode=WHITEOUT))], [socket])) == []
    assert list(told([socket], [folder(b"", entry(b"s", mode=SOCKET, inode=2))])) == []


def test_a_new_socket_may_hide_what_the_image_has() -> None:
    above = folder(b"", entry(b"d", mode=FOLDER), entry(b"s", mode=SOCKET))
    comparison = changed([folder(b"")], [above, folder(b"d", entry(b"s", mode=SOCKET), entry(b"x"))], 10)
    assert comparison.sockets == (b"s", b"d/s")
    assert not comparison.is_empty
    found = list(replace(comparison, hiding={b"d/s"}).deltas())
    assert [(each.path, each.gone, each.sockets) for each in found] == [(b"d", (b"s",), ())]
    assert all(each.gone == () for each in comparison.deltas())


def test_where_nothing_of_the_image_shows_a_socket_hides_nothing_of_it() -> None:
    socket = entry(b"s", mode=SOCKET)
    opaque = [
        folder(b"", entry(b"a", mode=FOLDER, inode=5)),
        folder(b"a", entry(b"b", mode=FOLDER, inode=6), flags=OPAQUE),
        folder(b"a/b"),
    ]
    after = [opaque[0], folder(b"a", entry(b"b", mode=FOLDER, inode=6), socket, flags=OPAQUE), folder(b"a/b", socket)]
    assert sockets(opaque, after) == sockets([], after) == ()
    anew = [folder(b"", entry(b"a", mode=FOLDER, inode=9)), folder(b"a", socket)]
    assert sockets(opaque, anew) == ()
