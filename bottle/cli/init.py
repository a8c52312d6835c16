"""`bottle init`."""

from pathlib import Path

import click

from bottle.cli.output import answer
from bottle.cli.shared import command, format_option
from bottle.operations import init as write


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@format_option
@command
def init(folder: Path, form: str) -> None:
    """Write a first bottle.toml, with every key explained in it, into FOLDER [default: this one].

    \b
    Example:
      bottle init && bottle start shell

    Exit codes that matter: 2 no such folder, 4 there is a bottle.toml already; it stays as it is.
    """
    path = write(folder)
    answer(form, {"manifest": str(path)}, [f"wrote {path}", "look through it, then:  bottle start shell"])
