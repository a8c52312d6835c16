"""What a picker offers, and how: with headers, as wide as the terminal, and only what the command can take."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bottle.cli.bottletable import COLUMNS
from bottle.cli.picker import NothingChosen, choices, may_be
from bottle.naming import Identity
from bottle.operations import BottleView
from tests.unit.cli.conftest import Cli

VIEW = BottleView(
    identity=Identity.parse("claude-x7k2p"),
    agent="claude",
    state="running",
    detail="",
    started_at=None,
    commit=None,
    committed_at=None,
    preserved=False,
    runs_here=True,
)
STATES = ("running", "paused", "stopped", "created", "committed", "gone", "moved", "ambiguous", "damaged")


def in_state(state: str) -> BottleView:
    moved_to = "me@new" if state == "moved" else None
    return replace(VIEW, state=state, runs_here=state in {"running", "paused"}, moved_to=moved_to)


@pytest.mark.parametrize(
    ("verb", "offered"),
    [
        ("committed", {"running", "paused", "stopped", "created"}),
        ("stopped", {"running", "paused"}),
        ("attached", {"running"}),
        ("resumed", {"paused", "stopped", "created", "committed", "gone"}),
        ("taken back", {"paused", "stopped", "created", "committed", "gone", "moved"}),
        ("moved", {"running", "paused", "stopped", "created", "committed"}),
        ("inspected", set(STATES)),
        ("shown", set(STATES)),
    ],
)
def test_only_what_can_be_chosen_is_offered(verb: str, offered: set[str]) -> None:
    assert {state for state in STATES if may_be(verb, in_state(state))} == offered


def test_what_moved_away_and_runs_here_can_be_stopped() -> None:
    assert may_be("stopped", replace(in_state("moved"), runs_here=True))
    assert not may_be("committed", replace(in_state("moved"), runs_here=True))


@pytest.mark.parametrize("width", [40, 60, 80, 160])
def test_it_fits_and_has_headers(width: int) -> None:
    views = [VIEW, replace(VIEW, state="stopped", detail="a commit was cut: bottle commit claude-x7k2p " * 3)]
    header, *lines = choices(views, width)
    assert header.startswith("IDENTITY")
    assert len(lines) == 2
    assert all(len(line) <= width - 4 for line in (header, *lines))
    if width == 160:
        assert header.split() == [column.name for column in COLUMNS if column.name != "NAME"]


@pytest.fixture
def sitting(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str]]:
    """Somebody sits at a terminal, and leaves each picker by Escape; what was offered, and for what."""
    offered: list[tuple[list[str], str]] = []

    def leave(views: Any, verb: str) -> Identity:
        offered.append(([str(view.identity) for view in views], verb))
        raise NothingChosen("no bottle was chosen", left="nothing was changed", next_step="bottle list")

    monkeypatch.setattr("bottle.cli.shared.on_terminal", lambda: True)
    monkeypatch.setattr("bottle.cli.shared.pick", leave)
    return offered


def test_escape_is_no_error(cli: Cli, sitting: list[tuple[list[str], str]]) -> None:
    running, stopped = cli.start(), cli.start()
    cli("stop", str(stopped.identity))
    for words in (("commit",), ("stop",), ("resume",), ("resume", "--force"), ("migrate", "me@new"), ("inspect",)):
        result = cli(*words)
        assert (result.exit_code, result.stderr, result.stdout) == (
            130,
            "no bottle was chosen; nothing was changed\n",
            "",
        )
    one, other = str(running.identity), str(stopped.identity)
    both = sorted((one, other))
    assert sitting == [
        (both, "committed"),
        ([one], "stopped"),
        ([other], "resumed"),
        ([other], "taken back"),
        (both, "moved"),
        (both, "inspected"),
    ]
    assert cli.json("commit", exit_code=130)["error"]["code"] == "NothingChosen"


def test_where_none_can_be_chosen_nobody_is_asked(cli: Cli, sitting: list[tuple[list[str], str]]) -> None:
    bottle = cli.start()
    error = cli.json("resume", exit_code=2)["error"]
    assert error["what"] == f"which bottle is to be resumed? there is none that can be; {bottle.identity} (running)"
    assert sitting == []
