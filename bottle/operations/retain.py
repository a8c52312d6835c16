"""Let old commits go as the agent's `keep` says. Their entries stay in the history, marked as expired."""

from contextlib import suppress
from dataclasses import replace

from bottle import retention
from bottle.errors import BottleError, Conflict
from bottle.operations.context import Context
from bottle.state import BottleState


def retain(context: Context, state: BottleState) -> tuple[int, ...]:
    """Untag the commits that may go; the numbers of those that went now. The caller holds the bottle's lock.

    The entries are marked first: a run that dies in between leaves images that the next one takes away. Raises nothing:
    a commit that was just made is no failure because an older one could not be let go.
    """
    try:
        return _retain(context, state)
    except BottleError as exc:
        context.progress.note(f"old commits of {state.identity} were all kept: {exc.what}")
        return ()


def _retain(context: Context, state: BottleState) -> tuple[int, ...]:
    keep = state.metadata().agent.keep
    if keep is None:
        return ()
    commits, in_force = state.commits(), state.committed_image()
    going = retention.expired(commits, keep, now=context.now(), in_force=in_force, needed=descended(context, state))
    numbers = {commit.number for commit in going}
    if numbers:
        commits = tuple(replace(each, expired=True) if each.number in numbers else each for each in commits)
        state.write_commits(commits)
    present = {tag for image in context.engine.image_summaries({}) for tag in image.tags}
    for commit in commits:
        ours = commit.tag == state.identity.committed(commit.number)
        if commit.expired and ours and commit.tag in present and commit.tag != in_force:
            with suppress(Conflict):  # the container stands on it: it goes after a later commit
                context.engine.remove_image(commit.tag)
    return tuple(sorted(numbers))


def descended(context: Context, state: BottleState) -> frozenset[int]:
    """The commits of a bottle that others here were forked off or copied from.

    Raises StateDamaged while one of the others cannot be read: what it descends from is not known then.
    """
    origins = (
        context.home.bottle(identity).metadata().copied_from
        for identity in context.home.identities()
        if identity != state.identity
    )
    return frozenset(each.commit for each in origins if each is not None and each.identity == state.identity)
