"""`version`: all that bottle runs on, also where some of it does not answer."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

import bottle
from bottle.docker_engine.client import client_version
from bottle.errors import EngineUnreachable
from tests.unit.cli.conftest import Cli


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The docker client, the only program there is."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho Docker version 28.2.2, build e6534b4\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return program


def test_all_of_it_is_told(cli: Cli, client: Path) -> None:
    info = cli.world.engine.info()
    where = cli.world.engine.endpoint
    assert cli.json("version") == {
        "schema": 1,
        "bottle": bottle.__version__,
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "platform": platform.platform(),
        "docker_client": "Docker version 28.2.2, build e6534b4",
        "engine": {"address": where.address, "context": where.context, "from": where.origin or None},
        "docker_engine": {
            "version": info.version,
            "api_version": info.api_version,
            "os": info.os,
            "architecture": info.architecture,
        },
    }
    said = cli("version").stdout
    assert all(each in said for each in (bottle.__version__, "28.2.2", info.version, where.address))


def test_what_does_not_answer_is_said(cli: Cli, client: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client.unlink()

    def silent() -> None:
        raise EngineUnreachable("no Docker Engine answers at unix:///nowhere.sock")

    monkeypatch.setattr(cli.world.engine, "info", silent)
    document = cli.json("version")
    assert (document["docker_client"], document["docker_engine"]) == (None, None)
    said = cli("version").stdout
    assert "none on the PATH" in said
    assert "unix:///nowhere.sock" in said


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo podman version 4.3.1", "podman version 4.3.1"),
        (r"printf 'Docker\033[31m\nbottle: lies\n'", "Docker bottle: lies"),
        ("exit 1", None),
    ],
)
def test_what_the_client_says_is_one_line(client: Path, script: str, version: str | None) -> None:
    client.write_text(f"#!/bin/sh\n{script}\n")
    assert client_version({"PATH": str(client.parent)}) == version
