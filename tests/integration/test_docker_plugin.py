"""`docker bottle …`: the real docker client finds the plugin, and the plugin the engine that docker was told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

MANIFEST = """
[agents.worker]
image = "{image}"
command = ["/bin/sh", "-c", "while :; do sleep 1; done"]
network = "none"
"""


@dataclass(frozen=True)
class Docker:
    """The docker client of somebody who has the plugin, and has named no engine."""

    folder: Path
    environ: dict[str, str]

    def __call__(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            ("docker", *words), cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr


@pytest.fixture
def here(engine: object) -> str:
    """The address of the engine in force."""
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")


@pytest.fixture
def docker(here: str, tmp_path: Path) -> Docker:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
    own = {"DOCKER_CONFIG": str(tmp_path / "docker"), "BOTTLE_HOME": str(tmp_path / "bottles")}
    docker = Docker(tmp_path, {**outside, **own})
    install = (sys.executable, "-m", "bottle", "install-plugin")
    subprocess.run(install, env=docker.environ, cwd=Path(__file__).parents[2], check=True, capture_output=True)
    docker("context", "create", "here", "--docker", f"host={here}")
    docker("context", "create", "nowhere", "--docker", "host=unix:///nowhere.sock")
    docker("context", "use", "nowhere")
    return docker


def test_docker_knows_the_plugin(docker: Docker) -> None:
    assert "bottle*" in docker("--help")
    plugins = json.loads(docker("-c", "here", "info", "--format", "{{json .ClientInfo.Plugins}}"))
    (plugin,) = (each for each in plugins if each["Name"] == "bottle")
    assert plugin.get("Err") is None
    assert docker("bottle", "--version").startswith("bottle, version ")
    for words in (("bottle", "ls", "--help"), ("help", "bottle", "ls"), ("--help", "bottle", "ls")):
        assert docker(*words).startswith("Usage: docker bottle ls ")
    assert docker("__complete", "bottle", "completion", "z") == "zsh\n:4\n"


def test_the_engine_is_the_one_that_docker_is_told(docker: Docker, here: str) -> None:
    for options in (("-c", "here"), ("--context=here",), ("-H", here), ("-Dc=here",), ("--host", here, "-l", "error")):
        told = json.loads(docker(*options, "bottle", "version", "--format", "json"))
        assert told["engine"]["address"] == here
        assert told["docker_engine"]["version"] == docker(*options, "version", "-f", "{{.Server.Version}}").strip()
    assert "unix:///nowhere.sock" in docker("bottle", "ls", code=5)
    assert '"absent"' in docker("-c", "absent", "bottle", "ls", code=5)


def test_exit_codes_pass_through(docker: Docker) -> None:
    assert "nobody-00000" in docker("-c", "here", "bottle", "inspect", "nobody-00000", code=3)
    assert "docker bottle" in docker("bottle", "nothing", code=2)
    assert "--tlscacert" in docker("--tlscacert", "/ca.pem", "bottle", "ls", code=2)


@pytest.fixture
def worker(docker: Docker, small_base: str) -> Iterator[str]:
    """A bottle that runs, started through docker."""
    (docker.folder / "bottle.toml").write_text(MANIFEST.format(image=small_base))
    started = json.loads(docker("-c", "here", "bottle", "start", "-d", "worker", "--format", "json"))
    yield started["identity"]
    for end in (("stop",), ("rm", "--yes")):
        docker("-c", "here", "bottle", *end, started["identity"])


def test_what_ends_docker_ends_bottle(docker: Docker, worker: str) -> None:
    """Docker hands no signal on where there is no terminal."""
    command = ("docker", "-c", "here", "bottle", "exec", worker, "--", "sh", "-c", "echo ready; sleep 1000")
    running = subprocess.Popen(
        command, cwd=docker.folder, env=docker.environ, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=60)  # to the end of what the plugin's process writes to, which is its end
    assert running.returncode == 130, said
    assert "interrupted" in said


def test_ctrl_c_is_heard_once_where_the_output_goes_elsewhere(docker: Docker, worker: str) -> None:
    """Docker closes its socket then too, and the terminal tells both of them."""
    pipeline = (
        f"docker -c here bottle exec {worker} -- sh -c 'echo ready; sleep 1000' | cat; echo code ${{PIPESTATUS[0]}}"
    )
    shell = pexpect.spawn("bash", ["-c", f"trap : INT; {pipeline}"], cwd=docker.folder, env=docker.environ, timeout=60)
    shell.expect_exact("ready")
    shell.sendintr()
    shell.expect_exact("bottle: interrupted")
    shell.expect_exact("code 130")
    shell.expect_exact(pexpect.EOF)
