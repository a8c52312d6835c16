"""A table fits its terminal: what matters most stays whole, and nothing is cut where there is no terminal."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bottle.cli.table import Coloured, Column, fitted
from bottle.text import cells

COLUMNS = (Column("IDENTITY"), Column("STATE", cut=True), Column("SIZE", drop=1), Column("NOTE", cut=True))
ROWS = [
    ("claude-x7k2p", Coloured("running", "green"), "412.0 MB", "a note that is longer than most of them are, by far"),
    ("codex-9d1zz", "moved to me@newhost.example", "1 B", ""),
]


def shown(width: int | None) -> list[str]:
    return [line.text for line in fitted(COLUMNS, ROWS, width)]


def test_with_room_nothing_is_cut() -> None:
    assert shown(None) == shown(200)
    header, first, second = shown(None)
    assert header.split() == ["IDENTITY", "STATE", "SIZE", "NOTE"]
    assert first.endswith(str(ROWS[0][3]))
    assert second == "codex-9d1zz   moved to me@newhost.example  1 B"


@pytest.mark.parametrize("width", [40, 60, 80, 160])
def test_lines_are_no_wider_than_the_terminal_and_identities_are_whole(width: int) -> None:
    lines = shown(width)
    assert all(len(line) <= width for line in lines)
    assert [line.split()[0] for line in lines[1:]] == ["claude-x7k2p", "codex-9d1zz"]


def test_a_text_is_cut_before_a_column_goes_and_says_so() -> None:
    assert "SIZE" in shown(80)[0]
    assert shown(80)[1].endswith("…")
    assert "SIZE" not in shown(60)[0]
    assert "running" in shown(60)[1]


CELL = st.text(st.sampled_from("ab \x1b\n\u4fee\u0301"), max_size=40)


@given(st.lists(st.tuples(CELL, CELL, CELL, CELL), max_size=4), st.integers(1, 90))
def test_every_line_has_a_row_and_no_more_than_it_must(rows: list[tuple[str, str, str, str]], width: int) -> None:
    lines = [line.text for line in fitted(COLUMNS, rows, width)]
    assert len(lines) == 1 + len(rows)
    least = max([len("IDENTITY"), *(cells(row[0]) for row in rows)]) + len("  " + "x" * 8) * 2
    assert all(cells(line) <= max(width, least) for line in lines)


def test_colours_stay_with_their_cells() -> None:
    _, first, _ = fitted(COLUMNS, ROWS, 80)
    assert [part.text for part in first.parts if part.colour == "green"] == ["running"]
