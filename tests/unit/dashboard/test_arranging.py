"""Which bottles are shown, in which order, and in which columns."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bottle.dashboard import rows
from bottle.dashboard.keys import key_line
from bottle.dashboard.rows import Order, arranged, matches
from bottle.model import Usage
from bottle.naming import Identity
from bottle.operations import BottleView
from bottle.plan.sizes import Weight

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def bottle(identity: str, hours: int, own: int | None, commit: int | None = None, state: str = "running") -> BottleView:
    return BottleView(
        identity=Identity.parse(identity),
        agent=identity.rpartition("-")[0],
        state=state,
        detail="",
        started_at=NOW - timedelta(hours=hours),
        commit=commit,
        committed_at=NOW - timedelta(minutes=hours) if commit else None,
        preserved=False,
        weight=Weight(own=own, shared=0) if own is not None else None,
        cwd=Path("/srv/Shop"),
    )


A = bottle("a-00001", 5, 10, 1)
B = bottle("b-00001", 1, 30, None, "stopped")
C = bottle("c-00001", 9, None, 7)
MOVED = replace(A, identity=Identity.parse("d-00001"), state="moved", moved_to="me@a.very.long.name.example.org")
USAGE = {"a-00001": Usage(cpu=1.0, memory=900), "c-00001": Usage(cpu=50.0, memory=100)}


@pytest.mark.parametrize(
    ("column", "first", "turned"),
    [
        ("IDENTITY", "abc", "cba"),
        ("STATE", "acb", "bac"),
        ("REQ", "bac", "acb"),
        ("AGE", "bac", "cab"),
        ("COMMIT", "acb", "cab"),
        ("SIZE", "bac", "abc"),  # c has none, and is last either way
        ("CPU", "cab", "acb"),
        ("MEMORY", "acb", "cab"),
    ],
)
def test_orders(column: str, first: str, turned: str) -> None:
    def letters(order: Order) -> str:
        return "".join(view.agent for view in arranged([C, A, B], USAGE, {"b-00001": 2}, order))

    assert letters(Order(column)) == first
    assert letters(Order(column).turned()) == turned


def test_the_orders_go_round_through_all_columns() -> None:
    order, seen = Order(), []
    for _ in rows.BOTTLE_COLUMNS:
        seen.append(order.column)
        order = order.next()
    assert seen == [name for name, _ in rows.BOTTLE_COLUMNS]
    assert order == Order()


def test_a_column_that_is_chosen_again_turns() -> None:
    order = Order().by("SIZE")
    assert str(order) == "by SIZE ↓"
    assert str(order.by("SIZE")) == "by SIZE ↑"
    assert order.by("SIZE").by("AGE") == Order("AGE")


@pytest.mark.parametrize(
    ("words", "fits"),
    [("", True), ("A-0", True), ("shop run", True), ("  running  ", True), ("a stopped", False), ("x", False)],
)
def test_what_a_filter_fits(words: str, fits: bool) -> None:
    assert matches(A, words) is fits


def test_a_filter_finds_where_a_bottle_went() -> None:
    assert matches(MOVED, "moved example.org")


@pytest.mark.parametrize("width", [40, 59, 79, 119])
@pytest.mark.parametrize("identity", ["a-00001", "an-agent-with-quite-a-name-00001", f"{'long' * 12}-00001"])
def test_columns_fit_and_begin_with_what_is_essential(width: int, identity: str) -> None:
    views = [replace(A, identity=Identity.parse(identity)), MOVED]
    cells = [rows.bottle_cells(view, None, 0, NOW) for view in views]
    columns = rows.bottle_columns(width, cells)
    assert sum(each + 2 for _, each in columns) <= width
    assert [name for name, _ in columns[:2]] == ["IDENTITY", "STATE"]
    assert dict(columns)["STATE"] >= 12


def test_in_60_columns_identity_and_state_are_whole() -> None:
    moved = replace(MOVED, identity=Identity.parse("claude-x7k2p"), moved_to="me@newhost.example.org")
    cells = [rows.bottle_cells(moved, None, 0, NOW)]
    columns = dict(rows.bottle_columns(59, cells))
    assert columns["IDENTITY"] >= len("claude-x7k2p")
    assert columns["STATE"] >= len("moved to me@newhost.example.org")
    assert "REQ" in columns


def test_no_bottle_has_columns_too() -> None:
    assert rows.bottle_columns(79, []) == rows.BOTTLE_COLUMNS


@pytest.mark.parametrize("width", [30, 60, 80, 160])
def test_the_line_of_keys_fits_and_says_where_all_are(width: int) -> None:
    line = key_line(width)
    assert len(line) <= width
    assert line.endswith("? help q quit")


def test_in_160_columns_every_key_that_does_something_is_named() -> None:
    for name in ("start", "rm", "fork", "history", "logs", "filter", "order", "details", "move"):
        assert f" {name}" in key_line(160)
