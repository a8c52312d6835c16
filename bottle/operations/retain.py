"""Let old commits go as the agent's `keep` says. Their entries stay in the history, marked as expired."""

from dataclasses import replace

from bottle.errors import BottleError, Conflict
from bottle.model import CommitRecord
from bottle.operations.context import Context
from bottle.plan import retention
from bottle.store.state import BottleState


def retain(context: Context, state: BottleState) -> tuple[int, ...]:
    """Untag the commits that may go; the numbers of those that were let go now. The caller holds the bottle's lock.

    The entries are marked first: a run that dies in between leaves images that the next one takes away. Raises nothing:
    a commit that was just made is no failure because an older one could not be let go.
    """
    try:
        if state.metadata().agent.keep is None:
            return ()
        numbers = _mark(context, state)
        standing = _standing(context, state)
    except BottleError as exc:
        context.progress.note(f"old commits of {state.identity} were all kept: {exc.what}")
        return ()
    stayed = {commit.number for commit in standing if not _let_go(context, commit)}
    return tuple(sorted(numbers - stayed))


def _mark(context: Context, state: BottleState) -> frozenset[int]:
    """Mark the entries of the commits that may go; their numbers."""
    keep, commits, in_force = state.metadata().agent.keep, state.commits(), state.committed_image()
    going = retention.expired(commits, keep, now=context.now(), in_force=in_force, needed=descended(context, state))
    numbers = frozenset(commit.number for commit in going)
    if numbers:
        state.write_commits(tuple(replace(each, expired=True) if each in going else each for each in commits))
    return numbers


def _standing(context: Context, state: BottleState) -> tuple[CommitRecord, ...]:
    """The commits that may go and whose images are here."""
    in_force = state.committed_image()
    present = {tag for image in context.engine.image_summaries({}) for tag in image.tags}
    return tuple(
        each
        for each in state.commits()
        if each.expired
        and each.tag == state.identity.committed(each.number)
        and each.tag in present
        and each.tag != in_force
    )


def _let_go(context: Context, commit: CommitRecord) -> bool:
    """Untag a commit; whether it is let go, which also is one that a container stands on: it goes after a later one."""
    try:
        context.engine.remove_image(commit.tag)
    except Conflict:
        pass
    except BottleError as exc:
        context.progress.note(f"commit {commit.number} stays until the next commit: {exc.what}")
        return False
    return True


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
