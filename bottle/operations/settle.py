"""Finish or undo what a run left when its process died: done first by whoever holds the bottle's lock next."""

from contextlib import suppress
from dataclasses import replace

from bottle.errors import BottleError, VerificationFailed
from bottle.model import (
    CommitIntent,
    ContainerFacts,
    ContainerMark,
    ImageFacts,
    MigrationPhase,
    MigrationRecord,
    Status,
)
from bottle.naming import LABEL_IDENTITY, LABEL_NONCE, Identity
from bottle.operations.context import Context
from bottle.operations.finding import find_drafts
from bottle.operations.inforce import put_in_force, use_image
from bottle.operations.parts import remove_parts
from bottle.operations.pause import let_go_on
from bottle.plan.commit import record_of
from bottle.plan.history import parent_of
from bottle.store.state import BottleState


def settle(context: Context, state: BottleState) -> None:
    """Unpause what was paused by a run that died, and adopt an image that the engine finished.

    Halves of files and containers that a run was making when it died go.
    """
    state.sweep()
    remove_draft_containers(context, state.identity)
    container = _by_its_name(context, state.identity)
    take_effect(state, container)
    if container is not None and container.id != state.container_id():
        state.write_container_id(container.id)  # one that an earlier version made, or whose maker died
    intent, migration = state.intent.read(), state.migration.read()
    by = _paused_by(state, intent, migration)
    if by is not None:
        if container is not None and container.status is Status.PAUSED:
            let_go_on(context, state, container)
            context.progress.note(f"{state.identity} was left paused by {by} that died; it goes on now")
        state.clear_paused()
    if migration is not None:
        _settle_copy(state, migration)
    if intent is None:
        return
    remove_parts(context, state.identity)
    # Of two, where a commit died while it was squashed, the one that has its place is whole. What is called otherwise
    # was made by hand, of a container that inherited the label.
    found = context.engine.images({LABEL_NONCE: intent.nonce})
    names = (state.identity.committed(intent.number), state.identity.committing(intent.nonce))
    images = [image for name in names for image in found if name in image.tags]
    if images:
        try:
            _adopt(context, state, intent, images[0], container)
            with suppress(BottleError):  # garbage, gone already as a rule
                context.engine.remove_image(state.identity.unfolded(intent.nonce))
        except VerificationFailed as exc:
            context.progress.note(f"commit {intent.number} of {state.identity} had been cut short: {exc.what}")
    state.intent.clear()


def _paused_by(state: BottleState, intent: CommitIntent | None, migration: MigrationRecord | None) -> str | None:
    """What paused the bottle and did not let it go on; earlier versions noted that of a commit or a copy elsewhere."""
    if migration is not None and migration.paused:
        return "a copy"
    if intent is not None and intent.paused:
        return "a commit"
    return state.paused_by


def _settle_copy(state: BottleState, migration: MigrationRecord) -> None:
    """A copy that died while it packed has left nothing to go on with."""
    copies = migration.paused or migration.arrives_as not in {None, state.identity}
    if copies and migration.phase is MigrationPhase.QUIESCING:
        state.migration.clear()
    elif migration.paused:  # by an export of an earlier version, in the note of a move
        state.migration.write(replace(migration, paused=False))


def remove_draft_containers(context: Context, identity: Identity) -> None:
    """Remove the container that a run was making; one that was started since is the bottle's own, and stays."""
    labelled = context.engine.container_summaries({LABEL_IDENTITY: str(identity)})
    for draft in find_drafts(context.engine, context.home.bottle(identity), labelled):
        context.engine.remove_container(draft.id)


def _by_its_name(context: Context, identity: Identity) -> ContainerFacts | None:
    """The bottle's container. One that is called like a draft gets the bottle's name: the next draft needs its own."""
    container = context.container(identity)
    if container is None or container.name != identity.draft:
        return container
    context.engine.rename(container.id, identity.container)
    return context.container(identity)


def take_effect(state: BottleState, container: ContainerFacts | None) -> None:
    """Make the bottle what its new container was made as, if that is the one it has: its next commit says so too."""
    intent = state.resume_intent.read()
    if intent is None or container is None or container.id != intent.container_id:
        return
    if intent.committed_image is not None:
        use_image(state, intent.committed_image)
    state.write_metadata(intent.metadata)
    state.resume_intent.clear()


def take_over(
    context: Context, state: BottleState, intent: CommitIntent, image: ImageFacts, container: ContainerFacts | None
) -> None:
    """Give a commit that the engine has finished its place among the bottle's, in exchange for the tag it was made by.

    Raises VerificationFailed for one that stands neither on the image of the container it was made of nor on an earlier
    commit; it is deleted.
    """
    engine, identity = context.engine, state.identity
    draft = identity.committing(intent.nonce)
    base = engine.image(container.image) if container is not None else None
    placed = identity.committed(intent.number) in image.tags  # a squashed one stands on less
    grounds = (*(each.diff_ids for each in state.commits()), base.diff_ids if base is not None else ())
    if base is not None and not placed and not any(image.diff_ids[: len(each)] == each for each in grounds):
        engine.remove_image(draft)
        state.intent.clear()
        raise VerificationFailed(
            f"the engine's commit of {identity} does not stand on the image its container was made from",
            left="it was deleted, and the last commit stays in force",
            next_step=f"bottle commit {identity}; if it happens again: docker version",
        )
    engine.tag(image.id, identity.committed(intent.number))
    engine.remove_image(draft)


def _adopt(
    context: Context, state: BottleState, intent: CommitIntent, image: ImageFacts, container: ContainerFacts | None
) -> None:
    if container is not None and container.id != intent.container_id:
        container = None  # another one than was committed
    take_over(context, state, intent, image, container)
    started_at = container.started_at if container else None
    record = record_of(
        state.metadata(),
        intent,
        image,
        # Whether the container ran on since is not known, so it counts as having done so.
        ContainerMark(container_id=intent.container_id, started_at=started_at, running=True),
        created_at=image.created_at or context.now(),
        parent=parent_of(state.commits(), container) if container else None,
        dropped=("not checked: the commit's process died, and its image was adopted",),
    )
    put_in_force(context, state, record)
    context.progress.note(
        f"commit {intent.number} of {state.identity} had been cut short; its image is whole and was adopted"
    )
