"""The few lines at the bottom of a terminal that tell of work without a count."""

import io
import re
import threading

import pytest
from tqdm import tqdm

from bottle.cli import progress
from bottle.cli.progress import Bars, LineProgress, Tail, Ticker, shown_below


def screen(written: str) -> list[str]:
    """What a terminal shows of it: the sequences that the tail uses, and no others."""
    lines, row = [""], 0
    for piece in re.findall(r"\x1b\[\??\d*[A-Za-z]|\n|[^\x1b\n]+", written):
        if match := re.fullmatch(r"\x1b\[(\d+)F", piece):
            row -= int(match[1])
            assert row >= 0
        elif piece == "\x1b[J":
            lines[row:] = [""]
        elif piece == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif not piece.startswith("\x1b[?7"):
            lines[row] = piece
    return lines


def test_the_last_lines_are_shown_behind_a_mark() -> None:
    lines = tuple(f"line {number}" for number in range(9))
    shown = shown_below("building x … 3 s", lines, 80, 24)
    assert shown == ["building x … 3 s", *(f"  | line {number}" for number in range(4, 9))]


def test_a_small_terminal_shows_less() -> None:
    assert shown_below("x … 3 s", ("one", "two", "three"), 80, 5) == ["x … 3 s", "  | two", "  | three"]
    assert shown_below("x … 3 s", ("one",), 80, 2) == ["x … 3 s"]
    assert shown_below("x … 3 s", ("x" * 200,), 40, 24)[1] == "  | " + "x" * 36


def test_lines_are_drawn_in_place_and_gone_at_the_end() -> None:
    stream = io.StringIO()
    shown = Tail("building x", stream)
    shown.show(["building x … 1 s", "  | one"])
    stream.write("")
    shown.show(["building x … 2 s", "  | one", "  | two"])
    assert screen(stream.getvalue()) == ["building x … 2 s", "  | one", "  | two", ""]
    with shown.lifted():
        stream.write("a note\n")
    assert screen(stream.getvalue()) == ["a note", ""]
    shown.show(["building x … 3 s"])
    shown.stop()
    assert screen(stream.getvalue()) == ["a note", ""]


def test_what_prints_is_shown_at_once_and_what_does_not_when_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", 3600)
    shown = Tail("x", io.StringIO())
    assert shown.lines() == []
    shown.output("one")
    assert shown.lines()[1:] == ["  | one"]
    monkeypatch.setattr(progress, "_PATIENCE", 0)
    assert Tail("x", io.StringIO()).lines() == ["x … 0 s"]


def test_what_is_counted_without_a_known_end_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = Tail("reading", io.StringIO())
    shown.count(1_500_000)
    now[0] += 75
    assert shown.lines() == ["reading … 1 min 15 s, 1.5 MB"]


def test_only_the_innermost_phase_is_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", 0)
    bars = Bars()
    with bars.phase("outer"):
        bars.output("of outer")
        with bars.phase("inner"):
            bars.output("of inner")
            bars.note("a note")
        with bars.phase("counted", 3):
            bars.output("not shown")
            bars.advance(3)
    bars.output("of nobody")
    told = capsys.readouterr().err
    left = [line for line in screen(told.replace("\r", "\n")) if line and "counted" not in line]
    assert left == ["outer …", "inner …", "a note"]


def test_off_a_terminal_each_line_is_printed_once_behind_a_mark(capsys: pytest.CaptureFixture[str]) -> None:
    lines = LineProgress()
    lines.output("one")
    lines.output("  next:  \x1b[2Jevil")
    assert capsys.readouterr().err == "  | one\n  |   next:  evil\n"


def test_a_ticker_draws_until_it_is_stopped_and_can_go_on() -> None:
    drawn = threading.Event()
    ticker = Ticker(drawn.set, 0.001)
    for _ in range(2):
        drawn.clear()
        ticker.start()
        assert drawn.wait(30)
        ticker.stop()
        assert not [each for each in threading.enumerate() if each.name == "bottle-ticker"]


def test_the_time_of_a_bar_goes_on_where_nothing_is_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_SECOND", 0.001)
    refreshed = threading.Event()

    class Bar(tqdm):  # type: ignore[type-arg]
        def refresh(self, *args: object, **kwargs: object) -> bool:
            refreshed.set()
            return True

    monkeypatch.setattr("tqdm.tqdm", Bar)
    with Bars().phase("reading", 3):
        refreshed.clear()
        assert refreshed.wait(30)
