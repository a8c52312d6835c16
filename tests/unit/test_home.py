"""Where the home and bottle's folder are; where neither can be had, an error that says so and no traceback."""

import os
import pwd
from pathlib import Path

import pytest

from bottle.errors import UsageError
from bottle.home import default_home, user_home
from migrate.transport.ssh.tokens import expand_home, local_user


def test_the_folder_is_the_environments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BOTTLE_HOME", str(tmp_path))
    assert default_home() == tmp_path
    monkeypatch.setenv("BOTTLE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_home() == tmp_path / ".bottle"


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "BOTTLE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    for what in (user_home, default_home, lambda: expand_home("~/key")):
        with pytest.raises(UsageError, match="4000000000") as caught:
            what()
        assert caught.value.next_step.startswith("export HOME=")
    monkeypatch.setenv("LOGNAME", "somebody")
    assert local_user() == "somebody"


def test_the_home_of_a_user_who_is_none() -> None:
    with pytest.raises(UsageError, match="~nobody-of-that-name/key"):
        expand_home("~nobody-of-that-name/key")


def test_a_relative_folder_in_one_that_is_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.setenv("BOTTLE_HOME", "here")
    assert default_home() == gone / "here"
    gone.rmdir()
    with pytest.raises(UsageError, match="here is a relative path"):
        default_home()


def test_the_local_user_is_the_one_of_the_user_database(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER"):
        monkeypatch.setenv(name, "somebody-else")
    assert local_user() == pwd.getpwuid(os.getuid()).pw_name
