"""Text that somebody else wrote reaches the terminal without anything that a terminal acts on."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from bottle.text import cells, fitting, laid_out, printable, printable_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("größe 漢字 🙂", "größe 漢字 🙂"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1;2q#data\x1b\\after", "after"),
        ("\x9b31mred", "red"),
        ("\x9d0;title\x9cafter", "after"),
        ("\x1b(0graphics", "graphics"),
        ("\x1bc reset", "reset"),
        ("bell\x07 back\x08space del\x7f", "bell backspace del"),
        ("over\rwritten", "over written"),
        ("two\nlines\tand  tab", "two lines and tab"),
        ("\u202egnp.exe\u202c \u2066x\u2069", "gnp.exe x"),
        ("line\u2028separator", "line separator"),
        ("half\udcffcharacter", "half\ufffdcharacter"),
        ("ends in \x1b", "ends in"),
        ("ends in \x1b[3", "ends in"),
        (b"bytes \xff", "bytes \ufffd"),
        ("", ""),
    ],
)
def test_what_is_shown(text: str | bytes, shown: str) -> None:
    assert printable(text).strip() == shown


def test_lines_stay_lines_when_asked_for() -> None:
    assert printable_lines("one\r\ntwo\x1b[2J\n\tthree\rfour\n") == ("one", "two", "    threefour")


def test_an_unended_string_hides_no_further_line() -> None:
    assert printable_lines("\x1b]0;title\nsecond") == ("second",)


def test_long_text_is_cut_to_the_limit() -> None:
    assert printable("x" * 10, 10) == "x" * 10
    assert printable("x" * 11, 10) == "x" * 9 + "…"


def test_a_line_of_our_own_keeps_its_columns_and_is_one_line() -> None:
    assert laid_out("  a   b\n  next:  c\td\x1b[2J\u2028e\x85f  ") == "  a   b   next:  c d e f"


def test_what_shows_nothing_moves_nothing() -> None:
    assert printable("a\u2800\u3164\u115f \uffa0\u00a0b\u200bc\ufeff\U000e0041") == "a bc"


@given(st.one_of(st.text(st.characters()), st.binary()), st.sampled_from([printable, laid_out, printable_lines]))
def test_nothing_that_acts_is_left(text: str | bytes, clean: Callable[..., str | tuple[str, ...]]) -> None:
    if isinstance(text, bytes) and clean is laid_out:
        text = text.decode("utf-8", "surrogateescape")
    shown = clean(text, 100)
    lines = (shown,) if isinstance(shown, str) else shown
    assert sum(map(len, lines)) <= 100
    for line in lines:
        assert len(line.splitlines()) <= 1
        assert not [each for each in line if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp")]
        line.encode()
        assert printable(printable(line)).split() == printable(line).split()


@pytest.mark.parametrize(
    ("text", "room", "cut"),
    [
        ("plain", 5, "plain"),
        ("plain", 4, "pla…"),
        ("\u4fee\u6b63\u304c\u5165\u3063\u305f", 12, "\u4fee\u6b63\u304c\u5165\u3063\u305f"),
        ("\u4fee\u6b63\u304c\u5165\u3063\u305f", 8, "\u4fee\u6b63\u304c…"),
        ("e\u0301te\u0301", 3, "e\u0301te\u0301"),
        ("\u4fee", 1, "…"),
    ],
)
def test_what_is_wide_is_cut_by_its_columns(text: str, room: int, cut: str) -> None:
    assert fitting(text, room) == cut
    assert cells(cut) <= room
