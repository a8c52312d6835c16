"""The transcript's snapshot: out of one container, into another, and whole at every moment between."""

from __future__ import annotations

import errno
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bottle import transcript
from bottle.errors import EngineError, StateDamaged, VerificationFailed
from bottle.launch import bare_spec
from bottle.model import Mount, MountKind
from bottle.tar.rules import Limits
from bottle.testing import FakeEngine
from bottle.testing.tree import FOLDER, FakeNode, pack
from bottle.transcript import capture, read_index, restore

PATHS = ("/root/.demo", "/root/.demo.json")


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine()
    engine.add_image("base", {"/root/.keep": b""})
    for name in ("one", "two"):
        engine.create(bare_spec(name, "base"))
    engine.write("one", "/root/.demo", node=FOLDER)
    engine.write("one", "/root/.demo/log", node=FakeNode(data=b"line\n", mode=0o640, uid=1000, gid=1001, mtime=7))
    engine.write("one", "/root/.demo/empty", node=FOLDER)
    engine.write("one", "/root/.demo/link", node=FakeNode(type=tarfile.SYMTYPE, target="../../etc/passwd"))
    engine.write("one", "/root/.demo.json", b"{}")
    return engine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "transcript"


def test_what_was_taken_out_of_one_container_comes_back_in_another(engine: FakeEngine, folder: Path) -> None:
    assert capture(engine, "one", PATHS, folder) == 2
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    assert restore(engine, "two", folder) == 2
    for path in ("/root/.demo", "/root/.demo/log", "/root/.demo/empty", "/root/.demo/link", "/root/.demo.json"):
        assert (
            engine._tree_at(engine._container("two"), path)[0][path]
            == (  # the fake has no other way to look at all
                engine._tree_at(engine._container("one"), path)[0][path]
            )
        )


def test_a_snapshot_is_replaced_whole(engine: FakeEngine, folder: Path) -> None:
    capture(engine, "one", PATHS, folder)
    engine.erase("one", "/root/.demo/log")
    assert capture(engine, "one", PATHS, folder) == 1
    assert not (folder / "files/root/.demo/log").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["transcript"]


def test_names_that_are_no_unicode_and_paths_within_paths_are_fine(engine: FakeEngine, folder: Path) -> None:
    engine.write("one", "/root/.demo/\udcff\udcfe", b"bytes")
    assert capture(engine, "one", ("/root/.demo", "/root/.demo/log", "/root/.demo", "/root/.demo.json"), folder) == 3
    assert restore(engine, "two", folder) == 3
    assert engine.read("two", "/root/.demo/\udcff\udcfe") == b"bytes"


def link(engine: FakeEngine, path: str, target: str) -> None:
    engine.write("one", path, node=FakeNode(type=tarfile.SYMTYPE, target=target))


@pytest.mark.parametrize("other", ["/root/.demo/", "/root/.demo//", "/root/.demo/log"])
@pytest.mark.parametrize("turned", [False, True])
def test_what_is_named_twice_is_saved(engine: FakeEngine, folder: Path, other: str, turned: bool) -> None:
    """Neither spelling gives way to the other one, so that none is left."""
    paths = ("/root/.demo", other)
    capture(engine, "one", paths[::-1] if turned else paths, folder)
    assert (folder / "files/root/.demo/log").read_bytes() == b"line\n"


@pytest.mark.parametrize("target", ["/data/demo", "../data/demo", "//data/./demo"])
def test_what_a_transcript_is_a_link_to_is_saved_and_comes_back(engine: FakeEngine, folder: Path, target: str) -> None:
    engine.erase("one", "/root/.demo")
    link(engine, "/root/.demo", target)
    link(engine, "/data/demo", "real")
    engine.write("one", "/data/real/log", b"hours")
    assert capture(engine, "one", PATHS, folder) == 2
    assert restore(engine, "two", folder) == 2
    assert engine.read("two", "/data/real/log") == b"hours"
    tree = engine._container("two").tree
    assert (tree["/root/.demo"].target, tree["/data/demo"].target) == (target, "real")


@pytest.mark.parametrize("target", ["/nowhere", ".demo.json", "/run/bottle/secrets", "/mounted/demo"])
def test_a_link_to_what_is_not_there_or_is_kept_elsewhere_stays_a_link(
    engine: FakeEngine, folder: Path, target: str
) -> None:
    engine.erase("one", "/root/.demo")
    link(engine, "/root/.demo", target)
    engine.write("one", "/mounted/demo/log", b"in a volume")
    engine.write("one", "/run/bottle/secrets", b"hush")
    volume = Mount(kind=MountKind.VOLUME, source="data", target="/mounted")
    assert capture(engine, "one", PATHS, folder, mounted=[volume]) == 1
    assert [entry.path for entry in read_index(folder)] == ["root/.demo", "root/.demo.json"]


@pytest.mark.parametrize("target", ["/", "/root", "..", "/run", "/\udcff"])
def test_a_link_to_what_is_no_transcript_is_refused(engine: FakeEngine, folder: Path, target: str) -> None:
    capture(engine, "one", PATHS, folder)
    engine.erase("one", "/root/.demo")
    link(engine, "/root/.demo", target)
    with pytest.raises(VerificationFailed, match=r"/root/\.demo is a link to"):
        capture(engine, "one", PATHS, folder)
    assert len(read_index(folder)) == 5


@pytest.mark.parametrize("target", [".demo", "/root/.demo"])
def test_a_link_to_itself_is_refused_and_the_snapshot_kept(engine: FakeEngine, folder: Path, target: str) -> None:
    capture(engine, "one", PATHS, folder)
    engine.erase("one", "/root/.demo")
    link(engine, "/root/.demo", target)
    with pytest.raises(EngineError, match="too many links"):
        capture(engine, "one", PATHS, folder)
    assert len(read_index(folder)) == 5


