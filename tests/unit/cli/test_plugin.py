"""As a plugin of the docker client: what it is asked, docker's own options, and how it ends with the client."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pexpect
import pytest
from click.shell_completion import CompletionItem

from bottle.cli import installplugin, plugin
from bottle.cli.clientoptions import read_options
from bottle.docker_engine.endpoint import VARIABLES, resolve
from bottle.errors import UsageError
from tests.unit.cli.conftest import Cli


def asked(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """What the plugin answers to the docker client."""
    outside = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return subprocess.run(
        (sys.executable, "-P", "-m", "bottle.cli.dockerplugin", *words),
        env={**outside, **environ}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_it_says_what_it_is() -> None:
    document = json.loads(asked("docker-cli-plugin-metadata").stdout)
    assert document["SchemaVersion"] == "0.1.0"
    assert set(document) == {"SchemaVersion", "Vendor", "Version", "ShortDescription"}
    assert all(document.values())


@pytest.mark.parametrize(
    "words",
    [
        ("bottle", "stop", "--help"),
        ("help", "bottle", "stop"),
        ("--help", "bottle", "stop"),
        ("-h", "bottle", "stop"),
        ("-c", "there", "bottle", "stop", "-h"),
        ("--help", "bottle", "stop", "x", "--", "y"),
    ],
    ids=" ".join,
)
def test_help_is_told_however_docker_is_asked(words: tuple[str, ...], tmp_path: Path) -> None:
    said = asked(*words, BOTTLE_HOME=str(tmp_path))
    assert said.returncode == 0
    assert said.stdout.startswith("Usage: docker bottle stop ")


def test_only_docker_runs_it() -> None:
    told = asked("ls")
    assert (told.returncode, told.stdout) == (2, "")
    assert "docker bottle --help" in told.stderr


def test_exit_codes_are_those_of_bottle(tmp_path: Path) -> None:
    home = {"BOTTLE_HOME": str(tmp_path)}
    assert asked("bottle", "inspect", "nobody-00000", **home).returncode == 3
    assert asked("bottle", "nothing", **home).returncode == 2
    assert asked("-D", "bottle", "--version", **home).stdout.startswith("bottle, version ")


# Docker's own options.

STORE = {"DOCKER_CONFIG": "/docker", "DOCKER_HOST": "tcp://env:1", "DOCKER_CONTEXT": "env"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), {}),
        (("-c", "there"), {"DOCKER_CONTEXT": "there", "DOCKER_HOST": ""}),
        (("-c=there",), {"DOCKER_CONTEXT": "there", "DOCKER_HOST": ""}),
        (("-Dcthere",), {"DOCKER_CONTEXT": "there", "DOCKER_HOST": ""}),
        (("--context=there",), {"DOCKER_CONTEXT": "there", "DOCKER_HOST": ""}),
        (("--context", "default"), {"DOCKER_CONTEXT": "default"}),
        (("-H", "tcp://h:1"), {"DOCKER_HOST": "tcp://h:1", "DOCKER_CONTEXT": "default"}),
        (("--host", ""), {"DOCKER_HOST": "", "DOCKER_CONTEXT": "default"}),
        (("--config", "/other"), {"DOCKER_CONFIG": "/other"}),
        (("--tls",), {"DOCKER_TLS": "1"}),
        (("--tlsverify", "-H", "h:1"), {"DOCKER_TLS_VERIFY": "1", "DOCKER_HOST": "h:1", "DOCKER_CONTEXT": "default"}),
        (("-D", "-l", "debug", "--log-level=info"), {}),
    ],
    ids=str,
)
def test_options_of_docker_become_what_its_variables_would_say(words: tuple[str, ...], said: Mapping[str, str]) -> None:
    found = read_options((*words, "bottle", "-c", "own", "--host"))
    assert (found.environment, found.words) == (said, ("bottle", "-c", "own", "--host"))


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ((), "tcp://env:1"),
        (("--context", "default"), "tcp://env:1"),
        (("-H", "tcp://h:1"), "tcp://h:1"),
        (("-H", ""), "unix:///var/run/docker.sock"),
    ],
)
def test_the_engine_is_the_one_that_docker_would_take(words: tuple[str, ...], address: str) -> None:
    environment = {**STORE, **read_options((*words, "bottle")).environment}
    assert resolve(environment).endpoint.address == address


@pytest.mark.parametrize(
    ("words", "named"),
    [(("--tlscacert", "/ca.pem"), "--tlscacert"), (("--tlscert=/c",), "--tlscert"), (("--tlskey", "/k"), "--tlskey"),
     (("--tls=false",), "--tls"), (("--new-option",), "--new-option")],
)  # fmt: skip
def test_what_cannot_be_heeded_is_refused_by_name(words: tuple[str, ...], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        read_options((*words, "bottle", "ls"))
    told = asked(*words, "bottle", "ls", "--format", "json")
    assert told.returncode == 2
    assert named in json.loads(told.stdout)["error"]["what"]


# Completion.


def test_words_complete_through_the_docker_client(tmp_path: Path) -> None:
    home = {"BOTTLE_HOME": str(tmp_path)}
    assert asked("__complete", "bottle", "completion", "z", **home).stdout == "zsh\n:4\n"
    told = asked("__completeNoDesc", "bottle", "install-p", **home).stdout.splitlines()
    assert [line.partition("\t")[0] for line in told] == ["install-plugin", ":4"]
    assert asked("__complete", "bottle", "import", "", **home).stdout == ":0\n"


def test_files_and_folders_are_left_to_the_shell() -> None:
    assert plugin.completions([CompletionItem("", type="dir")]) == [":16"]
    assert plugin.completions([CompletionItem("a", help="b"), CompletionItem("", type="file")]) == ["a\tb", ":0"]


# The end of the docker client.

WAITS = """
import signal
from bottle.cli import plugin
plugin.end_with_the_client()
print("ready", flush=True)
signal.pause()
"""


@pytest.mark.parametrize("abstract", [True, False])
def test_it_ends_when_the_client_is_told_to(abstract: bool, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0bottle-test-{os.getpid()}" if abstract else str(tmp_path / "socket"))
        server.listen()
        address = server.getsockname()
        told = "@" + address[1:].decode() if abstract else address
        waiting = subprocess.Popen(
            (sys.executable, "-c", WAITS), env={**os.environ, "DOCKER_CLI_PLUGIN_SOCKET": told},
            stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        client, _ = server.accept()
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == b"ready\n"
        client.close()
        assert waiting.wait(30) == -signal.SIGTERM
        waiting.stdout.close()


ASKS = "from bottle.cli import plugin; print(plugin.hears_ctrl_c())"


def test_in_the_foreground_of_a_terminal_ctrl_c_is_heard_and_nothing_else_is_needed() -> None:
    there = pexpect.spawn(sys.executable, ["-c", ASKS], timeout=30)
    there.expect_exact("True")
    away = subprocess.run((sys.executable, "-c", ASKS), capture_output=True, start_new_session=True, check=True)
    assert away.stdout == b"False\n"


def test_a_client_that_is_gone_already_is_no_trouble(tmp_path: Path) -> None:
    told = asked("bottle", "--version", DOCKER_CLI_PLUGIN_SOCKET=f"@nobody-{os.getpid()}", BOTTLE_HOME=str(tmp_path))
    assert told.returncode == 0


# Installing it.


def test_install_plugin_answers(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    path = str(tmp_path / "docker" / "cli-plugins" / "docker-bottle")
    outcomes = [cli.json("install-plugin")["outcome"] for _ in range(2)]
    assert cli.json("install-plugin", "--remove") == {"schema": 1, "plugin": path, "outcome": "removed"}
    assert outcomes == ["installed", "unchanged"]
    assert cli("install-plugin").stdout == f"wrote {path}: `docker bottle` runs this program\n"
    Path(path).write_text("mine")
    assert cli.json("install-plugin", exit_code=4)["error"]["code"] == "NameTaken"


@pytest.mark.parametrize(("client", "words"), [(None, ["waits"]), ("/usr/bin/docker", [])])
def test_a_client_that_is_missing_is_said(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: str | None, words: list[str]
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setattr(installplugin, "find_client", lambda environ: client)
    noted = cli("install-plugin").stderr
    assert [word for word in ("waits",) if word in noted] == words
