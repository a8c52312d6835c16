"""Text that somebody else wrote reaches the terminal without anything that a terminal acts on."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottle.text import printable


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
    assert printable("one\r\ntwo\x1b[2J\n\tthree\rfour\n", lines=True) == "one\ntwo\n    threefour"


def test_an_unended_string_hides_no_further_line() -> None:
    assert printable("\x1b]0;title\nsecond", lines=True) == "second"


def test_long_text_is_cut_to_the_limit() -> None:
    assert printable("x" * 10, 10) == "x" * 10
    assert printable("x" * 11, 10) == "x" * 9 + "…"


@given(st.one_of(st.text(st.characters()), st.binary()), st.booleans())
def test_nothing_that_acts_is_left(text: str | bytes, lines: bool) -> None:
    shown = printable(text, 100, lines=lines)
    assert len(shown) <= 100
    assert not [each for each in shown if unicodedata.category(each) in ("Cc", "Cs") and not (lines and each == "\n")]
    shown.encode()
    assert printable(shown, 100, lines=lines).split() == shown.split()
