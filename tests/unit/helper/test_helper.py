"""A helper reads what this process would read, byte for byte; and where it ends early, that is an error."""

from __future__ import annotations

import errno
import io
import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings

from bottle.errors import EngineError, HelperLost, NotFound, PreflightRefused, TreeUnfit
from bottle.helper import container as module, deltas as packing, python, tree_server
from bottle.helper.container import Helper
from bottle.helper.failures import raised, told
from bottle.helper.frames import Kind, as_path, as_text, frame, read_frame
from bottle.helper.server import Call
from bottle.helper.shortfall import shortfall
from bottle.model import EngineInfo
from bottle.testing import FakeEngine
from bottle.trees import walk
from bottle.trees.delta import FolderDelta, layer_delta
from bottle.trees.reader import Lost, Member
from bottle.trees.source import DirectReader, TreeReader
from tests.support.helping import PACKAGES
from tests.support.layering import tar_of
from tests.unit.trees.test_delta import STEPS, work

MODULE = "tests.support.helping"


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def helper(engine: FakeEngine) -> Iterator[Helper]:
    helper = Helper(engine, MODULE, PACKAGES)
    with closing(helper):
        yield helper


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Files of all sorts and sizes."""
    (tmp_path / "top").mkdir()
    for name, size in (("empty", 0), ("small", 5), ("block", 512), ("piece", 1 << 20), ("large", 5_000_000)):
        (tmp_path / "top" / name).write_bytes(b"x" * size)
    with (tmp_path / "top" / "sparse").open("wb") as file:
        file.truncate(9_000_000)
    (tmp_path / "top" / "link").symlink_to("small")
    (tmp_path / "top" / "again").hardlink_to(tmp_path / "top" / "small")
    folder = tmp_path / "top" / os.fsdecode(b"\xff\n")
    for _ in range(5):
        folder.mkdir()
        (folder / "file").touch()
        folder /= "below"
    return tmp_path / "top"


def everything(reader: TreeReader) -> tuple[bytes, Lost]:
    """All that is in a folder as a layer has it, and what it does not have."""
    lost = Lost()
    return tar_of(reader.members(layer_delta([], list(reader.folders()), 0), lost)), lost


def test_it_reads_what_this_process_reads(helper: Helper, engine: FakeEngine, top: Path) -> None:
    there, here = helper.tree(top), DirectReader(top)
    assert (there.inode(), there.filesystem()) == (here.inode(), here.filesystem())
    before = time.time_ns()
    assert before - walk.GRAIN <= there.sync() <= time.time_ns() - walk.GRAIN
    assert list(there.folders()) == list(here.folders()) == list(there.folders(whole=True))
    layer, lost = everything(there)
    assert (layer, lost) == everything(here)
    assert lost.sparse == {(top / "sparse").stat().st_ino}
    assert engine.methods.count("run_helper") == 1


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=STEPS, then=STEPS)
def test_and_what_has_changed_since(
    helper: Helper,
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, bytes, bytes]],
    then: list[tuple[str, bytes, bytes]],
) -> None:
    top = tmp_path_factory.mktemp("tree")
    work(os.fsencode(top), steps)
    synced_at, before = walk.sync(top), list(walk.folders(top))
    work(os.fsencode(top), then)
    found = []
    for reader in (helper.tree(top), DirectReader(top)):
        lost = Lost()
        changes = layer_delta(before, list(reader.folders()), synced_at)
        found.append((tar_of(reader.members(changes, lost)), lost))
    assert found[0] == found[1]


def test_deltas_pass_as_they_are_however_many(monkeypatch: pytest.MonkeyPatch, top: Path) -> None:
    monkeypatch.setattr(packing, "PIECE", 1)
    changes = list(layer_delta([], walk.folders(top), 0))
    changes.append(FolderDelta(path=b"a\n", entry=None, opaque=True, gone=(b"x", b"\xff")))
    parts = list(packing.packed(changes))
    assert len(parts) == len(changes)
    assert list(packing.unpacked(parts)) == changes


def test_a_file_passes_piece_by_piece_however_large(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Kind] = []

    def chunks() -> Iterator[bytes]:
        for number in range(5):
            assert len(sent) == number
            yield b"x"

    given = {"place": as_text(b"/"), "lost": shortfall(Lost())}
    call = SimpleNamespace(given=given, parts=lambda: iter(()), send=lambda kind, _: sent.append(kind))
    monkeypatch.setattr(tree_server, "members", lambda *_: iter([Member(b"", b"large", 5, chunks())]))
    tree_server.TREE_CALLS["members"](cast("Call", call))
    assert sent == [Kind.MEMBER, *[Kind.DATA] * 4]


def test_what_is_gone_by_then_is_told(helper: Helper, top: Path) -> None:
    changes = list(layer_delta([], walk.folders(top), 0))
    (top / "small").unlink()
    lost = Lost()
    tar_of(helper.tree(top).members(changes, lost))
    assert lost.omitted == {(b"", b"small")}


def test_what_is_read_once_more_is_as_it_was_found_then(helper: Helper, top: Path) -> None:
    there, lost = helper.tree(top), Lost()
    for sparse in (True, False):
        tar_of(there.members(layer_delta([], list(there.folders()), 0), lost))
        assert bool(lost.sparse) is sparse
        (top / "sparse").write_bytes(b"full")


def test_errors_are_the_same_ones(helper: Helper, top: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        helper.tree(top / "none").inode()
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, str(top / "none"))
    try:
        os.setxattr(top / "small", "trusted.overlay.metacopy", b"")
    except OSError as exc:
        pytest.skip(str(exc))
    with pytest.raises(TreeUnfit, match="overlay keeps parts"):
        everything(helper.tree(top))
    assert helper.tree(top).inode() == top.stat().st_ino  # and it goes on


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "bad", "/x"),
        OSError("odd"),
        TreeUnfit("a"),
        NotFound("b", left="c", next_step="d"),
        PreflightRefused("e"),
    ],
)
def test_an_error_comes_back(error: OSError) -> None:
    again = raised(told(error))
    assert type(again) is type(error)
    assert told(again) == told(error)


@pytest.mark.parametrize("document", [None, {}, {"class": "NoSuch", "what": "x"}, {"class": "Path", "what": "x"}])
def test_what_is_no_error_is_that_of_the_helper(document: object) -> None:
    assert isinstance(raised(document), HelperLost)


def test_killed_while_it_reads_it_leaves_nothing_half(helper: Helper, engine: FakeEngine, top: Path) -> None:
    found = helper.tree(top).members(layer_delta([], walk.folders(top), 0), Lost())
    for member in found:
        if member.name == b"large":
            chunks = iter(member.chunks)
            next(chunks)
            engine.helpers[0].kill()
            with pytest.raises(TreeUnfit, match=r"ended before it had answered|cannot be read"):
                list(chunks)
            break
        list(member.chunks)
    assert everything(helper.tree(top)) == everything(DirectReader(top))
    assert engine.methods.count("run_helper") == 2


def test_what_is_not_read_to_its_end_is_given_up(helper: Helper, engine: FakeEngine, top: Path) -> None:
    with closing(helper.tree(top).members(layer_delta([], walk.folders(top), 0), Lost())) as found:  # type: ignore[type-var]
        next(found)
    assert engine.helpers[0].wait(timeout=10) == 0  # its input has ended
    assert list(helper.tree(top).folders()) == list(walk.folders(top))


def test_two_at_the_same_time_have_one_each(helper: Helper, engine: FakeEngine, top: Path) -> None:
    with closing(helper.tree(top).folders()) as folders:  # type: ignore[type-var]
        next(folders)
        assert helper.tree(top).inode() == top.stat().st_ino
        list(folders)
    helper.tree(top).sync()
    assert engine.methods.count("run_helper") == 2


def test_one_that_has_waited_for_long_is_let_go(
    helper: Helper, engine: FakeEngine, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper.tree(top).inode()
    monkeypatch.setattr(module, "IDLE", 0.0)
    helper.tree(top).inode()
    assert engine.methods.count("run_helper") == 2
    assert engine.helpers[0].wait(timeout=10) == 0


def test_what_it_says_when_it_does_not_start_is_the_reason(engine: FakeEngine, top: Path) -> None:
    helper = Helper(engine, "no_such.module", PACKAGES)
    with pytest.raises(TreeUnfit, match=r"does not start: .*No module named 'no_such'"):
        helper.tree(top).inode()
    with pytest.raises(TreeUnfit, match="does not start"):
        helper.tree(top).sync()
    assert engine.methods.count("run_helper") == 1  # it is tried once


def test_one_that_is_not_shown_overlays_marks_is_none(
    helper: Helper, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = python.command
    monkeypatch.setattr(python, "command", lambda *given: ((*usual(*given)[0], "BLIND"), usual(*given)[1]))
    with pytest.raises(TreeUnfit, match="not shown what overlay notes"):
        helper.tree(top).inode()


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"rootless": True}, "are others outside"),
        ({"remapped": True}, "are others outside"),
        ({"root_dir": ""}, "is not known"),
    ],
)
def test_where_none_can_be_had_the_engine_is_asked_for_none(
    helper: Helper, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, what: dict[str, object], why: str
) -> None:
    info: EngineInfo = replace(engine.info(), **what)  # type: ignore[arg-type]
    monkeypatch.setattr(engine, "info", lambda: info)
    with pytest.raises(HelperLost, match=why), helper.session():
        pass
    assert "run_helper" not in engine.methods


def test_nor_where_the_engine_is_elsewhere_or_refuses(helper: Helper, engine: FakeEngine) -> None:
    engine.is_local = False
    with pytest.raises(HelperLost, match="another machine"), helper.session():
        pass
    engine.is_local = True
    refusing = Helper(engine, MODULE, PACKAGES)
    engine.fail_next("run_helper", EngineError("bind source path does not exist: /nix"))
    with pytest.raises(HelperLost, match="bind source path"), refusing.session():
        pass


def test_a_frame_that_is_none_or_cut_off_is_an_error() -> None:
    whole = frame(Kind.DATA, b"abc")
    assert read_frame(io.BytesIO(whole)) == (Kind.DATA, b"abc")
    assert read_frame(io.BytesIO(b"")) is None
    for length in range(1, len(whole)):
        with pytest.raises(ValueError, match=r"."):
            read_frame(io.BytesIO(whole[:length]))
    with pytest.raises(ValueError, match="Trace"):
        read_frame(io.BytesIO(b"Traceback"))
    assert as_path(as_text(bytes(range(256)))) == bytes(range(256))


def test_all_of_this_python_is_shown_and_nothing_twice() -> None:
    shown = [Path(each) for each in python.shown(PACKAGES)]
    command, environment = python.command(MODULE, PACKAGES)
    for each in (command[0], os.__file__, dict(environment)["PYTHONPATH"].split(":")[0] + "/bottle"):
        assert [above for above in shown if above == Path(each) or above in Path(each).resolve().parents]
    assert not [each for each in shown if set(each.parents) & set(shown)]


def test_a_package_that_is_in_no_folder_cannot_be_shown() -> None:
    with pytest.raises(HelperLost, match="no_such_package"):
        python.shown(("no_such_package",))
