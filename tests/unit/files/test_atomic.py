"""Writes that leave the old or the new, whatever fails, and whatever dies in between."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bottle.errors import StateDamaged
from bottle.files.atomic import recover_tree, remove_file, replace_tree, standing_tree, write_atomic


class Killed(BaseException):
    """The process dies here."""


def test_what_was_written_is_there_and_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def failing(real: Callable[..., Any], error: BaseException, *, afterwards: bool = False) -> Callable[..., Any]:
    def fail(*args: Any, **kwargs: Any) -> Any:
        if afterwards:
            real(*args, **kwargs)
        raise error

    return fail


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), Killed()])
def test_a_write_that_fails_leaves_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")
    owner: Any = Path if call == "replace" else os
    with monkeypatch.context() as patch:
        patch.setattr(owner, call, failing(getattr(owner, call), error))
        with pytest.raises((StateDamaged, Killed)) as caught:
            write_atomic(path, b"new")
    if isinstance(caught.value, StateDamaged):
        assert str(path) in caught.value.what
        assert "No space left" in caught.value.what
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_on_disk_before_its_name_is_and_the_folder_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(descriptor: int) -> None:
        events.append("folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file")
        fsync(descriptor)

    def note_replace(self: Path, target: Path) -> Path:
        events.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    write_atomic(tmp_path / "file", b"data")
    assert events == ["file", "rename", "folder"]


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "file"
    victim.write_bytes(b"precious")
    path.symlink_to(victim)
    write_atomic(path, b"data")
    assert victim.read_bytes() == b"precious"
    assert not path.is_symlink()


def test_a_folder_that_cannot_be_written_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(StateDamaged) as caught:
        write_atomic(tmp_path / "missing" / "file", b"data")
    assert caught.value.next_step


def test_removing_is_idempotent(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    remove_file(path)
    remove_file(path)
    assert not path.exists()


def tree(folder: Path, text: str) -> Path:
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "file").write_text(text)
    return folder


def text_of(folder: Path) -> str:
    return (folder / "below" / "file").read_text()


@pytest.mark.parametrize("death", range(8))
@pytest.mark.parametrize("afterwards", [False, True])
def test_a_tree_is_the_old_or_the_new_wherever_its_replacement_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, death: int, afterwards: bool
) -> None:
    target, new = tree(tmp_path / "target", "old"), tree(tmp_path / "target.new", "new")
    countdown = [death]

    def mortal(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            countdown[0] -= 1
            if countdown[0] == -1:
                if afterwards:
                    real(*args, **kwargs)
                raise Killed
            return real(*args, **kwargs)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", mortal(Path.rename))
        patch.setattr(os, "fsync", mortal(os.fsync))
        patch.setattr(shutil, "rmtree", mortal(shutil.rmtree))
        try:
            replace_tree(new, target)
        except Killed:
            assert text_of(standing_tree(target)) in {"old", "new"}
        else:
            assert countdown[0] >= 0
    recover_tree(target)
    assert text_of(target) in {"old", "new"}
    shutil.rmtree(new, ignore_errors=True)
    replace_tree(tree(new, "newest"), target)
    assert text_of(target) == "newest"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_tree_takes_its_first_place(tmp_path: Path) -> None:
    replace_tree(tree(tmp_path / "new", "first"), tmp_path / "target")
    assert text_of(tmp_path / "target") == "first"


def test_a_tree_that_cannot_be_placed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StateDamaged):
        replace_tree(tmp_path / "missing", tmp_path / "target")
