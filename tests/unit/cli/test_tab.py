"""What a Tab knows of the commands is what they are; UPDATE_GOLDEN=1 writes it anew. And a Tab is quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from bottle.agent.template import entry_of
from bottle.cli import tab
from bottle.cli.main import main

CONTEXT = click.Context(main)
# What takes long to load, and is of no use to a Tab.
HEAVY = (
    "cattrs",
    "docker",
    "paramiko",
    "fabric",
    "migrate",
    "questionary",
    "tqdm",
    "bottle.operations",
    "bottle.docker_engine.engine",
)


def commands() -> dict[str, click.Command]:
    found = {name: main.get_command(CONTEXT, name) for name in main.list_commands(CONTEXT)}
    return {name: command for name, command in found.items() if command is not None}


def test_a_tab_knows_the_commands_as_they_are() -> None:
    told = {name: tab.described(command) for name, command in commands().items()}
    if os.environ.get("UPDATE_GOLDEN"):
        tab.FILE.write_text(json.dumps(told, indent=1) + "\n")
    assert told == json.loads(tab.FILE.read_text())


@pytest.mark.parametrize("name", commands())
def test_what_it_knows_makes_the_same_commands(name: str) -> None:
    made = tab.command(name)
    assert made is not None
    assert tab.described(made) == tab.described(commands()[name])


def test_what_there_is_not_is_none() -> None:
    assert tab.command("nothing") is None


WORDS = ("bottle ", "bottle resume cl", "bottle migrate x ", "bottle capability show ", "bottle ls --fo")
SCRIPT = """
import sys; from bottle.cli.main import main
try: main(prog_name='bottle')
finally: print(*filter(sys.modules.get, sys.modules))  # None is a module that may not be loaded
"""


def typed(words: str, home: Path) -> dict[str, str]:
    """The environment in which a shell asks for the end of the last word."""
    return {
        "HOME": str(home),
        "_BOTTLE_COMPLETE": "bash_complete",
        "COMP_WORDS": words.replace(" ", "\n"),
        "COMP_CWORD": str(words.count(" ")),
    }


@pytest.mark.parametrize("words", WORDS)
def test_a_tab_loads_nothing_that_it_does_not_need(words: str, tmp_path: Path) -> None:
    done = subprocess.run(
        (sys.executable, "-c", SCRIPT), env=typed(words, tmp_path), capture_output=True, text=True, check=True
    )
    loaded = done.stdout.splitlines()[-1].split()
    assert [name for name in loaded if name.split(".")[0] in HEAVY or name in HEAVY] == []


@pytest.mark.parametrize("words", [*WORDS, "bottle start "])
def test_a_tab_takes_less_than_150_ms(words: str, tmp_path: Path) -> None:
    """Of a processor's time, the best of fifteen: what else the machine does is not its fault.

    Where a processor is shared, the same takes twice as long at times: then so does Python's own start, and a Tab takes
    no more than twelve of those.
    """

    (tmp_path / "bottle.toml").write_text(entry_of("shell"))

    def once(script: str) -> float:
        process = subprocess.Popen(
            (sys.executable, "-c", script), cwd=tmp_path, env=typed(words, tmp_path), stdout=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return used.ru_utime + used.ru_stime

    pairs = ((once(SCRIPT), once("pass")) for _ in range(15))
    assert any(tab < 0.15 or tab / bare < 12 for tab, bare in pairs)
