"""Secrets on their way to a container: private, in one place, gone when they should be."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from bottle import runtime
from bottle.errors import BottleError
from bottle.naming import Identity

IDENTITY = Identity.parse("demo-abcde")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "runtime"


def launched(folder: Path, *argv: str) -> bytes:
    """What a command prints that the launcher became."""
    script = (folder / "launch").read_text().replace("/run/bottle", str(folder))
    answer = subprocess.run(("/bin/sh", "-c", script, "launch", *argv), capture_output=True, check=True, env={})
    return answer.stdout


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(value=st.text(st.characters(exclude_characters="\0", codec="utf-8")) | st.sampled_from(["\udcff", "'", "$(id)"]))
def test_the_agent_gets_the_very_value(base: Path, value: str) -> None:
    folder = runtime.prepare(base, IDENTITY, {"TOKEN": value})
    assert launched(folder, "/usr/bin/printenv", "-0", "TOKEN") == os.fsencode(value) + b"\0"


WORDS = st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")) | st.just("\udcff"), min_size=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(words=WORDS)
def test_the_agent_runs_what_it_was_told_last(base: Path, words: list[str]) -> None:
    told = ("/usr/bin/printf", "%s\\0", *words)
    folder = runtime.prepare(base, IDENTITY, {}, command=told)
    assert launched(folder, "/bin/echo", "made to run") == b"".join(os.fsencode(word) + b"\0" for word in words)
    assert runtime.told(base, IDENTITY) == told
    runtime.hide(base, IDENTITY)
    assert runtime.told(base, IDENTITY) == told
    runtime.prepare(base, IDENTITY, {})
    assert launched(folder, "/bin/echo", "made to run") == b"made to run\n"
    assert runtime.told(base, IDENTITY) is None


def test_what_was_told_and_cannot_be_read_is_an_error(base: Path) -> None:
    folder = runtime.prepare(base, IDENTITY, {}, command=("agent",))
    for spoilt in (b"set -- 'agent", b"\0"):
        (folder / "command").unlink()
        (folder / "command").write_bytes(spoilt)
        if spoilt == b"\0":
            (folder / "command").unlink()
            (folder / "command").mkdir()
        with pytest.raises(BottleError, match="cannot read"):
            runtime.told(base, IDENTITY)
        if spoilt == b"\0":
            (folder / "command").rmdir()


def test_only_its_user_gets_in(base: Path) -> None:
    folder = runtime.prepare(base, IDENTITY, {"TOKEN": "x"})
    assert base.stat().st_mode & 0o777 == 0o700
    assert folder == base / "demo-abcde"
    assert (folder / "secrets").stat().st_mode & 0o777 == 0o444


def test_hiding_leaves_the_folder_and_forgetting_nothing(base: Path) -> None:
    folder = runtime.prepare(base, IDENTITY, {"TOKEN": "hunter2"})
    runtime.hide(base, IDENTITY)
    assert not (folder / "secrets").exists()
    assert launched(folder, "/bin/echo", "still works") == b"still works\n"
    runtime.forget(base, IDENTITY)
    runtime.forget(base, IDENTITY)
    assert list(base.iterdir()) == []


def test_hiding_needs_no_room(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = runtime.prepare(base, IDENTITY, {"TOKEN": "hunter2"})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(runtime, "_put", full)
    runtime.hide(base, IDENTITY)
    assert not (folder / "secrets").exists()
    runtime.forget(base, IDENTITY)
    with pytest.raises(BottleError, match="No space left"):  # after a reboot it is to be made again
        runtime.hide(base, IDENTITY)


def test_a_bottle_sees_how_to_ask_and_what_was_answered(base: Path) -> None:
    assert not runtime.is_prepared(base, IDENTITY)
    runtime.write_answer(base, IDENTITY, 1, "pending\n")  # seen by nobody yet
    assert not base.exists()
    folder = runtime.prepare(base, IDENTITY, {}, {1: "denied\nno\n", 12: "pending\n"})
    assert runtime.is_prepared(base, IDENTITY)
    assert sorted(path.name for path in folder.iterdir()) == [
        "answers", "launch", "request-capability", "requests", "secrets"
    ]  # fmt: skip
    assert {path.name: path.read_text() for path in (folder / "answers").iterdir()} == {
        "1": "denied\nno\n", "12": "pending\n"
    }  # fmt: skip
    assert (folder / "answers" / "1").stat().st_mode & 0o777 == 0o444
    before = (folder / "answers" / "1").stat().st_ino
    runtime.write_answer(base, IDENTITY, 1, "denied\nno\n")
    assert (folder / "answers" / "1").stat().st_ino == before
    runtime.write_answer(base, IDENTITY, 12, "approved\n")
    runtime.hide(base, IDENTITY)
    assert (folder / "answers" / "12").read_text() == "approved\n"


def test_a_place_that_others_can_enter_is_refused(base: Path, tmp_path: Path) -> None:
    base.mkdir(mode=0o755)
    with pytest.raises(BottleError, match="only you may enter"):
        runtime.prepare(base, IDENTITY, {"TOKEN": "x"})
    assert list(base.iterdir()) == []
    other = tmp_path / "elsewhere"
    other.mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(other)
    with pytest.raises(BottleError, match="only you may enter"):
        runtime.prepare(link, IDENTITY, {"TOKEN": "x"})
    assert list(other.iterdir()) == []


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BottleError, match="sees as /run/bottle"):
        runtime.prepare(tmp_path / "missing" / "runtime", IDENTITY, {})
