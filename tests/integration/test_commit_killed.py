"""A commit of what changed is killed, or its disk is full, at a few of its moments; tests/campaigns has all of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import docker
import pytest

from tests.oracle.killed import SCENARIOS, Killed
from tests.oracle.oracle import Oracle, oracle_in

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the engine's folders are root's")
# Behind which a container is being paused, and an archive is there for the engine to read.
PAUSE, LOAD = "/pause", "send 5 bytes"


@pytest.fixture
def oracle(tmp_path: Path, engine: docker.DockerClient, oracle_image: str) -> Iterator[Oracle]:
    """An oracle whose desk is on a small disk of its own."""
    with ExitStack() as stack:
        folder = tmp_path / "desk"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], check=True)
        stack.callback(subprocess.run, ["umount", folder], check=True)
        yield stack.enter_context(oracle_in(folder, engine, oracle_image))


@pytest.mark.parametrize(("name", "moments"), [("second", (PAUSE, LOAD)), ("ahead", (PAUSE,)), ("first", (LOAD,))])
def test_a_commit_that_is_killed_is_made_or_not_and_leaves_nothing(
    oracle: Oracle, name: str, moments: tuple[str, ...]
) -> None:
    killed = Killed(oracle, SCENARIOS[name])
    killed.strike_behind(*moments)
    assert killed.broken == []
    assert killed.struck == len(moments)


def test_a_disk_that_fills_up_is_named_and_costs_nothing(oracle: Oracle) -> None:
    filler = oracle.desk.folder / "filler"
    killed = Killed(oracle, SCENARIOS["second"], act=f"cat /dev/zero > {filler}", repair=filler.unlink)
    killed.strike_behind(PAUSE)
    assert killed.broken == []
    assert any("No space left on device" in said for said in killed.said), killed.said
