"""Every command explains itself: what it does, an example, and the exit codes that matter."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from bottle.cli.main import main

CONTEXT = click.Context(main)
COMMANDS = {
    name: each for name in main.list_commands(CONTEXT) if (each := main.get_command(CONTEXT, name)) and not each.hidden
}
WITHOUT_ANSWER = {"dashboard", "mcp"}  # a screen, and a protocol


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_and_exit_codes(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"], prog_name="bottle")
    assert result.exit_code == 0
    assert f"Usage: bottle {name}" in result.stdout
    assert "Example:" in result.stdout
    assert f"bottle {name}" in result.stdout.partition("Example:")[2] or name == "ls"
    assert "Exit codes that matter" in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help_and_every_command_a_form(name: str) -> None:
    options = [each for each in COMMANDS[name].params if isinstance(each, click.Option)]
    assert all(option.help for option in options)
    without = isinstance(COMMANDS[name], click.Group) or name in WITHOUT_ANSWER
    assert without or "form" in {option.name for option in options}


def test_the_group_lists_all_commands_and_all_exit_codes() -> None:
    result = CliRunner().invoke(main, ["--help"], prog_name="bottle")
    for name in COMMANDS:
        assert f"\n  {name} " in result.stdout
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 130):
        assert f"{code} " in result.stdout.partition("Exit codes:")[2]
