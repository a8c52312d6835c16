"""No work is trusted to a runtime that may keep it to itself, and none that is there is thrown away."""

from __future__ import annotations

from pathlib import Path

import pytest

from bottle.errors import PreflightRefused
from bottle.model import Runtime, Status
from bottle.operations import StartRequest, commit, exit_code, plan_start, resume, stop
from bottle.operations.doctor import Check, examine
from bottle.plan.resume import ResumeRequest
from tests.support.trees import snapshot
from tests.support.world import AGENT, World

PLAIN = ResumeRequest()


def use(world: World, name: str, program: str) -> None:
    """Have the engine make its containers in another runtime from now on."""
    world.engine.runtimes += (Runtime(name=name, program=program),)
    world.engine.default_runtime = name


def bad(world: World, tmp_path: Path) -> list[Check]:
    checks = examine(world.context, tmp_path)
    return [each for each in checks if each.exit_code == PreflightRefused.exit_code]


def test_nothing_is_started_in_one(world: World, tmp_path: Path) -> None:
    use(world, "secure", "/usr/local/bin/runsc")
    before = snapshot(world.folder)
    with pytest.raises(PreflightRefused, match=r"secure \(/usr/local/bin/runsc\)") as caught:
        plan_start(world.context, StartRequest(agent=AGENT, cwd=world.cwd))
    assert "default-runtime" in caught.value.next_step
    assert (snapshot(world.folder), world.engine.methods) == (before, ("info",))
    assert [each.name for each in bad(world, tmp_path)] == ["docker runtime"]
    assert exit_code(examine(world.context, tmp_path)) == 8


def test_a_relative_under_another_name_is_fine(world: World, tmp_path: Path) -> None:
    use(world, "quick", "/usr/bin/crun")
    bottle = world.start()
    world.work(bottle, "/srv/file", b"x")
    assert commit(world.context, bottle).commit.number == 1
    assert bad(world, tmp_path) == []


def test_no_container_is_made_in_one_of_a_commit(world: World) -> None:
    bottle = world.start()
    commit(world.context, bottle)
    stop(world.context, bottle)
    world.engine.remove_container(bottle.identity.container)
    use(world, "runsc", "")
    with pytest.raises(PreflightRefused, match="containers run in the runtime runsc"):
        resume(world.context, bottle, PLAIN)
    assert world.context.container(bottle.identity) is None


def test_what_runs_in_one_is_neither_committed_nor_stopped_and_can_be_joined(world: World, tmp_path: Path) -> None:
    bottle = world.start()
    name = bottle.identity.container
    world.engine._container(name).runtime = "runsc"
    for verb in (commit, stop):
        with pytest.raises(PreflightRefused, match="runs in the runtime runsc") as caught:
            verb(world.context, bottle)
        assert caught.value.next_step.startswith(f"docker exec {name} tar ")
    assert world.status(bottle) is Status.RUNNING
    assert bottle.commits() == ()
    assert resume(world.context, bottle, PLAIN).running
    assert [each.name for each in bad(world, tmp_path)] == [str(bottle.identity)]


def test_what_has_ended_in_one_is_not_started_again(world: World) -> None:
    bottle = world.start()
    stop(world.context, bottle)
    world.engine._container(bottle.identity.container).runtime = "runsc"
    with pytest.raises(PreflightRefused, match="its container runs in the runtime runsc") as caught:
        resume(world.context, bottle, PLAIN)
    assert "docker export" in caught.value.next_step
    assert world.status(bottle) is Status.EXITED
