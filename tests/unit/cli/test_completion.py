"""Shell completion: what is offered, to every shell alike, and that it asks nobody and never complains."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click
import pexpect
import pytest
from click.shell_completion import ShellComplete, get_completion_class

from bottle.cli.main import main
from bottle.cli.tab import Bash
from tests.support.contexts import store
from tests.unit.cli.conftest import Cli

NAMED = (
    "commit",
    "resume",
    "stop",
    "rm",
    "attach",
    "exec",
    "logs",
    "inspect",
    "history",
    "diff",
    "export",
    "migrate",
    "fork",
)


def offered(*words: str) -> list[str]:
    """What a shell offers for the last of these words."""
    complete = ShellComplete(main, {}, "bottle", "_BOTTLE_COMPLETE")
    return [item.value for item in complete.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize("command", [*NAMED, *(f"capability {each}" for each in ("list", "show", "approve", "deny"))])
def test_bottles_are_offered_wherever_one_is_named(cli: Cli, command: str) -> None:
    one, other = sorted(str(cli.start().identity) for _ in range(2))
    cli.world.engine.calls.clear()
    before = cli.disk()
    words = command.split()
    assert offered(*words, "") == [one, other]
    assert offered(*words, one[:-1]) == [each for each in (one, other) if each.startswith(one[:-1])]
    assert offered(*words, "x") == []
    assert cli.world.engine.calls == []
    assert cli.disk() == before


@pytest.mark.parametrize("command", ["stop", "rm"])
def test_a_bottle_that_was_named_is_not_offered_again(cli: Cli, command: str) -> None:
    one, other = sorted(str(cli.start().identity) for _ in range(2))
    assert offered(command, one, "") == [other]


def test_a_host_is_not_a_bottle(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "me"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("bottle.cli.hosts._SYSTEM", home / "none")
    identity = str(cli.start().identity)
    assert offered("migrate", identity, "") == []
    (home / ".ssh").mkdir()
    (home / ".ssh" / "config").write_text("Host newhost other *.example\n")
    assert offered("migrate", identity, "") == ["newhost", "other"]
    assert offered("migrate", identity, "me@n") == ["me@newhost"]
    assert offered("doctor", "o") == ["other"]
    assert offered("migrate", "") == [identity]
    monkeypatch.setenv("DOCKER_CONFIG", str(home / "docker"))
    for name, address in (("far", "ssh://me@far"), ("desk", "unix:///desk.sock"), ("new.far", "ssh://x")):
        store(home / "docker", name, address)
    store(home / "docker", "broken", "").write_text("{")
    assert offered("migrate", identity, "") == ["far", "newhost", "other"]
    assert offered("doctor", "f") == ["far"]
    assert offered("migrate", identity, "me@") == ["me@newhost", "me@other"]


def test_commits_are_offered_by_number_the_newest_first(cli: Cli) -> None:
    identity = str(cli.start().identity)
    assert offered("resume", identity, "--at", "") == []
    cli("commit", identity, "-m", "before \x1b[31mthe\n upgrade")
    cli("commit", identity)
    assert offered("resume", identity, "--at", "") == ["2", "1"]
    assert offered("resume", identity[:-2], "--at", "1") == ["1"]
    assert offered("resume", "--at", "") == []
    assert offered("fork", f"{identity}@") == [f"{identity}@2", f"{identity}@1"]
    assert offered("fork", f"{identity}@1") == [f"{identity}@1"]
    complete = ShellComplete(main, {}, "bottle", "_BOTTLE_COMPLETE")
    helps = [item.help for item in complete.get_completions(["resume", identity, "--at"], "1")]
    assert helps[0].endswith("before the upgrade")


def test_agents_are_those_of_the_manifest(cli: Cli) -> None:
    assert offered("start", "") == ["demo"]
    assert offered("start", "x") == []


def test_where_something_is_wrong_nothing_is_offered(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = cli.start()
    (bottle.path / "commits.json").write_text("{")
    assert offered("resume", str(bottle.identity), "--at", "") == []
    assert offered("fork", "x@y@") == []
    (cli.world.cwd / "bottle.toml").write_text("[agents")
    assert offered("start", "") == []
    (cli.world.cwd / "bottle.toml").unlink()
    assert offered("start", "") == []
    monkeypatch.setenv("BOTTLE_HOME", str(cli.world.cwd / "missing"))
    assert offered("resume", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(cli: Cli, shell: str) -> None:
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(main, {}, "bottle", "_BOTTLE_COMPLETE").source()
    assert "_BOTTLE_COMPLETE" in script
    assert cli("completion", shell).stdout.strip() == script.strip()
    assert cli.json("completion", shell)["script"] == script


@pytest.mark.parametrize(
    ("words", "cword", "args", "incomplete", "printed"),
    [
        (("bottle", "fork", "demo-abcde", "@"), 3, ["fork"], "demo-abcde@", "@1"),  # as bash splits it
        (("bottle", "fork", "demo-abcde", "@", "1"), 4, ["fork"], "demo-abcde@1", "@1"),
        (("bottle", "fork", "demo-abcde@1"), 2, ["fork"], "demo-abcde@1", "demo-abcde@1"),  # where @ breaks no word
    ],
)
def test_bash_takes_an_at_for_a_word(
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    cword: int,
    args: list[str],
    incomplete: str,
    printed: str,
) -> None:
    identity = str(cli.start().identity)
    cli("commit", identity)
    monkeypatch.setenv("COMP_WORDS", "\n".join(words).replace("demo-abcde", identity))
    monkeypatch.setenv("COMP_CWORD", str(cword))
    complete = Bash(main, {}, "bottle", "_BOTTLE_COMPLETE")
    assert complete.get_completion_args() == (args, incomplete.replace("demo-abcde", identity))
    assert complete.complete() == "plain," + printed.replace("demo-abcde", identity)


@dataclass(frozen=True)
class Typing:
    """A bottle with a commit, and the command `bottle` for a shell to complete."""

    identity: str
    env: dict[str, str]
    cwd: Path

    def run(self, *argv: str) -> str:
        done = subprocess.run(argv, env=self.env, cwd=self.cwd, capture_output=True, text=True, timeout=60, check=True)
        assert done.stderr == ""
        return done.stdout


@pytest.fixture
def typing(cli: Cli, tmp_path: Path) -> Typing:
    identity = str(cli.start().identity)
    cli("commit", identity)
    command = tmp_path / "bottle"
    run = "from bottle.cli.main import main; main(prog_name='bottle')"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{run}" "$@"\n')
    command.chmod(0o755)
    env = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "TERM": "dumb",
        "BOTTLE_HOME": str(cli.world.home.path),
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "DOCKER_HOST": "unix:///nowhere",
    }
    return Typing(identity, env, cli.world.cwd)


def test_a_real_bash_completes_a_real_command(typing: Typing) -> None:
    script = """
        eval "$(bottle completion bash)"
        try() {
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
            _bottle_completion bottle
            echo "${COMPREPLY[*]}"
        }
        try bottle resume ""
        try bottle resume "$1" --at ""
        try bottle fork "$1" @
        try bottle start d
    """
    printed = typing.run("bash", "--norc", "-c", script, "bash", typing.identity)
    assert printed.splitlines() == [typing.identity, "1", "@1", "demo"]


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("resume ", "resume {} "),
        ("resume {} --at ", "resume {} --at 1 "),
        ("fork {}@", "fork {}@1 "),
        ("doctor me@n", "doctor me@newhost "),
        ("start d", "start demo "),
    ],
)
def test_what_a_real_bash_makes_of_a_line(typing: Typing, typed: str, completed: str) -> None:
    home = Path(typing.env["HOME"])
    (home / ".ssh").mkdir()
    (home / ".ssh" / "config").write_text("Host newhost\n")
    (home / ".bashrc").write_text(
        """
        eval "$(bottle completion bash)"
        tell() { echo "<$READLINE_LINE>"; }
        bind -x '"\\C-x": tell'
        PS1='ready> '
        """
    )
    env = cast("Any", typing.env)
    words = ["--noprofile", "--rcfile", str(home / ".bashrc"), "-i"]
    shell = pexpect.spawn("bash", words, env=env, cwd=str(typing.cwd), timeout=30, encoding="utf-8")
    try:
        shell.setwinsize(24, 200)
        shell.expect("ready> ")
        shell.send(f"bottle {typed.format(typing.identity)}\t\x18")
        shell.expect(r"<(bottle [^\r\n>]*)>")
        assert shell.match
        assert shell.match[1] == f"bottle {completed.format(typing.identity)}"
    finally:
        shell.close(force=True)


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_a_real_fish_completes_a_real_command(typing: Typing) -> None:
    script = f"""
        bottle completion fish | source
        for line in 'resume ' 'resume {typing.identity} --at ' 'fork {typing.identity}@' 'start d'
            complete --do-complete "bottle $line"
        end
    """
    printed = [line.split("\t")[0] for line in typing.run("fish", "--no-config", "-c", script).splitlines()]
    assert printed == [typing.identity, "1", f"{typing.identity}@1", "demo"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("resume ", "resume {} "),
        ("resume {} --at ", "resume {} --at 1 "),
        ("fork {}@", "fork {}@1 "),
        ("start d", "start demo "),
    ],
)
def test_a_real_zsh_completes_a_real_command(typing: Typing, typed: str, completed: str) -> None:
    (Path(typing.env["HOME"]) / ".zshrc").write_text(
        """
        autoload -Uz compinit; compinit -D
        eval "$(bottle completion zsh)"
        tell() { print -r -- "<$BUFFER>" }; zle -N tell; bindkey '^X' tell
        PS1='ready> '
        """
    )
    env = cast("Any", typing.env)
    shell = pexpect.spawn("zsh", ["-d", "-i"], env=env, cwd=str(typing.cwd), timeout=30, encoding="utf-8")
    try:
        shell.setwinsize(24, 200)
        shell.expect("ready> ")
        shell.send(f"bottle {typed.format(typing.identity)}\t\x18")
        shell.expect(r"<(bottle [^\r\n>]*)>")
        assert shell.match
        assert shell.match[1] == f"bottle {completed.format(typing.identity)}"
    finally:
        shell.close(force=True)


@pytest.mark.parametrize("command", main.list_commands(click.Context(main)))
def test_a_tab_behind_any_command_is_answered(cli: Cli, command: str) -> None:
    offered(command, "")


def test_templates_are_offered() -> None:
    assert offered("init", "cl") == ["claude"]
