"""What a command loads: the time that it takes to begin is the time that its modules take to load."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from bottle.cli.main import _COMMANDS

SCRIPT = """
import sys; from bottle.cli.entry import main
try: main()
finally: print(*filter(sys.modules.get, sys.modules), file=sys.stderr)  # None is a module that may not be loaded
"""
COMMANDS = {f"bottle.cli.{place.partition(':')[0]}" for place in _COMMANDS.values()}
SSH = {"paramiko", "fabric", "invoke"}
SCREENS = {"textual", "rich", "questionary", "prompt_toolkit", "tqdm"}


def loaded(folder: Path, *words: str) -> set[str]:
    """The modules that are there when `bottle WORDS` has ended; no engine answers it."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "DOCKER_HOST": f"unix://{folder}/no.sock",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    done = subprocess.run(
        (sys.executable, "-c", SCRIPT, *words), cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return set(done.stderr.splitlines()[-1].split())


def within(modules: Iterable[str], packages: set[str]) -> set[str]:
    """Those of `modules` that are one of `packages`, or in one."""
    return {each for each in modules if any(each == name or each.startswith(f"{name}.") for name in packages)}


@pytest.mark.parametrize("words", [("--help",), (), ("-h",), ("no-such-command",)])
def test_the_help_loads_no_command(words: tuple[str, ...], tmp_path: Path) -> None:
    packages = {"bottle.model", "bottle.operations", "bottle.docker_engine", "migrate", "docker", "requests"}
    slow = {"importlib.metadata", "importlib.resources"}
    assert within(loaded(tmp_path, *words), COMMANDS | packages | SSH | SCREENS | slow) == set()


@pytest.mark.parametrize("name", sorted(_COMMANDS))
def test_the_help_of_a_command_loads_no_docker(name: str, tmp_path: Path) -> None:
    assert within(loaded(tmp_path, name, "--help"), SCREENS | {"docker"}) == set()


def test_a_list_loads_what_lists(tmp_path: Path) -> None:
    modules = loaded(tmp_path, "ls")
    assert "docker" in modules
    assert within(modules, SSH | SCREENS | {"migrate", "zstandard", "difflib"}) == set()
    others = {"bottle.cli.listing", "bottle.operations.context", "bottle.operations.finding"}
    others |= {"bottle.operations.listing", "bottle.operations.weighing"}
    assert within(modules, COMMANDS) == {"bottle.cli.listing"}
    assert within(modules, {"bottle.operations"}) == {"bottle.operations", *others - {"bottle.cli.listing"}}


@pytest.mark.parametrize("name", ["start", "commit", "exec", "history", "diff", "stop", "rm", "resume", "fork"])
def test_what_works_on_this_host_loads_no_way_to_others(name: str, tmp_path: Path) -> None:
    assert within(loaded(tmp_path, name, "demo-abc12"), SSH | SCREENS | {"migrate", "zstandard"}) == set()
