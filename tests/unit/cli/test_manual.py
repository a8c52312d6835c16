"""Manual pages say what `--help` says, in a language that formatters take."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from bottle.cli.main import main
from bottle.cli.manual import pages

PAGES = pages(main)
CONTEXT = click.Context(main)


def plain(page: str) -> str:
    """What a formatter makes of a page's words, as far as it matters here."""
    return re.sub(r"\\f[BR]", "", page).replace("\\-", "-").replace("\\&", "").replace("\\e", "\\")


def test_each_command_that_is_shown_has_a_page_and_no_other() -> None:
    shown = {name for section in main.sections(CONTEXT).values() for name in section.values()}  # type: ignore[attr-defined]
    below = {f"capability-{name}" for name in ("list", "show", "approve", "deny")}
    assert set(PAGES) == {"bottle.1", *(f"bottle-{name}.1" for name in shown | below)}


def command_of(page: str) -> click.Command:
    """A command, whose name may have a hyphen, or one below it."""
    name = page.removeprefix("bottle-").removesuffix(".1")
    if command := main.get_command(CONTEXT, name):
        return command
    above, _, below = name.partition("-")
    group = main.get_command(CONTEXT, above)
    assert isinstance(group, click.Group)
    return group.commands[below]


@pytest.mark.parametrize("name", sorted(set(PAGES) - {"bottle.1"}))
def test_a_page_says_what_the_help_says(name: str) -> None:
    page = plain(PAGES[name])
    command = command_of(name)
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            assert param.help is not None
            assert param.help.replace("`", "") in page
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS", "SEE ALSO"):
        assert f'.SH "{section}"' in page
    assert f"\n{name.removesuffix('.1').replace('-', ' ', 1)}"[:14] in page.partition("EXAMPLES")[2]


def test_the_first_page_names_all_exit_codes() -> None:
    assert "130 interrupted" in PAGES["bottle.1"].partition("EXIT STATUS")[2]


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_formatter_takes_it_without_a_warning(name: str) -> None:
    words = ("groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-z")
    done = subprocess.run(words, input=PAGES[name], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_they_are_written_by_a_command(tmp_path: Path) -> None:
    folder = tmp_path / "share" / "man1"
    words = (sys.executable, "-m", "bottle.cli.manual", str(folder))
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert {each.name: each.read_text() for each in folder.iterdir()} == PAGES
    assert f"man -l {folder}/bottle.1" in done.stderr
    assert subprocess.run(words[:-1], capture_output=True, check=False).returncode == 1
