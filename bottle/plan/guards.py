"""What is refused, whatever was asked for: a bottle of another backend, of another host, or in the middle of a move."""

from bottle.errors import BackendUnsupported, Conflict, MovedAway, NotFound, UsageError
from bottle.model import (
    DOCKER_BACKEND,
    Agent,
    ContainerFacts,
    Metadata,
    MigrationPhase,
    MigrationRecord,
    Standby,
    Tombstone,
)
from bottle.naming import Identity


def require_docker(metadata: Metadata, verb: str) -> None:
    """Refuse a bottle of another backend by name."""
    if metadata.backend != DOCKER_BACKEND:
        raise BackendUnsupported(
            f"cannot {verb} {metadata.identity}: it runs on the backend {metadata.backend!r}, "
            f"and {verb} knows only {DOCKER_BACKEND!r}",
            left="nothing was changed",
        )


def require_here(identity: Identity, tombstone: Tombstone | None, verb: str) -> None:
    """Refuse to touch a bottle that lives on another host."""
    if tombstone is not None and tombstone.standby:
        raise MovedAway(
            f"cannot {verb} {identity}: it lives on {tombstone.host}, and what is here is its standby, as of "
            f"{tombstone.moved_at:%Y-%m-%d %H:%M} UTC",
            left="nothing was changed",
            next_step=f"where {tombstone.host} is lost: bottle takeover {identity}",
        )
    if tombstone is not None:
        raise MovedAway(
            f"cannot {verb} {identity}: it moved to {tombstone.host} on {tombstone.moved_at:%Y-%m-%d %H:%M} UTC",
            left="its state and image are still here",
            next_step=f"there: bottle resume {identity}   (to take it back knowingly: "
            f"bottle resume {identity} --force)",
        )


def require_owned(identity: Identity, standby: Standby, next_step: str) -> None:
    """Refuse what only the owner may do, where another host may have taken the bottle over and was not asked."""
    raise Conflict(
        f"{standby.host} stands by for {identity}, and may have taken it over: it has not been asked",
        left="nothing was changed",
        next_step=next_step,
    )


def require_output(identity: Identity, container: ContainerFacts | None, tombstone: Tombstone | None) -> ContainerFacts:
    """The container that has what an agent wrote; one that moved may have left it. Raises MovedAway or NotFound."""
    if container is not None:
        return container
    if tombstone is not None:
        raise MovedAway(
            f"{identity} moved to {tombstone.host}, and left no output here",
            left="nothing was changed",
            next_step=f"there: bottle logs {identity}   (to have it here again: "
            f"bottle migrate {identity} {tombstone.host} --from)",
        )
    raise NotFound(f"{identity} has no container, and its output went with it", next_step=f"bottle resume {identity}")


def require_remote_control(agent: Agent) -> None:
    """Refuse `--remote-control` for an agent that has no arguments for it. Raises UsageError."""
    if not agent.remote_control:
        raise UsageError(
            f"agent {agent.name!r} has no `remote_control`: the arguments that its command needs for that",
            left="nothing was changed",
            next_step=f'add remote_control = ["--…"] to [agents.{agent.name}] in bottle.toml; '
            "it is for bottles that are started after that",
        )


def finishing(identity: Identity, migration: MigrationRecord) -> str:
    """The command that finishes a move that was cut while it was handed over: one that was pulled is pulled again."""
    if migration.pulled_by is not None:
        return f"on {migration.host}: bottle migrate {identity} HOST --from, where HOST is this one"
    return f"bottle migrate {identity} {migration.host}"


def require_settled(identity: Identity, migration: MigrationRecord | None) -> None:
    """Refuse to touch a bottle of which only another host knows who owns it."""
    if migration is not None and migration.phase is MigrationPhase.HANDING_OFF:
        raise MovedAway(
            f"a move of {identity} to {migration.host} was cut while it was handed over, and "
            "only that host knows whether it has it",
            left="state and image are here, whole",
            next_step=f"{finishing(identity, migration)}   (or, knowing that it does not run there: "
            f"bottle resume {identity} --force)",
        )
