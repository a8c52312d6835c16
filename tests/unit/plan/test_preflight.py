"""What keeps an agent from starting, from facts alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bottle.model import Agent, NetworkFacts
from bottle.plan.preflight import LaunchFacts, PortHolder, doubts, problems, taken
from bottle.portbinding import PortBinding

AGENT = Agent(name="demo", image="x")
LAB = NetworkFacts(id="c0ffee" * 10, name="lab")
FACTS = LaunchFacts(networks=(LAB,), cpus=4, memory=8 << 30, runtimes=("nvidia", "runc"))
PORT = PortBinding.parse("3000:80")


@pytest.mark.parametrize("network", ["bridge", "none", "default", "lab", "c0ffee", LAB.id])
def test_networks_that_are_there(network: str) -> None:
    assert tuple(problems(replace(AGENT, network=network), FACTS)) == ()


def test_a_network_that_is_not_there_is_named_with_those_that_are() -> None:
    (found,) = problems(replace(AGENT, network="nonet"), FACTS)
    assert found.what == "`network`: the engine has no network nonet; it has: lab"
    assert found.next_step == "docker network create nonet"
    (found,) = problems(replace(AGENT, network="nonet"), LaunchFacts())
    assert "it has: none" in found.what


def test_a_port_into_no_network_is_named() -> None:
    (found,) = problems(replace(AGENT, network="none", ports=(PORT,)), FACTS)
    assert "nothing leads to port 80" in found.what


@pytest.mark.parametrize(
    ("cpus", "there", "refused"), [(4, 4, False), (4.5, 4, True), (64, 0, False), (None, 4, False)]
)
def test_docker_refuses_more_cpus_than_there_are(cpus: float | None, there: int, refused: bool) -> None:
    assert bool(tuple(problems(replace(AGENT, cpus=cpus), replace(FACTS, cpus=there)))) is refused


def test_every_problem_is_found() -> None:
    assert len(tuple(problems(replace(AGENT, network="nonet", cpus=5), FACTS))) == 2


def test_a_port_that_is_taken_is_told_with_the_first_who_has_it() -> None:
    other = PortBinding.parse("4000:80")
    one, two = (PortHolder(binding=PortBinding.parse("0.0.0.0:3000:1"), who=who) for who in ("one", "two"))
    agent = replace(AGENT, ports=(PORT, other))
    assert taken(agent, replace(FACTS, holders=(one, two))) == ((PORT, one),)
    assert taken(agent, FACTS) == ()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"memory": 8 << 30}, ""),
        ({"memory": 9 << 30}, "`memory` is more than"),
        ({"shm_size": 9 << 30}, "`shm_size` is more than"),
        ({"gpus": "all"}, ""),
    ],
)
def test_what_limits_nothing_is_told(asked: dict[str, object], told: str) -> None:
    found = tuple(doubts(replace(AGENT, **asked), FACTS))  # type: ignore[arg-type]
    assert bool(found) is bool(told)
    assert all(told in line for line in found)


def test_an_engine_without_a_runtime_for_gpus_is_told_of() -> None:
    assert "no runtime for GPUs" in next(doubts(replace(AGENT, gpus="1"), replace(FACTS, runtimes=("runc",))))
    assert tuple(doubts(replace(AGENT, memory=9 << 30), replace(FACTS, memory=0))) == ()


def test_limits_that_the_engine_does_not_have_are_told() -> None:
    facts = replace(FACTS, unlimited=("memory", "pids"))
    (told,) = doubts(replace(AGENT, memory=1 << 30, cpus=1.0), facts)
    assert told.startswith("`memory` limits nothing here")
    assert tuple(doubts(AGENT, facts)) == ()


def test_secrets_need_a_folder_in_memory() -> None:
    facts = replace(FACTS, keeps_secrets=False)
    (problem,) = problems(replace(AGENT, secrets=("TOKEN",)), facts)
    assert "rootless Docker" in problem.what
    assert tuple(problems(AGENT, facts)) == ()
