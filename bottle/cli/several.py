"""Doing one thing to several bottles, as docker's commands do it: one that fails keeps no other from its turn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import click

from bottle.cli.journal import JOURNAL
from bottle.cli.output import JSON, TEXT, Shown, answer, error_document, report
from bottle.cli.shared import told_as
from bottle.cli.terminal import held_off
from bottle.errors import AnswerLost, BottleError, Interrupted
from bottle.store.home import StateHome
from bottle.store.state import BottleState


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was done to one bottle, for programs and for people."""

    document: Mapping[str, object]
    lines: Sequence[Shown]


def one_by_one(home: StateHome, names: Sequence[str], form: str, act: Callable[[BottleState], Done]) -> None:
    """Do `act` to each bottle that is named, once, and answer: for people as it is done, for programs at the end.

    The document of a single bottle is its own; several are in a list, those that failed with their `error`. Raises what
    `act` raises for a single one, and else ends with the exit code of the first failure. An interruption ends all of
    it; an answer that nobody takes does not.
    """
    if len(names) == 1:
        done = act(home.find(names[0]))
        answer(form, done.document, done.lines)
        return
    documents: list[Mapping[str, object]] = []
    codes: list[int] = []
    untold: list[Shown] = []
    for name, found in _each_once(home, names).items():
        try:
            done = _to(found, act)
        except (Exception, KeyboardInterrupt) as exc:
            error = told_as(exc, click.get_current_context(silent=True))
            if error is None:
                raise
            with held_off():
                JOURNAL.failed(exc)
                report(error, TEXT, log=JOURNAL.path)
            documents.append({"identity": name, "error": error_document(error)})
            codes.append(error.exit_code)
            if isinstance(error, Interrupted):
                break
            continue
        documents.append(done.document)
        untold += done.lines
        if form != JSON and answered(untold):
            untold = []
    if form == JSON:
        answer(form, {"bottles": documents}, ())
    elif untold:
        answer(form, {}, untold)
    if codes:
        raise SystemExit(Interrupted.exit_code if Interrupted.exit_code in codes else codes[0])


def _each_once(home: StateHome, names: Sequence[str]) -> dict[str, BottleState | BottleError]:
    """The bottles by identity, whichever of their names was given; or what is wrong with a name."""
    found: dict[str, BottleState | BottleError] = {}
    for name in names:
        try:
            state = home.find(name)
            found[str(state.identity)] = state
        except BottleError as exc:
            found[name] = exc
    return found


def _to(found: BottleState | BottleError, act: Callable[[BottleState], Done]) -> Done:
    if isinstance(found, BottleError):
        raise found
    return act(found)


def answered(lines: Sequence[Shown]) -> bool:
    """Whether somebody took the lines; where not, that is told at the end."""
    try:
        answer(TEXT, {}, lines)
    except (AnswerLost, BrokenPipeError):
        return False
    return True
