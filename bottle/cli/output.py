"""How answers and errors reach the user: text for people, one versioned JSON document for programs."""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, TextIO

import click

from bottle.cli.table import Cell, Coloured, Column, Line, fitted
from bottle.errors import AnswerLost, BottleError
from bottle.text import laid_out, printable

JSON = "json"
TEXT = "text"

SCHEMA = 1  # of the answers to programs; what is kept on a disk has one of its own


# What only `report` prints: a line of anybody else's that begins so is marked as quoted.
_LABELS = re.compile(r"bottle:|\s*(?:state|next|log):")
_QUOTED = "| "
_WARNING = "WARNING:"


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A line in a form that the user gave; what fills it is fit to be shown."""

    text: str


Shown = str | Coloured | Line | Verbatim


def answer(form: str, document: Mapping[str, Any], lines: Iterable[Shown]) -> None:
    """Print one answer on stdout, in the form that was asked for. Raises AnswerLost where that takes no more."""
    shown = list(lines)
    try:
        _print(form, document, shown)
    except BrokenPipeError:
        raise  # nobody wants to know
    except OSError as exc:
        told = tuple(line if isinstance(line, str) else line.text for line in shown)
        raise AnswerLost(
            f"{_command()} was done; only its answer could not be printed: {exc.strerror}",
            left="it need not be done again: what it answered stands above",
            next_step="bottle list",
            details=told,
        ) from exc


def _print(form: str, document: Mapping[str, Any], lines: Iterable[Shown]) -> None:
    if form == JSON:
        click.echo(json.dumps({"schema": SCHEMA, **document}, indent=2))
        return
    for line in lines:
        match line:
            case Verbatim():
                click.echo(line.text)
            case Coloured():
                click.echo(_painted(_own_line(line.text, len(line.text)), line.colour, sys.stdout))
            case Line():
                click.echo(_row(line, sys.stdout))
            case _:
                click.echo(_painted(_own_line(line), None, sys.stdout))


def _row(line: Line, stream: TextIO) -> str:
    mark = _QUOTED if _LABELS.match(line.text) else ""
    return mark + "".join(_painted(part.text, part.colour, stream) for part in line.parts)


def wants_colour(environ: Mapping[str, str]) -> bool | None:
    """What the environment says of colours, None where that is up to whether there is a terminal.

    See https://no-color.org and https://force-color.org; where both are set there is none, as Python itself has it.
    """
    if environ.get("NO_COLOR") or (environ.get("TERM") == "dumb" and not environ.get("FORCE_COLOR")):
        return False
    return True if environ.get("FORCE_COLOR") else None


def _painted(text: str, colour: str | None, stream: TextIO) -> str:
    """`text` in a colour, a warning in one of its own, where `stream` takes any."""
    if colour is None and text.lstrip().startswith(_WARNING):
        colour = "yellow"
    context = click.get_current_context(silent=True)
    wanted = context.color if context is not None else None
    if colour is None or not (stream.isatty() if wanted is None else wanted):
        return text
    return click.style(text, fg=colour)


def _command() -> str:
    context = click.get_current_context(silent=True)
    return f"`{context.command_path}`" if context is not None else "it"


def error_document(error: BottleError) -> dict[str, object]:
    """An error, for programs."""
    return {
        "code": error.code,
        "what": error.what,
        "details": list(error.details),
        "left": error.left,
        "next": error.next_step,
    }


def report(error: BottleError, form: str, *, log: Path | None = None) -> None:
    """Tell of an error on stderr, and as a document on stdout where a program is listening, and it can be told."""
    if form == JSON:
        document = {"schema": SCHEMA, "error": error_document(error), "exit_code": error.exit_code}
        with suppress(OSError):
            click.echo(json.dumps(document))
    click.echo(_painted(f"bottle: {printable(error.what, 4000)}", "red", sys.stderr), err=True)
    for line in quoted(error.details):
        click.echo(f"  {line}", err=True)
    if error.left:
        click.echo(f"  state: {printable(error.left, 1000)}", err=True)
    if error.next_step:
        click.echo(f"  next:  {printable(error.next_step, 1000)}", err=True)
    if log is not None:
        click.echo(f"  log:   {printable(str(log), 4000)}", err=True)


def note(text: str) -> None:
    """A line on stderr; it may be indented, and has no columns."""
    indentation = " " * (len(text) - len(text.lstrip(" ")))
    click.echo(_painted(_own_line(indentation + printable(text, 4000)), None, sys.stderr), err=True)


def note_table(lines: Iterable[Line]) -> None:
    """A table on stderr."""
    for line in lines:
        click.echo(_row(line, sys.stderr), err=True)


def relayed(line: str) -> None:
    """A line that somebody else wrote, on stderr, behind a mark."""
    click.echo(f"  {quoted([line])[0]}", err=True)


def quoted(lines: Iterable[str]) -> list[str]:
    """Lines that somebody else wrote, each behind a mark."""
    return [f"{_QUOTED}{laid_out(line, len(line))}" for line in lines]


def confirmed(question: str) -> bool:
    """Ask, on stderr, and whether the answer is yes. Raises KeyboardInterrupt where it is Ctrl-C or Ctrl-D."""
    with _answered():
        return click.confirm(printable(question, 1000), err=True)


def prompted(prompt: str) -> str:
    """Ask, on stderr, for what is not shown while it is typed. Raises KeyboardInterrupt as `confirmed` does."""
    shown = printable(prompt).rstrip(": ")
    with _answered():
        return str(click.prompt(shown, hide_input=True, err=True, default="", show_default=False))


@contextmanager
def _answered() -> Iterator[None]:
    """Of who asks, some take click's Abort for a failure of what they do: it is an Exception."""
    try:
        yield
    except click.Abort as exc:
        raise KeyboardInterrupt from exc


def raw(chunk: bytes) -> None:
    """What an agent wrote to its terminal, as it is, where that is what was asked for."""
    click.echo(chunk, nl=False)


def _own_line(text: str, limit: int = 4000) -> str:
    """`text` as the one line that it is: nothing in it begins another one, or passes for a line of an error."""
    shown = laid_out(text, limit)
    return _QUOTED + shown if _LABELS.match(shown) else shown


def table(columns: Sequence[str | Column], rows: Sequence[Sequence[Cell]]) -> list[Line]:
    """A table that fits the terminal; where the answer goes elsewhere, nothing of it is cut or left out."""
    return fitted(columns, rows, get_terminal_size().columns if sys.stdout.isatty() else None)


def on_terminal() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()
