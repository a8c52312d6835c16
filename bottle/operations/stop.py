"""`stop`, and what is done when a session ends: nothing is deleted unless it was asked for and nothing is preserved."""

from dataclasses import dataclass

from bottle.errors import NotFound
from bottle.model import NO_RESTART, ContainerFacts, Status, Tombstone
from bottle.naming import Identity
from bottle.operations.bydelta import remember_place
from bottle.operations.commit import save_transcript
from bottle.operations.context import Context
from bottle.operations.holdings import at_stake
from bottle.operations.remove import remove_locked
from bottle.operations.requests import collect_notes
from bottle.operations.secrets import hide_secrets
from bottle.operations.settle import settle
from bottle.plan.guards import require_here
from bottle.plan.runtimes import require_kept_writes, runtime_of
from bottle.store.state import BottleState


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A bottle that does not run now. `removed` when its session ended under `--rm` with nothing preserved.

    `moved_to` is the host that it lives on, where what was stopped is only the container it left behind.
    """

    identity: Identity
    exit_code: int | None
    was_running: bool
    removed: bool = False
    notes: tuple[str, ...] = ()
    moved_to: str | None = None


def stop(context: Context, state: BottleState, *, grace: int = 10) -> Stopped:
    """End a bottle's processes and save its transcript.

    Raises Locked, MovedAway, NotFound, PreflightRefused or EngineError.

    Of a bottle that moved away the container it left here is stopped, if it runs, and nothing else is touched.
    """
    with state.locked("bottle stop"):
        tombstone = state.tombstone.read()
        if tombstone is not None:
            return _stop_left_behind(context, state, tombstone, grace=grace)
        settle(context, state)
        return stop_locked(context, state, grace=grace)


def stop_locked(context: Context, state: BottleState, *, grace: int) -> Stopped:
    """`stop` for a caller that holds the bottle's lock."""
    container = context.container(state.identity)
    if container is None:
        raise NotFound(
            f"{state.identity} has no container, so there is nothing to stop",
            next_step=f"bottle resume {state.identity}",
        )
    if container.status.alive:  # what a runtime has kept to itself may end with it
        runtime = runtime_of(context.engine.info(), container)
        require_kept_writes(state.identity, container, runtime, "stop", then=f"docker stop {container.name}")
        remember_place(context, state, container)
    notes = keep_stopped(context, container)
    code = _end(context, container, grace)
    notes += collect_notes(context, state) + save_transcript(context, state, state.metadata(), container)
    return Stopped(identity=state.identity, exit_code=code, was_running=container.status.alive, notes=notes)


def keep_stopped(context: Context, container: ContainerFacts) -> tuple[str, ...]:
    """Take a restart policy that somebody gave a container away, which would start it again; what to say of it."""
    if container.restart == NO_RESTART:
        return ()
    context.engine.update(container.id, restart=NO_RESTART)
    return (f"the restart policy {container.restart!r} of {container.name} was taken away, lest Docker start it again",)


def _end(context: Context, container: ContainerFacts, grace: int) -> int | None:
    """End a container's processes, and what they had of secrets; its exit code, None where it is gone."""
    if container.status is Status.PAUSED:
        context.engine.unpause(container.id)  # a frozen process could not heed the signal to end
    with context.progress.phase(f"stopping {container.name}"):
        context.engine.stop(container.id, grace)
    after = context.engine.container(container.id)
    if after is None:
        return None
    hide_secrets(context, after)
    return after.exit_code


def _stop_left_behind(context: Context, state: BottleState, tombstone: Tombstone, *, grace: int) -> Stopped:
    container = context.container(state.identity)
    if container is None or not (container.status.alive or container.restart != NO_RESTART):
        require_here(state.identity, tombstone, "stop")
    assert container is not None  # else require_here has refused
    notes = keep_stopped(context, container)
    code = _end(context, container, grace) if container.status.alive else container.exit_code
    if container.started_at is not None and container.started_at > tombstone.moved_at:
        notes += (
            f"it ran here after it had moved: what it did since is in the container {container.name} only, and in no "
            f"commit; to take the bottle back with it, knowingly: bottle resume {state.identity} --force",
        )
    return Stopped(
        identity=state.identity,
        exit_code=code,
        was_running=container.status.alive,
        notes=notes,
        moved_to=tombstone.host,
    )


def end_session(context: Context, state: BottleState, *, remove: bool) -> Stopped:
    """What follows when an attached agent ended: save the transcript; with `remove`, clean up if not preserved.

    `--rm` gives up what the session did; what was committed of it, or is on its way to another host, it never meant.
    One whose transcript cannot be saved is kept all the same: somebody should see what became of it.
    """
    with state.locked("bottle start"):
        settle(context, state)
        container = context.container(state.identity)
        if container is None or container.status.alive:
            return Stopped(identity=state.identity, exit_code=None, was_running=True)
        hide_secrets(context, container)
        unsaved = save_transcript(context, state, state.metadata(), container)
        notes = collect_notes(context, state) + unsaved
        removable = remove and not unsaved and not _is_to_stay(context, state)
        if removable:
            remove_locked(context, state)
        return Stopped(
            identity=state.identity, exit_code=container.exit_code, was_running=False, removed=removable, notes=notes
        )


def _is_to_stay(context: Context, state: BottleState) -> bool:
    """Whether something was made of a bottle that outlives its session: a commit, also a `docker commit`, or a move."""
    made = state.preserved or state.commits() or state.migration.read() or state.tombstone.read()
    return bool(made or at_stake(context, state).images)
