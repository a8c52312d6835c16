"""`rm`: delete a bottle, after the user has said so where that deletes the only copy of work."""

from collections.abc import Collection, Iterable, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bottle import runtime
from bottle.errors import Conflict, NeedsConsent, StateDamaged
from bottle.model import ContainerSummary, ImageSummary
from bottle.naming import LABEL_IDENTITY, LABEL_SCHEMA, Identity
from bottle.operations.arriving import nothing_arriving
from bottle.operations.context import Context
from bottle.operations.finding import find_containers, find_drafts
from bottle.operations.holdings import arrived, at_stake
from bottle.plan.copies import named_commits
from bottle.plan.guards import require_settled
from bottle.plan.ownership import the_one
from bottle.plan.prune import is_helper
from bottle.ports import Engine
from bottle.store import temporary
from bottle.store.state import BottleState


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A bottle that is gone, and all that went with it: `images` are tags, `commits` the numbers of those among them.

    `workspace` is its folder on this host, which stays, `moved_to` the host that it lives on.
    """

    identity: Identity
    containers: tuple[str, ...]
    images: tuple[str, ...]
    volumes: tuple[str, ...]
    commits: tuple[int, ...] = ()
    workspace: Path | None = None
    moved_to: str | None = None


def remove(context: Context, state: BottleState, *, consent: bool, agreed: Collection[str] = ()) -> Removed:
    """Delete a bottle's container, images, volumes and state.

    Without `consent` a bottle that holds work which exists nowhere else is left alone, unless all of it was `agreed`
    to: raises NeedsConsent, saying what would be lost. Raises Conflict for one that runs or whose images others use,
    MovedAway while only the other host knows who owns it, and Locked while a move may be bringing it back.
    """
    with state.locked("bottle rm"), nothing_arriving(context, state):
        container = context.container(state.identity)
        require_settled(state.identity, state.migration.read())
        if container is not None and container.status.alive:
            raise Conflict(
                f"{state.identity} is {container.status.value}",
                left="nothing was deleted",
                next_step=f"bottle stop {state.identity}, then again",
            )
        if not consent:
            _require_copies(context, state, agreed)
        return remove_locked(context, state)


def _require_copies(context: Context, state: BottleState, agreed: Collection[str]) -> None:
    """Refuse to delete what exists nowhere else, but for what was `agreed` to, in the words of an earlier refusal.

    Raises NeedsConsent, saying what that is and how to keep it.
    """
    identity, tombstone = state.identity, state.tombstone.read()
    only = at_stake(context, state)
    if all(part in agreed for part in only.parts):
        return
    what, go = ", ".join(only.parts), f"bottle rm {identity} --yes"
    if tombstone is None:
        raise NeedsConsent(
            f"{identity} holds work, and this would delete it: {what}",
            left="nothing was deleted",
            next_step=go,
            parts=only.parts,
        )
    there = arrived(state)
    with_it = f" with {named_commits(there.commits)}" if there is not None and there.commits else ""
    raise NeedsConsent(
        f"{identity} moved to {tombstone.host}{with_it}, and this would delete what is only here: {what}",
        left="nothing was deleted",
        next_step=f"keep it first: {only.keeping(identity)}   (or let it go: {go})",
        parts=only.parts,
    )


def remove_locked(context: Context, state: BottleState) -> Removed:
    """Delete all that is this bottle's, the state folder last, so that a rerun can finish.

    Raises Conflict, and deletes nothing, while a container that bottle did not make stands on one of its images.
    """
    engine, identity = context.engine, state.identity
    images = engine.image_summaries({LABEL_SCHEMA: None})
    tags = tuple(tag for image in images for tag in image.tags if identity.has_tag(tag))
    # Of the others only a tag goes: a fork begins with an image of the bottle that it was forked off, and its labels.
    doomed = {image.id for image in images if image.tags and set(image.tags) <= set(tags)}
    containers = _containers(engine, state, doomed)
    for container in containers:
        engine.remove_container(container.id)
    _remove_images(engine, identity, images, tags)
    volumes = engine.volumes({LABEL_IDENTITY: str(identity)})
    for volume in volumes:
        engine.remove_volume(volume)
    runtime.forget(context.handed, identity)
    workspace, moved_to = _that_stays(state)
    if moved_to is None:  # no move brings it back, and the one that had brought it is over
        temporary.forget_placed(context.home.path, identity)
    context.home.keep_arrivals(identity)
    state.delete()
    return Removed(
        identity=identity,
        containers=tuple(container.name for container in containers),
        images=tags,
        volumes=volumes,
        commits=tuple(sorted(_number(tag) for tag in tags if _number(tag))),
        workspace=workspace,
        moved_to=moved_to,
    )


def _that_stays(state: BottleState) -> tuple[Path | None, str | None]:
    """The workspace, and where the bottle lives; neither of one that is damaged."""
    try:
        metadata, tombstone = state.metadata(), state.tombstone.read()
    except StateDamaged:
        return None, None
    mounted = metadata.mounted
    stays = mounted is not None and mounted.is_dir()
    return mounted if stays else None, tombstone.host if tombstone is not None else None


def _number(tag: str) -> int:
    """Which commit a tag of a bottle's is, 0 for one that is none."""
    name = tag.rpartition(":")[2]
    return int(name) if tag.startswith("bottle-committed-") and name.isdecimal() else 0


def _containers(engine: Engine, state: BottleState, doomed: Set[str]) -> tuple[ContainerSummary, ...]:
    """The containers that bottle made for this bottle.

    Raises TwoContainers, and Conflict for any other one on a `doomed` image.
    """
    identity = state.identity
    found = engine.container_summaries({LABEL_SCHEMA: None})
    container = the_one(identity, find_containers(engine, state, found))
    drafts = find_drafts(engine, state, found)
    own = tuple(
        each for each in found if each == container or each in drafts or (is_helper(each) and each.image in doomed)
    )
    others = sorted(each.name for each in found if each.image in doomed and each not in own)
    if others:
        raise Conflict(
            f"not {identity}'s own, but made from its images: container {', '.join(others)}",
            left="nothing was deleted",
            next_step=f"docker rm {' '.join(others)}, if nothing in there is needed, then again",
        )
    return own


def _remove_images(engine: Engine, identity: Identity, images: Iterable[ImageSummary], tags: Iterable[str]) -> None:
    """Remove a bottle's images, those that lost their tags last, as others may stand on them."""
    for tag in tags:
        engine.remove_image(tag)
    for image in images:
        if not image.tags and image.labels.get(LABEL_IDENTITY) == str(identity):
            with suppress(Conflict):  # an image that somebody built on it, or a container, needs it
                engine.remove_image(image.id)
