"""How answers and errors reach the user: text for people, one versioned JSON document for programs."""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bottle.errors import AnswerLost, BottleError
from bottle.model import SCHEMA
from bottle.text import laid_out, printable

JSON = "json"
TEXT = "text"


# What only `report` prints: a line of anybody else's that begins so is marked as quoted.
_LABELS = re.compile(r"bottle:|\s*(?:state|next|log):")
_QUOTED = "| "


@dataclass(frozen=True, slots=True)
class Coloured:
    """A line of an answer in a colour, where there is a terminal. It is not cut, however long."""

    text: str
    colour: str | None


def answer(form: str, document: Mapping[str, Any], lines: Iterable[str | Coloured]) -> None:
    """Print one answer on stdout, in the form that was asked for. Raises AnswerLost where that takes no more."""
    shown = list(lines)
    try:
        _print(form, document, shown)
    except BrokenPipeError:
        raise  # nobody wants to know
    except OSError as exc:
        told = tuple(line.text if isinstance(line, Coloured) else line for line in shown)
        raise AnswerLost(
            f"{_command()} was done; only its answer could not be printed: {exc.strerror}",
            left="it need not be done again: what it answered stands above",
            next_step="bottle list",
            details=told,
        ) from exc


def _print(form: str, document: Mapping[str, Any], lines: Iterable[str | Coloured]) -> None:
    if form == JSON:
        click.echo(json.dumps({"schema": SCHEMA, **document}, indent=2))
        return
    for line in lines:
        if isinstance(line, Coloured):
            click.echo(click.style(_own_line(line.text, len(line.text)), fg=line.colour))
        else:
            click.echo(_own_line(line))


def _command() -> str:
    context = click.get_current_context(silent=True)
    return f"`{context.command_path}`" if context is not None else "it"


def report(error: BottleError, form: str, *, log: Path | None = None) -> None:
    """Tell of an error on stderr, and as a document on stdout where a program is listening, and it can be told."""
    if form == JSON:
        body = {
            "code": error.code,
            "what": error.what,
            "details": list(error.details),
            "left": error.left,
            "next": error.next_step,
        }
        with suppress(OSError):
            click.echo(json.dumps({"schema": SCHEMA, "error": body, "exit_code": error.exit_code}))
    click.echo(f"bottle: {printable(error.what, 4000)}", err=True)
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
    click.echo(_own_line(indentation + printable(text, 4000)), err=True)


def relayed(line: str) -> None:
    """A line that somebody else wrote, on stderr, behind a mark."""
    click.echo(f"  {quoted([line])[0]}", err=True)


def quoted(lines: Iterable[str]) -> list[str]:
    """Lines that somebody else wrote, each behind a mark."""
    return [f"{_QUOTED}{laid_out(line, len(line))}" for line in lines]


def confirmed(question: str) -> bool:
    """Ask, on stderr, and whether the answer is yes."""
    return click.confirm(printable(question, 1000), err=True)


def prompted(prompt: str) -> str:
    """Ask, on stderr, for what is not shown while it is typed."""
    shown = printable(prompt).rstrip(": ")
    return str(click.prompt(shown, hide_input=True, err=True, default="", show_default=False))


def raw(chunk: bytes) -> None:
    """What an agent wrote to its terminal, as it is, where that is what was asked for."""
    click.echo(chunk, nl=False)


def _own_line(text: str, limit: int = 4000) -> str:
    """`text` as the one line that it is: nothing in it begins another one, or passes for a line of an error."""
    shown = laid_out(text, limit)
    return _QUOTED + shown if _LABELS.match(shown) else shown


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as they must be."""
    cells = [list(header), *[[printable(cell, 200) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def age(moment: datetime | None) -> str:
    """How long ago, as people say it."""
    if moment is None:
        return "-"
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit} ago"
    return f"{seconds}s ago"


def size(count: int) -> str:
    """A number of bytes, as people say it."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def on_terminal() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()
