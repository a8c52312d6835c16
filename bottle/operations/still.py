"""Hold a bottle still with all its work in a commit: what a move, a copy and an export begin with."""

from collections.abc import Iterator
from contextlib import contextmanager

from bottle.errors import StateDamaged
from bottle.model import CommitRecord
from bottle.operations.commit import commit_locked
from bottle.operations.context import Context
from bottle.operations.pause import paused
from bottle.operations.stop import keep_stopped, stop_locked
from bottle.plan.history import commit_in_force
from bottle.store.state import BottleState


@contextmanager
def stopped(context: Context, state: BottleState, *, running: bool, message: str | None) -> Iterator[CommitRecord]:
    """The commit in force of a bottle that is stopped, and that Docker does not start again by itself.

    `running`: it was found so, and is stopped now; what somebody has started since is theirs, and goes on. `message` is
    that of a commit which is made now, None where the one in force holds all the work. The caller holds the bottle's
    lock. Raises as `stop` and `commit`.
    """
    if running:
        notes = stop_locked(context, state, grace=10).notes
    else:
        container = context.container(state.identity)
        notes = keep_stopped(context, container) if container is not None else ()
    for note in notes:
        context.progress.note(note)
    yield _commit(context, state, message)


@contextmanager
def frozen(context: Context, state: BottleState, *, message: str | None, by: str) -> Iterator[CommitRecord]:
    """As `stopped`, of a bottle that is paused, `by` what is told, while the context is open, and goes on then."""
    with paused(context, state, context.container(state.identity), by):
        yield _commit(context, state, message)


def _commit(context: Context, state: BottleState, message: str | None) -> CommitRecord:
    if message is not None:
        return commit_locked(context, state, message=message, pause=False).commit
    commit = commit_in_force(state.commits(), state.committed_image())
    if commit is None:
        raise StateDamaged(
            f"the history of {state.identity} does not know {state.committed_image()}",
            left="this host still owns the bottle",
            next_step=f"bottle resume {state.identity}; bottle commit {state.identity}",
        )
    return commit
