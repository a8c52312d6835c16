"""The file `.git` of a worktree, as it is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bottle import gitfile


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"gitdir: /a b/c\n", "/a b/c"),
        (b"gitdir: ../x", "../x"),
        (b"gitdir: /x\r\n", "/x"),
        (b"gitdir: /new\nline\n", "/new\nline"),
        (b"gitdir: \n", None),
        (b"gitdir /x\n", None),
        (b"", None),
    ],
)
def test_what_it_names(content: bytes, named: str | None) -> None:
    assert gitfile.parse(content) == named


def test_a_repository_below_the_folder_is_not_elsewhere(tmp_path: Path) -> None:
    assert gitfile.kept_elsewhere(tmp_path) is None
    (tmp_path / ".git").write_text("gitdir: .bare\n")
    assert gitfile.kept_elsewhere(tmp_path) is None
    (tmp_path / ".git").write_text(f"gitdir: {tmp_path}/../main/.git/worktrees/x\n")
    assert gitfile.kept_elsewhere(tmp_path) == tmp_path.parent / "main/.git/worktrees/x"


def test_only_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "named").write_text("gitdir: /elsewhere\n")
    (tmp_path / ".git").symlink_to("named")
    assert gitfile.kept_elsewhere(tmp_path) is None
    (tmp_path / ".git").unlink()
    os.mkfifo(tmp_path / ".git")
    assert gitfile.kept_elsewhere(tmp_path) is None
    (tmp_path / ".git").unlink()
    (tmp_path / ".git").write_bytes(b"gitdir: /x\0y\n")
    assert gitfile.kept_elsewhere(tmp_path) is None


def test_a_repository_of_its_own_is_kept_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert gitfile.kept_elsewhere(tmp_path) is None
