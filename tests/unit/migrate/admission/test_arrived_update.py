"""An update that a hostile host makes up touches nothing outside of the folder that came before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bottle.errors import VerificationFailed
from migrate.admission.arrived_update import Instructions, bring_up_to_date
from tests.support.trees import snapshot


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    (folder / "sub").mkdir(parents=True)
    (folder / "file").write_text("mine")
    (folder / "sub" / "file").write_text("mine")
    return folder


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("theirs")


@pytest.mark.parametrize(
    ("make", "lines"),
    [
        pytest.param(lambda fresh: put(fresh / "link" / "file"), b"", id="a file below a link"),
        pytest.param(lambda fresh: (fresh / "link").mkdir(), b"", id="a folder for a link"),
        pytest.param(lambda fresh: put(fresh / "folder"), b"", id="a file for a folder"),
        pytest.param(lambda _: None, b"-link/file\n", id="a removal below a link"),
        pytest.param(lambda _: None, b"-link/sub\n", id="a removal of a folder below a link"),
        pytest.param(lambda _: None, b"+link/sub\n", id="a folder below a link that is opened"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, outside: Path, make: Callable[[Path], None], lines: bytes
) -> None:
    before = snapshot(outside)
    folder, fresh = tmp_path / "folder", tmp_path / "fresh"
    (folder / "folder").mkdir(parents=True)
    (folder / "link").symlink_to(outside)
    fresh.mkdir()
    make(fresh)
    with pytest.raises(VerificationFailed):
        bring_up_to_date(folder, fresh, Instructions.parse(lines.splitlines(keepends=True)), named=(), owners=False)
    assert snapshot(outside) == before


@pytest.mark.parametrize("path", [b"../outside/file", b"/etc/passwd", b"a/\\0056\\0056/\\0056\\0056/x", b"a\\0000b"])
def test_paths_that_lead_out_are_refused(path: bytes) -> None:
    with pytest.raises(VerificationFailed, match="escapes"):
        Instructions.parse([b"-" + path + b"\n"])


def test_a_link_is_taken_away_and_not_what_it_leads_to(tmp_path: Path, outside: Path) -> None:
    folder, fresh = tmp_path / "folder", tmp_path / "fresh"
    folder.mkdir()
    fresh.mkdir()
    (folder / "link").symlink_to(outside)
    bring_up_to_date(
        folder, fresh, Instructions.parse([b"+link\n", b"-link\n", b"-gone/before\n"]), named=(), owners=False
    )
    assert list(folder.iterdir()) == []
    assert (outside / "sub" / "file").read_text() == "mine"
