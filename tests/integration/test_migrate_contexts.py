"""`migrate` to a host as Docker users write it: a context that leads there over SSH, and an `ssh://` address."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from tests.hosts import DockerHost
from tests.integration.migration import Desk, far_can_resume, forgotten, owners


@pytest.fixture
def place(desk: Desk, there: DockerHost) -> str:
    """The host by its address, which no ssh_config gives a name of ours: `USER@ADDRESS:PORT`."""
    address = "127.0.0.1"
    desk.knows_as(address, there, there.port, user="nobody")
    desk.environ["DOCKER_CONFIG"] = str(desk.folder / "docker")
    return f"root@{address}:{there.port}"


def docker(desk: Desk, *words: str) -> str:
    """The real docker client at the desk."""
    done = subprocess.run(("docker", *words), env=desk.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_bottle_moves_to_a_context_and_comes_back_from_it(desk: Desk, there: DockerHost, place: str) -> None:
    docker(desk, "context", "create", "far", "--docker", f"host=ssh://{place}")
    docker(desk, "context", "create", "desk", "--docker", "host=unix:///var/run/docker.sock")
    engine = docker(desk, "--context", "far", "info", "--format", "{{.ID}}")
    assert engine == there.docker("info", "--format", "{{.ID}}").text
    identity = desk.start("plain")
    with forgotten(there, identity):
        said = desk.refused(2, "migrate", identity, "desk")
        assert 'the Docker context "desk" leads to no host over SSH' in said
        assert "next:  docker context ls" in said

        assert desk.ok("doctor", "far")["host"] == place
        done = desk.bottle("migrate", identity, "far", "--plan")
        assert done.returncode == 0, done.stderr.decode()
        assert f"far is a Docker context: the host is {place}" in done.stderr.decode()

        # Cut while it is handed over, and gone on with by either name of the host: it is one and the same.
        code, _ = desk.strike("after:migration.json:3", "migrate", identity, "far")
        assert code == -signal.SIGKILL
        migration = desk.migration(identity)
        assert migration is not None
        assert migration["host"] == place
        assert f"bottle migrate {identity} {place}" in desk.bottle("list", "-a").stdout.decode()
        moved = desk.ok("migrate", identity, "far")
        assert moved["host"] == place
        assert json.loads((desk.states / identity / "moved-to.json").read_text())["host"] == place
        assert owners(desk, identity, there) == (False, True)
        assert place in desk.refused(4, "resume", identity)
        for name in (place, f"ssh://{place}", "far"):
            assert desk.ok("migrate", identity, name)["staged_bytes"] == moved["staged_bytes"]

        back = desk.ok("migrate", identity, "far", "--from", "--yes")
        assert (back["arrived_as"], back["from"]) == (identity, place)
        assert owners(desk, identity, there) == (True, False)


def test_a_bottle_moves_to_an_address_of_ssh(desk: Desk, there: DockerHost, place: str) -> None:
    identity = desk.start("plain")
    with forgotten(there, identity):
        assert desk.ok("doctor", f"ssh://{place}")["host"] == place
        assert "without a password, a path or a query" in desk.refused(2, "migrate", identity, f"ssh://{place}/x.sock")
        assert desk.ok("migrate", identity, f"ssh://{place}")["host"] == place
        assert far_can_resume(there, identity)
        assert f"it moved to {place}" in desk.refused(4, "resume", identity)
