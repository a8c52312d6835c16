"""One writer per bottle, by name, and only as long as it lives."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bottle.errors import Locked, NotFound, StateDamaged
from bottle.store import lock
from bottle.store.lock import hold, holder

HOLDER = """
import sys, pathlib
from bottle.store.lock import hold
with hold(pathlib.Path(sys.argv[1]), subject="demo-abcde", purpose="bottle commit"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until its input ends or it is killed."""
    command = (sys.executable, "-c", HOLDER, str(path))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_fork_of_the_holder_does_not_hold_it_on(tmp_path: Path) -> None:
    with hold(tmp_path / "lock", subject="demo-abcde", purpose="bottle start"):
        child = os.fork()
        if not child:
            signal.pause()
    try:
        with hold(tmp_path / "lock", subject="demo-abcde", purpose="bottle commit"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


BRIEF = """
import sys, pathlib, time
from bottle.store.lock import hold
with hold(pathlib.Path(sys.argv[1]), subject="demo-abcde", purpose="bottle capability list", brief=True):
    print("held", flush=True)
    time.sleep(0.5)
"""


def test_one_that_is_brief_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen((sys.executable, "-c", BRIEF, str(path)), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with hold(path, subject="demo-abcde", purpose="bottle commit"):
            pass


def test_one_that_is_not_brief_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(_: float) -> None:
        raise AssertionError("it waits")

    with other_process(tmp_path / "lock"):
        monkeypatch.setattr(lock.time, "sleep", wait)
        with pytest.raises(Locked), hold(tmp_path / "lock", subject="demo-abcde", purpose="bottle stop"):
            pass


def test_one_that_is_not_as_brief_as_it_said_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_PATIENCE", 0.2)
    path = tmp_path / "lock"
    with (
        hold(path, subject="demo-abcde", purpose="bottle capability list", brief=True),
        pytest.raises(Locked, match="capability list"),
        hold(path, subject="demo-abcde", purpose="bottle commit"),
    ):
        pass


def take(path: Path) -> None:
    with hold(path, subject="demo-abcde", purpose="bottle stop"):
        pass


def test_the_holder_is_named_and_its_death_frees_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with other_process(path) as process:
        with pytest.raises(Locked) as caught:
            take(path)
        assert "demo-abcde" in caught.value.what
        assert f"`bottle commit` (process {process.pid}, since " in caught.value.what
        assert caught.value.next_step.endswith(f"ps -p {process.pid}")
        process.send_signal(signal.SIGKILL)
        process.wait()
        take(path)


def test_the_lock_is_free_after_the_context_even_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(RuntimeError), hold(path, subject="x", purpose="y"):
        raise RuntimeError
    take(path)
    assert path.exists()  # never deleted: two writers could lock two files of one name


def test_the_same_process_cannot_take_it_twice(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold(path, subject="x", purpose="bottle rm"), pytest.raises(Locked, match="bottle rm"):
        take(path)


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b"null", b'{"purpose": 1}', b"\xff\xfe", b"\x1b]0;evil\x07"])
def test_a_note_that_cannot_be_read_hides_no_lock(tmp_path: Path, note: bytes) -> None:
    path = tmp_path / "lock"
    with hold(path, subject="x", purpose="y"):
        path.write_bytes(note)
        with pytest.raises(Locked, match="another run"):
            take(path)


def test_children_do_not_inherit_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold(path, subject="x", purpose="y"):
        child = subprocess.Popen(("sleep", "60"), close_fds=False)
    try:
        take(path)
    finally:
        child.kill()
        child.wait()


def test_a_folder_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="deleted"):
        take(tmp_path / "missing" / "lock")


def test_a_lock_whose_folder_went_meanwhile_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    real = os.open

    def open_and_lose(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = real(path, flags, mode)
        folder.rename(tmp_path / ".deleted")
        return descriptor

    monkeypatch.setattr(os, "open", open_and_lose)
    with pytest.raises(NotFound, match="deleted"):
        take(folder / "lock")


def test_a_full_disk_is_told_with_its_folder_and_leaves_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with (
            pytest.raises(StateDamaged, match="No space left") as caught,
            hold(tmp_path / "l", subject="s", purpose="p"),
        ):
            pass
    assert str(tmp_path) in caught.value.next_step
    with hold(tmp_path / "l", subject="s", purpose="p"):
        pass


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateDamaged):
        take(tmp_path / "lock")
    assert not (tmp_path / "elsewhere").exists()


def test_who_holds_it_is_told_without_touching_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert holder(path) is None
    with hold(path, subject="demo-abcde", purpose="bottle commit"):
        told = holder(path)
        assert told is not None
        assert told.startswith(f"`bottle commit` (process {os.getpid()}, since ")
        path.write_text("no note")
        assert holder(path) is None
    assert holder(path) is None
    take(path)
    assert holder(path) is None
