"""What is looked at before anything of a launch is done, and by whom."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bottle.errors import PortTaken, PreflightRefused
from bottle.launch import bare_spec
from bottle.model import Agent, Status
from bottle.operations import ForkRequest, StartRequest, commit, fork, plan_start, resume, stop
from bottle.operations.doctor import examine
from bottle.plan.resume import ResumeRequest
from bottle.portbinding import PortBinding
from tests.support.ports import free_port
from tests.support.trees import snapshot
from tests.support.world import AGENT, BASE, World

PLAIN = ResumeRequest()


@pytest.fixture
def port() -> int:
    """One that nobody has."""
    return free_port()


@pytest.fixture
def agent(port: int) -> Agent:
    return replace(AGENT, ports=(PortBinding("127.0.0.1", port, 80),))


@pytest.fixture
def listener(port: int) -> Iterator[socket.socket]:
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", port))
        made.listen()
        yield made


def test_an_agent_that_asks_for_nothing_costs_one_question(world: World) -> None:
    plan_start(world.context, StartRequest(agent=AGENT, cwd=world.cwd))
    assert world.engine.methods == ("info",)


@pytest.mark.parametrize(
    ("asked", "told"), [({"network": "nonet"}, "no network nonet"), ({"cpus": 64.0}, "more than the 4 of the engine")]
)
def test_what_the_engine_would_refuse_is_refused_before_a_build(
    world: World, asked: dict[str, object], told: str
) -> None:
    before = snapshot(world.folder)
    with pytest.raises(PreflightRefused, match=told) as caught:
        plan_start(world.context, StartRequest(agent=replace(AGENT, **asked), cwd=world.cwd))  # type: ignore[arg-type]
    assert caught.value.next_step
    assert snapshot(world.folder) == before
    assert not {"create", "build", "pull"} & set(world.engine.methods)


def test_a_network_that_is_there_is_none_to_refuse(world: World) -> None:
    world.engine.more_networks.add("lab")
    assert world.status(world.start(replace(AGENT, network="lab"))) is Status.RUNNING


def test_what_limits_nothing_is_told_at_the_start(world: World) -> None:
    plan = plan_start(world.context, StartRequest(agent=replace(AGENT, memory=1 << 40, gpus="all"), cwd=world.cwd))
    assert ["`memory`" in plan.doubts[0], "`gpus`" in plan.doubts[1]] == [True, True]


def test_a_port_of_another_bottle_is_named(world: World, agent: Agent) -> None:
    first = world.start(agent)
    with pytest.raises(PortTaken, match=f"is taken by {first.identity}") as caught:
        world.start(agent)
    assert caught.value.next_step.startswith(f"bottle stop {first.identity}, then")
    assert world.home.identities() == (first.identity,)
    stop(world.context, first)
    assert world.start(agent)


def test_a_port_of_another_container_is_named_whatever_its_labels_say(world: World, agent: Agent) -> None:
    labels = (("bottle.identity", "demo-abcde"),)
    spec = replace(bare_spec("web", BASE), ports=(replace(agent.ports[0], address="0.0.0.0"),), labels=labels)
    world.engine.start(world.engine.create(spec))
    with pytest.raises(PortTaken, match="is taken by container web") as caught:
        world.start(agent)
    assert "docker stop web" in caught.value.next_step


def test_a_port_of_another_program_is_named(world: World, agent: Agent, listener: socket.socket) -> None:
    with pytest.raises(
        PortTaken, match=rf"port 127\.0\.0\.1:{listener.getsockname()[1]} is taken by .*\(process \d+\)"
    ):
        world.start(agent)
    world.engine.is_local = False  # its ports are another machine's
    assert plan_start(world.context, StartRequest(agent=agent, cwd=world.cwd, copy_cwd=True))


def test_every_port_that_is_taken_is_named(world: World, agent: Agent, port: int, listener: socket.socket) -> None:
    first = world.start(replace(AGENT, ports=(PortBinding("127.0.0.2", port, 80),)))
    both = replace(agent, ports=(PortBinding("127.0.0.2", port, 80), *agent.ports))
    with pytest.raises(PortTaken, match=str(first.identity)) as caught:
        world.start(both)
    assert len(caught.value.details) == 1
    assert listener.fileno() >= 0


@pytest.mark.parametrize("committed", [False, True])
def test_a_resume_onto_a_port_that_is_taken_loses_nothing(world: World, agent: Agent, *, committed: bool) -> None:
    bottle = world.start(agent)
    world.work(bottle, "/work", b"work")
    if committed:
        commit(world.context, bottle)
    stop(world.context, bottle)
    other = world.start(agent)
    with pytest.raises(PortTaken, match=f"is taken by {other.identity}"):
        resume(world.context, bottle, PLAIN)
    world.check_tidy(bottle)
    assert world.content(bottle, "/work") == b"work"
    stop(world.context, other)
    resume(world.context, bottle, PLAIN)
    assert world.content(bottle, "/work") == b"work"
    assert resume(world.context, bottle, PLAIN).running  # joined: its own port is in nobody's way


def test_a_port_that_is_taken_in_the_last_moment_leaves_nothing_either(
    world: World, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.start(agent)
    monkeypatch.setattr("bottle.operations.preflight._holders", lambda context, ports: ())
    with pytest.raises(PortTaken):
        world.start(agent)
    assert world.home.identities() == (first.identity,)
    assert len(world.engine.containers({})) == 1


def test_a_fork_says_that_it_has_the_ports_of_its_origin(world: World, agent: Agent) -> None:
    bottle = world.start(agent)
    commit(world.context, bottle)
    forked = fork(world.context, bottle, ForkRequest(share_cwd=True))
    assert any(f"the ports of {bottle.identity}, {agent.ports[0].place}" in note for note in forked.notes)
    copy = world.home.bottle(forked.identity)
    with pytest.raises(PortTaken, match=f"is taken by {bottle.identity}"):
        resume(world.context, copy, PLAIN)
    assert [each.name for each in world.engine.containers({})] == [bottle.identity.container]
    stop(world.context, bottle)
    assert resume(world.context, copy, PLAIN).running


def test_doctor_says_what_keeps_an_agent_from_starting(world: World, port: int) -> None:
    manifest = world.cwd / "bottle.toml"
    manifest.write_text(f"[agents.demo]\nimage = '{BASE}'\nnetwork = 'nonet'\n[agents.web]\nimage = '{BASE}'\n")
    found = {check.name: check.detail for check in examine(world.context, world.cwd) if check.name.startswith("launch")}
    assert list(found) == ["launch of demo"]
    assert "no network nonet" in found["launch of demo"]
    manifest.write_text(f"[agents.demo]\nimage = '{BASE}'\nports = ['{port}:80']\n")
    world.start(replace(AGENT, ports=(PortBinding("127.0.0.1", port, 80),)))
    assert not [check for check in examine(world.context, world.cwd) if check.name.startswith("launch")]
