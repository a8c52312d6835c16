"""Every command explains itself: what it does, an example, and the exit codes that matter."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bottle.cli.main import main
from bottle.errors import RemoteError
from tests.support.contexts import store
from tests.unit.cli.conftest import Cli

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
        assert len(re.findall(rf"^  (?:list, )?{name}[ ,]", result.stdout, re.MULTILINE)) == 1
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 130):
        assert f"{code} " in result.stdout.partition("Exit codes:")[2]


@pytest.mark.parametrize("words", [[], ["capability"]])
def test_a_group_alone_explains_itself(words: list[str]) -> None:
    alone = CliRunner().invoke(main, words, prog_name="bottle")
    asked = CliRunner().invoke(main, [*words, "--help"], prog_name="bottle")
    assert (alone.exit_code, alone.stdout, alone.stderr) == (0, asked.stdout, "")


@pytest.mark.parametrize("width", [60, 80, 160])
@pytest.mark.parametrize("words", [[], ["capability"]])
def test_summaries_are_whole_and_fit(words: list[str], width: int) -> None:
    shown = CliRunner().invoke(main, words, prog_name="bottle", terminal_width=width).stdout
    assert "..." not in shown.partition("Options:")[2]
    assert all(len(line) <= width for line in shown.partition("Options:")[2].splitlines())


def test_a_bottle_is_called_identity_everywhere() -> None:
    taken = {"identity", "origin", "names", "slug"}
    for command in COMMANDS.values():
        for param in command.params:
            if isinstance(param, click.Argument) and param.name in taken:
                assert "IDENTITY" in param.make_metavar(CONTEXT)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["comit"], "No such command 'comit'; did you mean commit?"),
        (["ps"], "No such command 'ps'; did you mean list?"),  # docker's name of it
        (["capability", "aprove"], "No such command 'aprove'; did you mean approve?"),
        (["frobnicate"], "No such command 'frobnicate'."),
        (
            ["start", "x", "ls"],
            "Got unexpected extra argument (ls); what is to run instead of the agent goes behind --",
        ),
    ],
)
def test_a_mistyped_command_is_led_on(words: list[str], meant: str) -> None:
    result = CliRunner().invoke(main, words, prog_name="bottle")
    assert result.exit_code == 2
    assert meant in result.stderr
    document = json.loads(CliRunner().invoke(main, [*words, "--format", "json"], prog_name="bottle").stdout)
    assert document["error"]["what"] == meant


def test_mistyped_identities_and_agents_are_led_on(cli: Cli) -> None:
    identity = str(cli.start().identity)
    assert f"; did you mean {identity}?" in cli("logs", identity[:-1] + ("a" if identity[-1] != "a" else "b")).stderr
    mistyped = cli("start", "dmeo").stderr
    assert "it has: demo; did you mean demo?" in mistyped
    assert "next:  bottle start demo" in mistyped


def test_a_mistyped_host_is_led_on(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise RemoteError("no such host") from socket.gaierror()

    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host newhost\n")
    monkeypatch.setattr("bottle.cli.far.SshRemote.connect", unknown)
    identity = str(cli.start().identity)
    assert "no such host; did you mean newhost?" in cli("migrate", identity, "me@newhots").stderr
    assert "no such host; did you mean newhost?" in cli("doctor", "newhots").stdout
    assert "did you mean" not in cli("migrate", identity, "newhost").stderr
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    store(tmp_path / "docker", "faraway", "ssh://me@10.0.0.1")
    assert "no such host; did you mean faraway?" in cli("migrate", identity, "farawy").stderr
