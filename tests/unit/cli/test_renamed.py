"""`docker rename` behind our back: every command finds the bottle's container, and none makes a second one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from bottle.dashboard.desk import Desk
from bottle.errors import NameTaken, TwoContainers
from bottle.launch import bare_spec
from bottle.model import Status, Tombstone
from bottle.operations import commit, fork, plan_for, prune, remove, resume, stop
from bottle.operations.fork import ForkRequest
from bottle.plan.resume import FromCommit, ResumeRequest, StartAgain
from bottle.store.state import CONTAINER, BottleState
from tests.support.world import World
from tests.unit.cli.conftest import Cli


def forget(cli: Cli, bottle: BottleState) -> None:
    """As an earlier version left it, which did not note the id."""
    (bottle.path / CONTAINER).unlink()


NOTED: dict[str, Callable[[Cli, BottleState], None]] = {"noted": lambda cli, bottle: None, "earlier": forget}


@pytest.fixture(params=NOTED.values(), ids=NOTED)
def renamed(cli: Cli, request: pytest.FixtureRequest) -> BottleState:
    """A bottle with a commit and newer work, in a container that was renamed; one beside it was run by hand."""
    bottle = cli.start()
    cli.world.work(bottle, "/work", b"old")
    cli("commit", str(bottle.identity))
    cli.world.work(bottle, "/work", b"new")
    request.param(cli, bottle)
    cli.world.engine.rename(bottle.identity.container, "mine")
    cli.world.engine.create(replace(bare_spec("try", bottle.identity.committed(1)), labels=()))
    return bottle


def only_ours(world: World) -> bool:
    return {each.name for each in world.engine.containers({})} == {"mine", "try"}


def test_those_that_look_find_it(cli: Cli, renamed: BottleState) -> None:
    identity = str(renamed.identity)
    (view,) = cli.json("list")["bottles"]
    assert view["state"] == "running"
    assert "called mine now" in view["detail"]
    assert cli.json("inspect", identity)["container"]["name"] == "mine"
    cli.world.engine.say("mine", b"hello\n")
    assert "hello" in cli.json("logs", identity)["output"]
    assert [check["verdict"] for check in cli.json("doctor")["checks"] if check["name"] == "bottles"] == ["good"]
    desk = Desk(cli.world.context)
    (row,) = desk.bottles()
    assert row.state == "running"
    assert desk.usage(renamed.identity) is not None
    assert desk.requests(row) == ()
    assert next(desk.output(renamed.identity))
    assert only_ours(cli.world)


@pytest.mark.parametrize(("words", "method"), [(("attach",), "attach"), (("exec", "--", "true"), "execute")])
def test_those_that_join_it_find_it(
    cli: Cli, renamed: BottleState, words: tuple[str, ...], method: str, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = cli.world.engine
    container = engine.container("mine")
    assert container is not None

    def end_when_joined() -> None:
        while method not in engine.methods:
            time.sleep(0.01)
        engine.exit("mine", 0)

    ending = threading.Thread(target=end_when_joined)
    ending.start()
    command, *rest = words
    assert cli(command, str(renamed.identity), *rest).exit_code == 0
    ending.join()
    assert next(call.arguments[0] for call in engine.calls if call.method == method) == container.id


def test_those_that_keep_its_work_find_it(cli: Cli, renamed: BottleState) -> None:
    world = cli.world
    assert commit(world.context, renamed).commit.number == 2
    assert renamed.container_id() == next(each.id for each in world.engine.containers({}) if each.name == "mine")
    assert stop(world.context, renamed).was_running
    container = world.engine.container("mine")
    assert container is not None
    assert container.status is Status.EXITED
    assert cli("export", str(renamed.identity), str(world.folder / "file")).exit_code == 0
    assert only_ours(world)


def test_a_resume_makes_no_second_one_from_the_older_commit(cli: Cli, renamed: BottleState) -> None:
    world = cli.world
    assert not isinstance(resume(world.context, renamed, ResumeRequest()).plan, FromCommit)
    stop(world.context, renamed)
    resumed = resume(world.context, renamed, ResumeRequest())
    assert isinstance(resumed.plan, StartAgain)
    assert resumed.container == "mine"
    assert world.engine.read("mine", "/work") == b"new"
    assert only_ours(world)
    stop(world.context, renamed)
    commit(world.context, renamed)
    assert isinstance(resume(world.context, renamed, ResumeRequest()).plan, FromCommit)
    assert {each.name for each in world.engine.containers({})} == {renamed.identity.container, "try"}
    assert world.content(renamed, "/work") == b"new"


def test_a_fork_pauses_it(cli: Cli, renamed: BottleState) -> None:
    fork(cli.world.context, renamed, ForkRequest(share_cwd=True))
    assert [call.arguments for call in cli.world.engine.calls if call.method == "pause"][-1:] != []
    container = cli.world.engine.container("mine")
    assert container is not None
    assert container.status is Status.RUNNING


def test_rm_and_prune_take_it_and_leave_what_was_run_by_hand(cli: Cli, renamed: BottleState) -> None:
    world = cli.world
    assert cli("rm", "--yes", str(renamed.identity)).exit_code == 4  # it runs
    renamed.tombstone.write(Tombstone(host="far", moved_at=world.engine.clock()))
    plan = plan_for(world.context, timedelta(0))
    assert any("it runs here" in each.why for each in plan.kept)
    world.engine.stop("mine")
    refused = prune(world.context, plan_for(world.context, timedelta(0)), consent=True)
    assert any("container try" in each.why for each in refused.left)
    world.engine.remove_container("try")
    renamed.tombstone.clear()
    removed = remove(world.context, renamed, consent=True)
    assert removed.containers == ("mine",)
    assert world.engine.containers({}) == ()


def test_one_that_an_earlier_version_started_and_nobody_committed_is_found(cli: Cli) -> None:
    bottle = cli.start()
    forget(cli, bottle)
    cli.world.engine.rename(bottle.identity.container, "mine")
    assert stop(cli.world.context, bottle).was_running
    assert bottle.container_id() is not None


@pytest.mark.parametrize("words", [("commit",), ("stop",), ("resume",), ("rm", "--yes"), ("inspect",), ("exec",)])
def test_two_are_named_and_neither_is_touched(cli: Cli, renamed: BottleState, words: tuple[str, ...]) -> None:
    """What an earlier version did: a second one was made while the first was renamed."""
    engine, identity = cli.world.engine, renamed.identity
    labels = (("bottle.identity", str(identity)), ("bottle.schema", "1"))
    engine.create(replace(bare_spec(identity.container, identity.committed(1)), labels=labels))
    (view,) = cli.json("list")["bottles"]
    assert view["state"] == "ambiguous"
    assert all(name in view["detail"] for name in ("mine", identity.container))
    before = engine.containers({})
    result = cli(words[0], *words[1:], str(identity), *(("--", "true") if words[0] == "exec" else ()))
    assert result.exit_code == TwoContainers.exit_code
    assert all(name in result.stderr for name in ("mine", identity.container, "docker rm"))
    assert engine.containers({}) == before
    assert TwoContainers.__name__ not in result.stdout
    assert "2 containers" in cli("doctor").stdout
    engine.remove_container(identity.container)
    assert stop(cli.world.context, renamed).was_running


def test_its_name_taken_by_another_stands_in_the_way_only_of_a_new_one(cli: Cli, renamed: BottleState) -> None:
    world = cli.world
    world.engine.create(replace(bare_spec(renamed.identity.container, "debian:trixie-slim"), labels=()))
    stop(world.context, renamed)
    commit(world.context, renamed)
    with pytest.raises(NameTaken, match="is not this bottle's"):
        resume(world.context, renamed, ResumeRequest())
    assert world.engine.read("mine", "/work") == b"new"
    world.engine.remove_container(renamed.identity.container)
    resume(world.context, renamed, ResumeRequest())
    assert world.content(renamed, "/work") == b"new"
