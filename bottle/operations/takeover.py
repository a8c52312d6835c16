"""`takeover`: a standby becomes the bottle, on this host; and what becomes of the bottle that it was the standby of."""

from dataclasses import dataclass, replace
from datetime import datetime

from bottle.errors import Conflict, NotFound
from bottle.model import Tombstone
from bottle.naming import Identity
from bottle.operations.commit import commit_locked
from bottle.operations.context import Context
from bottle.operations.fork import ForkRequest, fork
from bottle.operations.settle import settle
from bottle.plan.copies import is_image_of
from bottle.plan.generation import above
from bottle.plan.history import commit_in_force, is_frozen_in
from bottle.store.state import BottleState


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver:
    """A bottle that this host owns now, as `former` had it at `as_of`, by the clock there."""

    identity: Identity
    former: str
    as_of: datetime
    commit: int
    generation: int


def take_over(context: Context, state: BottleState) -> TakenOver:
    """Make this host the owner of the bottle that it stands by for. Raises Conflict, Locked or NotFound.

    Nobody is asked: who had it is taken for lost, and finds out when it comes back.
    """
    with state.locked("bottle takeover"):
        tombstone = state.tombstone.read()
        if tombstone is None or not tombstone.standby:
            raise _no_standby(state.identity, tombstone)
        commit = commit_in_force(state.commits(), state.committed_image())
        image = context.engine.image(commit.tag) if commit is not None else None
        if commit is None or image is None or not is_image_of(image, commit):
            raise NotFound(
                f"the standby of {state.identity} has no image here any more, so there is nothing to take over",
                left="nothing was changed",
                next_step=f"bottle inspect {state.identity}",
            )
        metadata = state.metadata()
        metadata = replace(metadata, generation=above(metadata.generation))
        state.write_metadata(metadata)
        state.tombstone.clear()  # from here on this host owns the bottle
        state.note_workspace_left(None)
    return TakenOver(
        identity=state.identity,
        former=tombstone.host,
        as_of=tombstone.moved_at,
        commit=commit.number,
        generation=metadata.generation,
    )


def _no_standby(identity: Identity, tombstone: Tombstone | None) -> Conflict:
    if tombstone is None:
        return Conflict(
            f"{identity} is no standby: this host owns it",
            left="nothing was changed",
            next_step=f"bottle resume {identity}",
        )
    return Conflict(
        f"{identity} is no standby: it moved to {tombstone.host}, and what is here is as it was then",
        left="nothing was changed",
        next_step=f"there: bottle resume {identity}   (to take it back knowingly: bottle resume {identity} --force)",
    )


def give_way(context: Context, state: BottleState, host: str, generation: int, *, unchanged: bool) -> Identity | None:
    """Let go of a bottle that `host` has taken over; what it did here since becomes a bottle of its own.

    `generation` is the one that it has there. `unchanged`: its workspace is as it was when the standby was brought.
    Returns that bottle, None where nothing is newer here. Raises what `fork` and `commit` raise; the bottle is whole
    then, and the next call goes on.
    """
    standby = state.standby.read()
    with state.locked("bottle resume"):
        settle(context, state)
        container, commits = context.container(state.identity), state.commits()
        frozen = container is None or is_frozen_in(container, commits)
        if not frozen:
            commit_locked(context, state, message=f"newer here than on {host}, which took it over", pause=True)
        last = commit_in_force(state.commits(), state.committed_image())
    newer = last is not None and (standby is None or standby.commit is None or last.number > standby.commit)
    kept = None
    if newer or not unchanged:
        mounted = state.metadata().mounted is not None
        kept = fork(context, state, ForkRequest(share_cwd=mounted)).identity
    with state.locked("bottle resume"):
        state.tombstone.write(Tombstone(host=host, moved_at=context.now(), generation=generation))
        state.standby.clear()
    return kept
