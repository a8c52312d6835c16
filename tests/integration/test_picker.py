"""Choosing a bottle by keyboard: the real commands, with no identity, on a real pseudo-terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pexpect
import pytest

from tests.support.terminal import Terminal

BOTTLE = ("-c", "from bottle.cli.main import main; main(prog_name='bottle')")
UP, DOWN, ENTER, ESCAPE, CTRL_C = "\x1b[A", "\x1b[B", "\r", "\x1b", "\x03"
DETACH = "\x10\x11"
MANIFEST = """
[agents.apple]
image = "{image}"
command = ["/bin/cat"]
network = "none"

[agents.pear]
image = "{image}"
command = ["/bin/cat"]
network = "none"
"""


@dataclass
class Desk:
    """A folder with a manifest and a state home, and three bottles: two apples and a pear."""

    folder: Path
    engine: docker.DockerClient

    @property
    def environ(self) -> dict[str, str]:
        """Of commands. Pexpect answers no question for the cursor's place."""
        return {**os.environ, "BOTTLE_HOME": str(self.folder / "home"), "PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm"}

    def spawn(self, *words: str) -> pexpect.spawn:
        """A command on a terminal."""
        return pexpect.spawn(
            sys.executable,
            [*BOTTLE, *words],
            cwd=str(self.folder),
            env=self.environ,
            dimensions=(30, 160),
            timeout=30,
            encoding="utf-8",
        )

    def json(self, *words: str) -> dict[str, Any]:
        """What a command off a terminal answers."""
        done = subprocess.run(
            (sys.executable, *BOTTLE, *words, "--format", "json"),
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=True,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def bottles(self) -> dict[str, dict[str, Any]]:
        """What `list -a` says of each, in its order."""
        return {each["identity"]: each for each in self.json("list", "-a")["bottles"]}

    def states(self) -> list[tuple[str, str, int | None]]:
        """Which bottles there are, with what becomes of them by a command."""
        return [(name, each["state"], each["commit"]) for name, each in self.bottles().items()]


@contextmanager
def desk_in(folder: Path, engine: docker.DockerClient, image: str) -> Iterator[Desk]:
    """A desk with three running bottles, one of them committed; all are removed afterwards."""
    (folder / "bottle.toml").write_text(MANIFEST.format(image=image))
    desk = Desk(folder, engine)
    try:
        for agent in ("apple", "apple", "pear"):
            desk.json("start", "-d", agent)
        desk.json("commit", next(iter(desk.bottles())))
        yield desk
    finally:
        for identity in desk.bottles():
            desk.json("stop", "--grace", "0", identity)
            desk.json("rm", "--yes", identity)


@pytest.fixture
def desk(tmp_path: Path, engine: docker.DockerClient, base_image: str) -> Iterator[Desk]:
    """A fresh one."""
    with desk_in(tmp_path, engine, base_image) as desk:
        yield desk


@pytest.fixture(scope="module")
def common_desk(
    tmp_path_factory: pytest.TempPathFactory, engine: docker.DockerClient, base_image: str
) -> Iterator[Desk]:
    """One for all who change nothing."""
    with desk_in(tmp_path_factory.mktemp("desk"), engine, base_image) as desk:
        yield desk


@pytest.fixture
def unchanged(common_desk: Desk) -> Iterator[Desk]:
    """It; its bottles are as they were after each test."""
    before = common_desk.states()
    yield common_desk
    assert common_desk.states() == before


def asked(picker: pexpect.spawn, verb: str) -> None:
    """Wait until the question stands there with its last line."""
    picker.expect_exact(f"Which bottle is to be {verb}?")
    picker.expect_exact("pear-")


def finish(picker: pexpect.spawn) -> tuple[int, str]:
    """Read to the end; the exit code, and what was said."""
    picker.expect(pexpect.EOF)
    said = picker.before
    picker.close()
    assert picker.signalstatus is None
    return int(picker.exitstatus), said


def test_commit_shows_the_candidates_and_the_arrows_choose(desk: Desk) -> None:
    first, second, _ = desk.bottles()
    picker = desk.spawn("commit")
    picker.expect_exact("Which bottle is to be committed?")
    picker.expect(r"IDENTITY +STATE +STARTED +COMMIT +COMMITTED +SIZE")
    picker.expect(rf"{first} +running +\d+s ago +1 +\d+s ago +[\d.]+ k?B")
    picker.expect(rf"{second} +running +\d+s ago +- +- +0 B")
    picker.expect(r"pear-\w{5} +running")
    picker.send(DOWN + DOWN + UP + ENTER)
    code, said = finish(picker)
    assert code == 0
    assert f"commit 1 of {second}" in said
    assert [each["commit"] for each in desk.bottles().values()] == [1, 1, None]


def test_typing_filters(desk: Desk) -> None:
    picker = desk.spawn("commit")
    asked(picker, "committed")
    picker.send("pear")
    picker.send(ENTER)
    code, said = finish(picker)
    assert code == 0
    assert "commit 1 of pear-" in said
    assert [each["commit"] for each in desk.bottles().values()] == [1, None, 1]


@pytest.mark.parametrize("key", [ESCAPE, CTRL_C], ids=["esc", "ctrl-c"])
def test_whoever_leaves_changes_nothing(unchanged: Desk, key: str) -> None:
    for verb, words in {
        "committed": ("commit",),
        "stopped": ("stop",),
        "attached": ("attach",),
        "moved": ("migrate", "nobody@127.0.0.1:1"),
    }.items():
        picker = unchanged.spawn(*words)
        asked(picker, verb)
        picker.send(key)
        code, said = finish(picker)
        assert (code, "Traceback" in said) == (130, False), said
        assert ("no bottle was chosen; nothing was changed" if key == ESCAPE else "bottle: interrupted") in said
        assert ("bottle: " in said) == (key == CTRL_C)


def test_what_fits_none_chooses_none(unchanged: Desk) -> None:
    picker = unchanged.spawn("stop", "--grace", "0")
    asked(picker, "stopped")
    picker.send("codex" + ENTER)
    picker.send(ESCAPE)
    assert finish(picker)[0] == 130


def test_stop_and_resume_and_attach_go_by_keyboard_too(desk: Desk) -> None:
    *_, pear = desk.bottles()
    picker = desk.spawn("stop", "--grace", "0")
    asked(picker, "stopped")
    picker.send("pear" + ENTER)
    assert finish(picker)[0] == 0
    assert desk.bottles()[pear]["state"] == "stopped"

    picker = desk.spawn("resume", "-d")
    asked(picker, "resumed")
    picker.send(UP + ENTER)  # the only one that does not run, round from the first to the last
    code, said = finish(picker)
    assert (code, "started again" in said) == (0, True)
    assert desk.bottles()[pear]["state"] == "running"

    picker = desk.spawn("attach")
    asked(picker, "attached")
    picker.send("pear" + ENTER)
    picker.expect_exact("\x1b[?25h")  # the question is gone, and the cursor is back
    picker.sendline("joined")
    picker.expect_exact("joined")
    picker.send(DETACH)
    code, said = finish(picker)
    assert (code, f"{pear} goes on" in said) == (0, True)


@pytest.mark.parametrize("columns", [60, 80, 160])
def test_it_fits_the_terminal_and_has_headers(unchanged: Desk, columns: int) -> None:
    words = (sys.executable, *BOTTLE, "commit")
    with Terminal(words, cwd=unchanged.folder, environ=unchanged.environ, columns=columns, rows=24) as screen:
        shown = screen.shows(r"(?s)Which bottle is to be committed\?.*IDENTITY +STATE.*pear-\w{5}").splitlines()
        header = next(index for index, line in enumerate(shown) if "IDENTITY" in line)
        rows = [line.replace("»", " ").split()[0] for line in shown[header + 1 : header + 4]]
        assert rows == list(unchanged.bottles())
        screen.press("Escape")
        assert screen.exit_code() == 130


def test_migrate_asks_before_it_calls_anybody(unchanged: Desk) -> None:
    picker = unchanged.spawn("migrate", "nobody@127.0.0.1:1", "--plan")
    asked(picker, "moved")
    picker.send(ENTER)
    assert finish(picker)[0] == 6
