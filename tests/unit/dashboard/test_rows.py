"""What the dashboard's tables say."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len

from bottle.dashboard import rows
from bottle.dashboard.diffview import folded, request_lines, style_of
from bottle.model import CapabilityRequest, RequestStatus, Usage
from bottle.naming import Identity
from bottle.operations import BottleView
from bottle.operations.request_review import RequestDetail
from bottle.plan.sizes import Weight

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
VIEW = BottleView(
    identity=Identity.parse("claude-x7k2p"),
    agent="claude",
    state="running",
    detail="",
    started_at=NOW - timedelta(hours=3),
    commit=2,
    committed_at=NOW - timedelta(minutes=5),
    preserved=True,
    weight=Weight(own=120_400_000, shared=0),
)
REQUEST = CapabilityRequest(
    number=3,
    digest="0123456789abcdef" * 4,
    reason="needs\njq \x1b[31mnow",
    dockerfile="FROM x\n",
    received_at=NOW - timedelta(days=2),
)
DETAIL = RequestDetail(
    identity=VIEW.identity,
    request=REQUEST,
    in_force="/a/Dockerfile",
    diff="--- before\n+++ after\n@@ -1 +1 @@\n-FROM [old]\n+FROM [red]new\x1b]0;x\x07\n same",
    warnings=("the base changes [bold]",),
    notes=(),
)


def test_a_bottle_in_full() -> None:
    cells = rows.bottle_cells(VIEW, Usage(cpu=12.4, memory=64_000_000), 2, NOW)
    assert cells == ("claude-x7k2p", "running", "!2", "3h", "#2 5m", "120.4 MB", "12%", "64.0 MB")


def test_a_bottle_of_which_little_is_known() -> None:
    view = replace(VIEW, state="gone", started_at=None, commit=None, committed_at=None, weight=None)
    assert rows.bottle_cells(view, None, 0, NOW) == ("claude-x7k2p", "no container", "", "-", "-", "-", "-", "-")


def test_every_row_fits_in_80_columns() -> None:
    for columns in (rows.BOTTLE_COLUMNS, rows.REQUEST_COLUMNS):
        assert sum(width + 2 for _, width in columns) <= 79  # and the scrollbar


def test_a_long_identity_keeps_both_ends() -> None:
    assert rows.shortened("a-very-long-agents-name-x7k2p", 20) == "a-very-lo…name-x7k2p"
    assert rows.shortened("claude-x7k2p", 20) == "claude-x7k2p"


def test_a_request_is_one_harmless_line() -> None:
    assert rows.request_cells(REQUEST, NOW) == ("3", "pending", "2d", "0123456789ab", "needs jq now")


def test_what_waits_is_what_is_open() -> None:
    assert rows.waiting(replace(REQUEST, status=status) for status in RequestStatus) == 2


def test_headlines() -> None:
    two = [VIEW, replace(VIEW, state="stopped")]
    assert rows.headline(two, 2, 0, "", "by AGE ↑") == "2 bottles · 1 running · by AGE ↑"
    assert rows.headline([VIEW], 1, 2, "", "x") == "1 bottle · 1 running · 2 requests waiting · x"
    assert rows.headline([VIEW], 3, 0, "cla\x1b[2J", "x") == "1 of 3 bottles · 1 running · filter: cla · x"


def test_warnings_come_before_the_diff_and_lines_have_their_colours() -> None:
    lines = dict(request_lines(DETAIL))
    assert lines["+FROM [red]new"] == "added"
    assert lines["-FROM [old]"] == "removed"
    assert lines["--- before"] == lines["+++ after"] == "strong"
    order = list(lines)
    assert order.index("  ! the base changes [bold]") < order.index("-FROM [old]")
    assert f"digest {REQUEST.digest}" in lines


def test_brackets_are_brackets_and_nothing_acts_on_the_terminal() -> None:
    plain = "\n".join(text for text, _ in request_lines(DETAIL))
    assert "+FROM [red]new\n" in plain
    assert "\x1b" not in plain
    assert "  | needs\n  | jq now" in plain


def test_the_same_dockerfile_is_said_to_be_the_same() -> None:
    assert "  no difference" in dict(request_lines(replace(DETAIL, diff="")))


def test_the_diff_of_the_largest_dockerfile_is_shown_to_its_end() -> None:
    diff = "+x\n" * 300_000 + "+the end"
    assert list(request_lines(replace(DETAIL, diff=diff)))[-1] == ("+the end", "added")


@pytest.mark.parametrize("line", ["", " same", "\\ No newline at end of file"])
def test_other_lines_have_no_colour(line: str) -> None:
    assert style_of(line) == ""


@pytest.mark.parametrize("text", ["", "x" * 10, "x" * 11, "x" * 35, "界" * 12, "x 界" * 9])
def test_folding_loses_nothing(text: str) -> None:
    pieces = folded(text, 10)
    assert "".join(pieces) == text
    assert all(cell_len(piece) <= 10 for piece in pieces)


def test_folding_between_words_hangs() -> None:
    assert folded("name  of a long thing", 14, 6) == ["name  of a", "      long", "      thing"]
    assert folded("name  " + "x" * 20, 14, 6)[-1].startswith("      x")
    assert "".join(folded("name  " + "界" * 20, 14, 6)) == "name  " + "界" * 20
