"""What keeps an agent from starting on an engine, decided from facts alone before anything is built or made."""

from collections.abc import Iterator
from dataclasses import dataclass

from bottle.model import Agent, ContainerFacts, NetworkFacts, Runtime
from bottle.plan.runtimes import ANOTHER_DEFAULT, doubt, keeps_writes, saving
from bottle.portbinding import PortBinding

# Modes that no engine lists as a network, and those that every engine has; Podman calls its bridge otherwise.
BUILT_IN_NETWORKS = frozenset({"bridge", "none", "default"})

_NVIDIA = "nvidia"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortHolder:
    """Who has a port of the host, and the command that frees it, empty where there is none to name.

    `ours`: it is a bottle, which has it while it runs.
    """

    binding: PortBinding
    who: str
    free: str = ""
    ours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchFacts:
    """What of an engine and its machine decides about a launch. `cpus` and `memory`, in bytes, are 0 where not known.

    `unlimited` are the keys of a manifest that limit nothing there; `keeps_secrets` says whether secrets can be handed
    over in memory. `runtime` is what its container will run in: `container`, where that is there and is to be started
    again. Of what an agent does not ask for, nothing need be known.
    """

    networks: tuple[NetworkFacts, ...] = ()
    cpus: int = 0
    memory: int = 0
    runtimes: tuple[str, ...] = ()
    runtime: Runtime | None = None
    container: ContainerFacts | None = None
    unlimited: tuple[str, ...] = ()
    keeps_secrets: bool = True
    holders: tuple[PortHolder, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why an agent cannot start, and what to do about it."""

    what: str
    next_step: str


def problems(agent: Agent, facts: LaunchFacts) -> Iterator[Problem]:
    """What the engine would refuse or could not do, but for ports that are taken."""
    yield from _unseen(facts)
    if agent.network not in BUILT_IN_NETWORKS and not any(_is(agent.network, each) for each in facts.networks):
        known = ", ".join(sorted(each.name for each in facts.networks)) or "none"
        yield Problem(
            what=f"`network`: the engine has no network {agent.network}; it has: {known}",
            next_step=f"docker network create {agent.network}",
        )
    if agent.network == "none" and agent.ports:
        yield Problem(
            what=f"`ports`: on the network none, nothing leads to port {agent.ports[0].container} of the agent",
            next_step='network = "bridge" in bottle.toml, or no ports',
        )
    if agent.secrets and not facts.keeps_secrets:
        yield Problem(
            what="`secrets`: a rootless Docker cannot read a container that has a folder in memory mounted read-only, "
            "and on disk there shall be none",
            next_step="no `secrets` in bottle.toml (`carry` takes a login along), or Docker as root, or Podman",
        )
    if agent.cpus is not None and 0 < facts.cpus < agent.cpus:
        yield Problem(
            what=f"`cpus`: {agent.cpus:g} are more than the {facts.cpus} of the engine's machine",
            next_step=f"cpus = {facts.cpus} in bottle.toml, or less",
        )


def _unseen(facts: LaunchFacts) -> Iterator[Problem]:
    """Work is trusted to nothing that a commit may not see into."""
    if facts.runtime is None or keeps_writes(facts.runtime):
        return
    if facts.container is None:
        yield Problem(what=f"containers run in {doubt(facts.runtime)}", next_step=ANOTHER_DEFAULT)
    else:
        yield Problem(
            what=f"its container runs in {doubt(facts.runtime)}",
            next_step=f"{saving(facts.container)}; to work on in another: {ANOTHER_DEFAULT}, "
            "and bottle resume IDENTITY --at N, of bottle history IDENTITY",
        )


def _is(name: str, network: NetworkFacts) -> bool:
    """Whether Docker takes `name` for this network: its name, its id, or how its id begins."""
    return name == network.name or network.id.startswith(name)


def taken(agent: Agent, facts: LaunchFacts) -> tuple[tuple[PortBinding, PortHolder], ...]:
    """The agent's ports that somebody else has, each with the first who has it."""
    found = ((port, next((each for each in facts.holders if port.clashes(each.binding)), None)) for port in agent.ports)
    return tuple((port, holder) for port, holder in found if holder is not None)


def doubts(agent: Agent, facts: LaunchFacts) -> Iterator[str]:
    """What works, but perhaps not as the user thinks, and what cannot be known before the start."""
    for key, amount in (("memory", agent.memory), ("shm_size", agent.shm_size)):
        if amount is not None and 0 < facts.memory < amount:
            yield f"`{key}` is more than the engine's machine has, so it limits nothing"
    for key, wanted in (("memory", agent.memory), ("cpus", agent.cpus)):
        if wanted is not None and key in facts.unlimited:
            yield f"`{key}` limits nothing here: the engine has no cgroups for it (rootless, without cgroup v2)"
    if agent.gpus is not None and _NVIDIA not in facts.runtimes:
        yield "`gpus`: the engine lists no runtime for GPUs (docker info), so it may have no driver for them"
