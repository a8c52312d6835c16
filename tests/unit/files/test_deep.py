"""Folders in each other by the thousand, on each way that files of a bottle take; and what takes no path that long."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bottle.docker_engine.failures import translated
from bottle.errors import BottleError, EngineError, PathTooLong, VerificationFailed
from bottle.files import tree
from bottle.files.atomic import replace_tree
from bottle.files.paths import OPENABLE
from bottle.files.tree import Extent
from bottle.files.unpack import Policy, unpack
from bottle.model import Change, ChangeKind
from bottle.plan.commit import require_kept
from bottle.tar import rules
from bottle.tar.items import LONGEST_PATH, ItemReader
from bottle.tar.rules import Rules
from migrate.admission.arrived_state import unpack_folder
from migrate.admission.tar_rules import WORKSPACE, placed
from migrate.contents.archive import pack_folder, pack_stream
from migrate.image.spool import DirectorySpool
from migrate.model import Codec
from migrate.move.plan import plan_move
from migrate.tar.compression import decompress
from tests.support.trees import make_deep
from tests.unit.migrate.move.test_plan import FACTS

DEEP = 1_500


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "workspace"
    folder.mkdir()
    make_deep(folder, DEEP, "abc")
    (folder / "link").symlink_to("abc")
    yield folder
    for each in tmp_path.iterdir():
        tree.discard(each)


def look(folder: Path) -> list[tuple[str, int, int]]:
    return [(node.path, node.facts.st_mode, node.facts.st_size * node.is_file) for node in tree.walk(folder)]


def packed(folder: Path, tmp_path: Path) -> Iterator[bytes]:
    blob = pack_folder(folder, DirectorySpool(tmp_path / "spool", Codec.ZSTD)).blob
    with blob.path.open("rb") as file:
        yield from decompress(iter(lambda: file.read(1 << 20), b""), blob.codec)


def test_a_deep_workspace_goes_through_a_bundle(workspace: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    tuple(unpack(ItemReader(packed(workspace, tmp_path)), there, WORKSPACE, placed(owners=False)))
    assert look(there) == look(workspace)


def test_a_deep_workspace_of_a_host_that_is_pulled_from_is_unpacked(workspace: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    unpack_folder(packed(workspace, tmp_path), there, owners=False, links=True, room=1 << 30)
    assert look(there) == look(workspace)


def test_a_deep_transcript_is_put_in_the_place_of_another_and_deleted(workspace: Path, tmp_path: Path) -> None:
    target = tmp_path / "transcript"
    target.mkdir()
    make_deep(target, 1_200)
    expected = look(workspace)
    replace_tree(workspace, target)
    assert look(target) == expected
    assert [each.name for each in tmp_path.iterdir()] == ["transcript"]


def tar_of(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


def unpack_bare(tar: bytes, folder: Path) -> None:
    tuple(unpack(ItemReader([tar]), folder, Rules(what="an archive"), Policy(bare=True)))


def test_names_that_only_exhaust_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    longest = "/".join(["d"] * (LONGEST_PATH // 2))
    with pytest.raises(VerificationFailed, match="path that is too long"):
        unpack_bare(tar_of(longest + "/ff"), tmp_path / "a")
    monkeypatch.setattr(rules, "MOST_NAMES", 10_000)
    with pytest.raises(VerificationFailed, match="10000 bytes in all"):
        unpack_bare(tar_of("/".join(["d"] * 500)), tmp_path / "b")
    for each in tmp_path.iterdir():
        tree.discard(each)


@pytest.mark.parametrize("depth", [OPENABLE // 2 - 1, OPENABLE // 2 + 1])
def test_what_docker_would_leave_out_without_a_word_is_refused_by_name(tmp_path: Path, depth: int) -> None:
    path = "v/" + "/".join(["d"] * depth)
    spool = DirectorySpool(tmp_path / "spool", Codec.NONE)
    facts = replace(FACTS, workspace=Extent(longest=path))
    changes = (Change(ChangeKind.ADDED, f"/{path}"),)
    if len(path) + 1 <= OPENABLE:
        require_kept(changes)
        plan_move(facts, None)
        assert pack_stream([tar_of(path)], spool, "volume v").entries == 1
        return
    for refuse in (
        lambda: require_kept(changes),
        lambda: plan_move(facts, None),
        lambda: pack_stream([tar_of(path)], spool, "volume v"),
    ):
        with pytest.raises(PathTooLong) as caught:
            refuse()
        assert len(caught.value.what) < 400
        assert caught.value.next_step


def test_an_engine_that_cannot_open_a_path_says_so_in_a_line() -> None:
    import docker.errors
    import requests

    response = requests.Response()
    response.status_code = 500
    words = f"lstat /var/lib/docker/overlay2/x/merged/{'d/' * 2_000}d: file name too long"
    with pytest.raises(EngineError) as caught, translated("compare it", "unix:///x"):
        raise docker.errors.APIError("500", response, words)
    assert caught.value.what.endswith(": file name too long")
    assert len(caught.value.what) < 300
    assert isinstance(caught.value, BottleError)
