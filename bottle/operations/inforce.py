"""What puts a commit in force, in the one order: wherever a run dies, the last commit is in force, or this one is."""

from bottle.model import CommitRecord
from bottle.operations.context import Context
from bottle.store.state import BottleState


def put_in_force(context: Context, state: BottleState, commit: CommitRecord) -> None:
    """Have `resume` use a commit, whose image has its tag: history, committed image, marker, `:latest`.

    Each is whole before the next, and all of it can be done again.
    """
    if all(each.number != commit.number for each in state.commits()):
        state.append_commit(commit)
    use_image(state, commit.tag)
    state.mark_preserved()
    context.engine.tag(commit.tag, state.identity.committed_latest)


def use_image(state: BottleState, tag: str) -> None:
    """Have `resume` use an image, and not what was approved before: the step that decides."""
    state.write_committed_image(tag)
    if state.rebuild_due:
        state.clear_rebuild()
