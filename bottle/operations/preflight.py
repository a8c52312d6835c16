"""Looking, before anything is built or made, whether an agent can start; nothing is changed."""

from collections.abc import Iterator

from bottle.errors import PortTaken, PreflightRefused
from bottle.model import Agent, ContainerFacts, ContainerSummary
from bottle.naming import LABEL_IDENTITY
from bottle.operations.context import Context
from bottle.plan.preflight import BUILT_IN_NETWORKS, LaunchFacts, PortHolder, doubts, problems, taken
from bottle.plan.runtimes import runtime_of
from bottle.portbinding import PortBinding
from bottle.sockets import port_holder

_LEFT = "nothing was started or changed"


def observe_launch(context: Context, agent: Agent, container: ContainerFacts | None = None) -> LaunchFacts:
    """What decides whether an agent can start here. Of what it does not ask for, the engine's own word is all.

    `container` is the one that is to be started again, None where a new one is made.
    """
    engine = context.engine
    networks = engine.networks() if agent.network not in BUILT_IN_NETWORKS else ()
    holders = tuple(_holders(context, agent.ports)) if agent.ports else ()
    info = engine.info()
    return LaunchFacts(
        networks=networks,
        cpus=info.cpus,
        memory=info.memory,
        runtimes=tuple(each.name for each in info.runtimes),
        runtime=runtime_of(info, container),
        container=container,
        unlimited=info.unlimited,
        keeps_secrets=not agent.secrets or engine.mounts_memory,
        holders=holders,
    )


def _holders(context: Context, wanted: tuple[PortBinding, ...]) -> Iterator[PortHolder]:
    """Containers first: a program that has a port for one of them is the engine's own."""
    for container in context.engine.container_summaries({}):
        yield from (_held_by(container, binding) for binding in container.ports)
    if context.engine.is_local:
        for binding in wanted:
            if (who := port_holder(binding)) is not None:
                yield PortHolder(binding=binding, who=who)


def _held_by(container: ContainerSummary, binding: PortBinding) -> PortHolder:
    identity = container.labels.get(LABEL_IDENTITY, "")
    if container.name == f"bottle-{identity}":  # an image passes its labels on to whatever is made of it
        return PortHolder(binding=binding, who=identity, free=f"bottle stop {identity}", ours=True)
    return PortHolder(binding=binding, who=f"container {container.name}", free=f"docker stop {container.name}")


def require_launchable(context: Context, agent: Agent, container: ContainerFacts | None = None) -> tuple[str, ...]:
    """What to say of a launch that is possible. Raises PreflightRefused or PortTaken for one that is not."""
    facts = observe_launch(context, agent, container)
    if found := tuple(problems(agent, facts)):
        raise PreflightRefused(
            f"agent {agent.name!r} cannot start here: {found[0].what}",
            details=tuple(each.what for each in found[1:]),
            left=_LEFT,
            next_step=found[0].next_step,
        )
    if clashes := taken(agent, facts):
        lines = [f"port {port.place} is taken by {holder.who}" for port, holder in clashes]
        first = clashes[0][1]
        raise PortTaken(
            f"agent {agent.name!r} cannot start here: {lines[0]}",
            details=tuple(lines[1:]),
            left=_LEFT,
            next_step=f"{first.free or 'end that program'}, then the same command again; for a new bottle, "
            f"other `ports` in [agents.{agent.name}] of bottle.toml do, too",
        )
    return tuple(doubts(agent, facts))


def obstacles(context: Context, agent: Agent) -> tuple[str, ...]:
    """What keeps an agent from starting here, or makes it doubtful, a line each. Raises EngineError.

    That a bottle has a port is no fault of anything: it is the agent's, as a rule.
    """
    facts = observe_launch(context, agent)
    clashes = (f"port {port.place} is taken by {holder.who}" for port, holder in taken(agent, facts) if not holder.ours)
    return (*(each.what for each in problems(agent, facts)), *clashes, *doubts(agent, facts))
