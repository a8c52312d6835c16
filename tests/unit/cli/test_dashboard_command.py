"""`bottle dashboard` where it cannot be shown."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from bottle.cli import dashboard
from tests.unit.cli.conftest import Cli


def test_off_a_terminal(cli: Cli) -> None:
    result = cli("dashboard")
    assert result.exit_code == 2
    assert "needs a terminal" in result.stderr
    assert "bottle list, or bottle capability list" in result.stderr


def test_without_textual_it_says_how_to_get_it(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "on_terminal", lambda: True)
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "bottle.dashboard.app":
            raise ModuleNotFoundError("No module named 'textual'", name="textual")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    result = cli("dashboard")
    assert result.exit_code == 2
    assert "needs Textual" in result.stderr
    assert "pipx install --force 'agent-bottle[dashboard]'" in result.stderr
