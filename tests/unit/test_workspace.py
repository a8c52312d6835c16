"""A folder of the host on its way into a container."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from bottle.errors import BottleError, UsageError
from bottle.launch import bare_spec
from bottle.testing import FakeEngine
from bottle.testing.tree import FOLDER, Node
from bottle.workspace import copy_in, may_not_write, require_folder, resolve_user

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nagent:x:1000:1001::/home/agent:/bin/sh\nodd\nbad:x:y:z:\n"
GROUP = b"root:x:0:\nwheel:x:10:agent\nodd\n"


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine()
    engine.add_image("base", {"/etc/passwd": PASSWD, "/etc/group": GROUP})
    engine.create(bare_spec("box", "base"))
    engine.write("box", "/workspace", node=FOLDER)
    return engine


def node(engine: FakeEngine, path: str) -> Node:
    return engine._container("box").tree[path]


def test_files_folders_and_links_arrive_as_the_agents(engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir(mode=0o750)
    (tmp_path / "src" / "run.sh").write_bytes(b"#!/bin/sh\n")
    (tmp_path / "src" / "run.sh").chmod(0o755)
    (tmp_path / ".hidden").symlink_to("src/run.sh")
    (tmp_path / os.fsdecode(b"\xff")).write_bytes(b"odd")
    os.mkfifo(tmp_path / "fifo")
    copy_in(engine, "box", tmp_path, "/workspace", "agent")
    assert node(engine, "/workspace/src/run.sh") == Node(
        data=b"#!/bin/sh\n",
        mode=0o755,
        uid=1000,
        gid=1001,
        mtime=int((tmp_path / "src" / "run.sh").stat().st_mtime),
    )
    assert node(engine, "/workspace/.hidden").type == tarfile.SYMTYPE
    assert node(engine, "/workspace/\udcff").data == b"odd"
    assert "/workspace/fifo" not in engine._container("box").tree


def test_what_cannot_be_read_stops_it(engine: FakeEngine, tmp_path: Path) -> None:
    with pytest.raises(BottleError, match="cannot copy"):
        copy_in(engine, "box", tmp_path / "missing", "/workspace", "")
    assert "write_archive" not in engine.methods


@pytest.mark.parametrize(
    ("user", "ids"),
    [
        ("", (0, 0)),
        ("root", (0, 0)),
        ("agent", (1000, 1001)),
        ("1000", (1000, 1001)),
        ("1234", (1234, 0)),
        ("agent:wheel", (1000, 10)),
        ("agent:7", (1000, 7)),
        ("5:7", (5, 7)),
        ("agent:missing", (1000, 1001)),
    ],
)
def test_a_user_is_resolved_as_docker_does(engine: FakeEngine, user: str, ids: tuple[int, int]) -> None:
    assert resolve_user(engine, "box", user) == ids


def test_a_user_that_does_not_exist_is_an_error(engine: FakeEngine) -> None:
    for user in ("nobody-there", "bad"):
        with pytest.raises(UsageError, match=user):
            resolve_user(engine, "box", user)
    engine.erase("box", "/etc/passwd")
    with pytest.raises(UsageError):
        resolve_user(engine, "box", "agent")


def test_a_folder_that_the_agent_may_not_write_is_told_of(tmp_path: Path) -> None:
    owner = tmp_path.stat().st_uid
    tmp_path.chmod(0o755)
    assert may_not_write(tmp_path, str(owner), ()) is None
    trouble = may_not_write(tmp_path, str(owner + 1), ())
    assert trouble is not None
    assert "--copy-cwd" in trouble
    assert may_not_write(tmp_path, str(owner + 1), ("DAC_OVERRIDE",)) is None
    assert may_not_write(tmp_path, "name-only", ()) is None
    tmp_path.chmod(0o777)
    assert may_not_write(tmp_path, str(owner + 1), ()) is None


def test_a_folder_that_is_gone_is_no_reason_to_fail(tmp_path: Path) -> None:
    assert may_not_write(tmp_path / "gone", "1000", ()) is None


def test_a_workspace_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert require_folder(Path()) == tmp_path
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "missing"):
        with pytest.raises(UsageError, match="no folder"):
            require_folder(path)
