"""How answers and errors reach the user: text for people, one versioned JSON document for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bottle.errors import BottleError
from bottle.model import SCHEMA
from bottle.text import printable

JSON = "json"
TEXT = "text"


def answer(form: str, document: Mapping[str, Any], lines: Iterable[str]) -> None:
    """Print one answer on stdout, in the form that was asked for."""
    if form == JSON:
        click.echo(json.dumps({"schema": SCHEMA, **document}, indent=2))
    else:
        for line in lines:
            click.echo(printable(line.replace("\n", " "), 4000, lines=True))


def report(error: BottleError, form: str, *, log: Path | None = None) -> None:
    """Tell of an error on stderr, and as a document on stdout where a program is listening."""
    if form == JSON:
        body = {"code": error.code, "what": error.what, "left": error.left, "next": error.next_step}
        click.echo(json.dumps({"schema": SCHEMA, "error": body, "exit_code": error.exit_code}))
    click.echo(f"bottle: {printable(error.what, 4000, lines=True)}", err=True)
    if error.left:
        click.echo(f"  state: {printable(error.left, 1000)}", err=True)
    if error.next_step:
        click.echo(f"  next:  {printable(error.next_step, 1000)}", err=True)
    if log is not None:
        click.echo(f"  log:   {log}", err=True)


def note(text: str) -> None:
    """A line on stderr."""
    click.echo(printable(text, 4000), err=True)


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