def test_links_without_end_are_refused(engine: FakeEngine, folder: Path) -> None:
    engine.erase("one", "/root/.demo")
    link(engine, "/root/.demo", "/chain/0")
    for number in range(100):
        link(engine, f"/chain/{number}", str(number + 1))
    with pytest.raises(VerificationFailed, match="is a link to"):
        capture(engine, "one", PATHS, folder)


def test_nothing_there_is_a_snapshot_of_nothing(engine: FakeEngine, folder: Path) -> None:
    assert read_index(folder) == ()
    assert restore(engine, "two", folder) == 0
    assert capture(engine, "two", PATHS, folder) == 0
    assert read_index(folder) == ()


def test_a_container_that_cannot_be_read_keeps_the_last_snapshot(
    engine: FakeEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture(engine, "one", PATHS, folder)
    monkeypatch.setattr(engine, "_tree_at", lambda *_: ({}, "/nowhere"))
    with pytest.raises(VerificationFailed, match="missing on the host"):
        capture(engine, "one", PATHS, folder)
    assert len(read_index(folder)) == 5


@pytest.mark.parametrize("after_bytes", [0, 512, 1000])
def test_an_archive_that_breaks_off_keeps_the_last_snapshot(engine: FakeEngine, folder: Path, after_bytes: int) -> None:
    capture(engine, "one", PATHS, folder)
    engine.fail_next("read_archive", EngineError("the line broke"), after_bytes=after_bytes)
    with pytest.raises(EngineError):
        capture(engine, "one", PATHS, folder)
    assert len(read_index(folder)) == 5
    assert [path.name for path in folder.parent.iterdir()] == ["transcript"]


def hostile(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, members: dict[str, FakeNode]) -> None:
    """Let the engine answer with a tar of `members`."""

    def read_archive(*_: Any) -> Iterator[bytes]:
        return iter([pack(members)])

    monkeypatch.setattr(engine, "read_archive", read_archive)


@pytest.mark.parametrize(
    "members",
    [
        {"../../../../tmp/evil": FakeNode(data=b"x")},
        {".demo": FakeNode(type=tarfile.SYMTYPE, target="/etc"), ".demo/passwd": FakeNode(data=b"x")},
        {".demo": FakeNode(data=b"x"), ".demo/x": FakeNode(data=b"x")},
        {f".demo/{'x' * 300}": FakeNode(data=b"x")},
        {"/".join(["x" * 200] * 30): FakeNode(data=b"x")},
    ],
)
def test_a_hostile_transcript_is_refused_and_the_last_one_kept(
    engine: FakeEngine, folder: Path, monkeypatch: pytest.MonkeyPatch, members: dict[str, FakeNode]
) -> None:
    capture(engine, "one", PATHS, folder)
    with monkeypatch.context() as patch:
        hostile(engine, patch, members)
        with pytest.raises(VerificationFailed):
            capture(engine, "one", PATHS, folder)
    assert len(read_index(folder)) == 5
    assert [path.name for path in folder.parent.iterdir()] == ["transcript"]


def test_a_transcript_without_end_is_refused(engine: FakeEngine, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "_LIMITS", Limits(entries=3, size=100))
    with pytest.raises(VerificationFailed, match="larger than allowed"):
        capture(engine, "one", PATHS, folder)


def test_a_disk_that_is_full_is_an_error_and_the_last_snapshot_kept(
    engine: FakeEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture(engine, "one", PATHS, folder)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", full)
        with pytest.raises(StateDamaged, match="No space left"):
            capture(engine, "one", PATHS, folder)
    assert len(read_index(folder)) == 5


def test_a_snapshot_that_was_changed_is_not_put_back(engine: FakeEngine, folder: Path) -> None:
    capture(engine, "one", PATHS, folder)
    log = folder / "files/root/.demo/log"
    log.write_bytes(b"other\n")
    with pytest.raises(VerificationFailed, match="changed") as caught:
        restore(engine, "two", folder)
    assert f"mv {folder}" in caught.value.next_step
    log.unlink()
    with pytest.raises(VerificationFailed, match="lacks"):
        restore(engine, "two", folder)
    log.symlink_to("/etc/passwd")
    with pytest.raises(VerificationFailed, match="lacks"):
        restore(engine, "two", folder)
    assert "/root/.demo.json" not in engine._container("two").tree


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("path", "../../etc/passwd"),
        ("path", "/etc/passwd"),
        ("path", None),
        ("type", "device"),
        ("mode", "x"),
        ("uid", -1),
        ("gid", 2**32),
        ("size", 2**62),
        ("target", "a\0b"),
    ],
)
def test_an_index_that_makes_no_sense_is_damage(engine: FakeEngine, folder: Path, field: str, value: object) -> None:
    capture(engine, "one", PATHS, folder)
    index = json.loads((folder / "index.json").read_bytes())
    index["entries"][1][field] = value
    (folder / "index.json").write_text(json.dumps(index))
    with pytest.raises(StateDamaged):
        read_index(folder)


def test_reading_changes_nothing_while_a_writer_is_at_it(engine: FakeEngine, folder: Path) -> None:
    capture(engine, "one", PATHS, folder)
    folder.rename(folder.with_name("transcript.old"))  # a writer stands between its two renames
    assert len(read_index(folder)) == 5
    assert not folder.exists()
    assert restore(engine, "two", folder) == 2
    capture(engine, "one", PATHS, folder)
    assert [path.name for path in folder.parent.iterdir()] == ["transcript"]
