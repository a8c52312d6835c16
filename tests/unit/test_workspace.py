"""A folder of the host on its way into a container."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from bottle.errors import BottleError, UsageError
from bottle.launch import bare_spec
from bottle.testing import FakeEngine
from bottle.testing.tree import FOLDER, FakeNode
from bottle.workspace import copy_workspace, may_not_write, require_folder, resolve_user, user_id, workspace_owner

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nagent:x:1000:1001::/home/agent:/bin/sh\nodd\nbad:x:y:z:\n"
GROUP = b"root:x:0:\nwheel:x:10:agent\nodd\n"


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine()
    engine.add_image("base", {"/etc/passwd": PASSWD, "/etc/group": GROUP})
    engine.create(bare_spec("box", "base"))
    engine.write("box", "/workspace", node=FOLDER)
    return engine


def owned(monkeypatch: pytest.MonkeyPatch, folder: Path, uid: int, gid: int = 0) -> None:
    """Make `folder` somebody's, as far as one can see."""
    facts = folder.stat()
    seen = os.stat_result((0o40755, *facts[1:4], uid, gid, *facts[6:]))
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **how: seen if path == folder else stat(path, **how))


def node(engine: FakeEngine, path: str) -> FakeNode:
    return engine._container("box").tree[path]


def test_files_folders_and_links_arrive_as_the_agents(engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir(mode=0o750)
    (tmp_path / "src" / "run.sh").write_bytes(b"#!/bin/sh\n")
    (tmp_path / "src" / "run.sh").chmod(0o755)
    (tmp_path / ".hidden").symlink_to("src/run.sh")
    (tmp_path / os.fsdecode(b"\xff")).write_bytes(b"odd")
    os.mkfifo(tmp_path / "fifo")
    copy_workspace(engine, "box", tmp_path, "/workspace", "agent")
    assert node(engine, "/workspace/src/run.sh") == FakeNode(
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
        copy_workspace(engine, "box", tmp_path / "missing", "/workspace", "")
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
    assert may_not_write(tmp_path, owner, ()) is None
    trouble = may_not_write(tmp_path, owner + 1, ())
    assert trouble is not None
    assert "--copy-cwd" in trouble
    assert may_not_write(tmp_path, None, ()) is None
    tmp_path.chmod(0o777)
    assert may_not_write(tmp_path, owner + 1, ()) is None


@pytest.mark.parametrize(
    ("uid", "owner", "advice"),
    [
        (0, 1000, 'use --copy-cwd or user = "1000" or cap_add = ["DAC_OVERRIDE"]'),
        (1000, 0, "use --copy-cwd or chown -R 1000 "),
        (1001, 1000, 'use --copy-cwd or user = "1000"'),
    ],
)
def test_the_advice_fits_who_the_agent_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, owner: int, advice: str
) -> None:
    owned(monkeypatch, tmp_path, owner)
    trouble = may_not_write(tmp_path, uid, ())
    assert trouble is not None
    assert advice in trouble
    assert ("DAC_OVERRIDE" in trouble) == (uid == 0)


def test_only_root_gains_by_a_capability(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owned(monkeypatch, tmp_path, 1000)
    assert may_not_write(tmp_path, 0, ("DAC_OVERRIDE",)) is None
    assert may_not_write(tmp_path, 1001, ("DAC_OVERRIDE",)) is not None


@pytest.mark.parametrize(
    ("mounted", "runs", "ids"),
    [
        ((1234, 99), (0, 0), (1234, 99)),
        ((1234, 99), (501, 20), (1234, 99)),
        ((0, 0), (501, 20), (0, 0)),
        ((0, 0), (0, 0), (0, 0)),
        (None, (501, 20), (501, 20)),
        (None, (0, 0), (1000, 1000)),
    ],
)
def test_an_agent_is_to_be_whoever_owns_the_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mounted: tuple[int, int] | None,
    runs: tuple[int, int],
    ids: tuple[int, int],
) -> None:
    monkeypatch.setattr("os.getuid", lambda: runs[0])
    monkeypatch.setattr("os.getgid", lambda: runs[1])
    if mounted is not None:
        owned(monkeypatch, tmp_path, *mounted)
    assert workspace_owner(tmp_path if mounted is not None else None) == ids


def test_in_a_rootless_engine_the_files_of_who_runs_it_are_roots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned(monkeypatch, tmp_path, 1000, 100)
    assert workspace_owner(tmp_path, 1000) == (0, 0)
    assert workspace_owner(tmp_path, 1001) == (1000, 100)
    assert may_not_write(tmp_path, 0, (), 1000) is None
    trouble = may_not_write(tmp_path, 1000, (), 1000)
    assert trouble is not None
    assert 'use --copy-cwd or user = "0"' in trouble
    assert may_not_write(tmp_path, 1000, (), 1001) is None


def test_a_workspace_that_is_gone_is_nobodys(tmp_path: Path) -> None:
    assert workspace_owner(tmp_path / "gone") == workspace_owner(None)


def test_the_number_of_a_user_is_known_from_the_container(engine: FakeEngine) -> None:
    assert user_id(engine, "box", "") == 0
    assert user_id(engine, "box", "root:wheel") == 0
    assert user_id(engine, "box", "agent") == 1000
    assert user_id(engine, "box", "77:1") == 77
    assert user_id(engine, "box", "nobody-there") is None


def test_a_folder_that_is_gone_is_no_reason_to_fail(tmp_path: Path) -> None:
    assert may_not_write(tmp_path / "gone", 1000, ()) is None


def test_a_workspace_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert require_folder(Path()) == tmp_path
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "missing"):
        with pytest.raises(UsageError, match="no folder"):
            require_folder(path)
