"""`rm`: delete a bottle, after the user has said so where that deletes the only copy of work."""

from contextlib import suppress
from dataclasses import dataclass

from bottle import runtime
from bottle.errors import Conflict, MovedAway, NeedsConsent
from bottle.launch import requests_volume
from bottle.model import MigrationPhase
from bottle.naming import LABEL_IDENTITY, LABEL_SCHEMA, Identity
from bottle.operations.context import Context
from bottle.plan import finishing
from bottle.ports import Engine
from bottle.state import BottleState


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A bottle that is gone, and all that went with it."""

    identity: Identity
    containers: tuple[str, ...]
    images: tuple[str, ...]
    volumes: tuple[str, ...]


def remove(context: Context, state: BottleState, *, consent: bool) -> Removed:
    """Delete a bottle's container, images, volumes and state.

    Without `consent` a bottle that holds work is left alone: raises NeedsConsent, saying what would be lost. Raises
    Conflict for one that runs, MovedAway while only the other host knows who owns it.
    """
    with state.locked("bottle rm"):
        container = context.container(state.identity)
        migration = state.migration()
        if migration is not None and migration.phase is MigrationPhase.HANDING_OFF:
            raise MovedAway(
                f"a move of {state.identity} to {migration.host} was cut while it was handed over",
                left="nothing was deleted",
                next_step=f"finish it first: {finishing(state.identity, migration)}",
            )
        if container is not None and container.status.alive:
            raise Conflict(
                f"{state.identity} is {container.status.value}",
                left="nothing was deleted",
                next_step=f"bottle stop {state.identity}, then again",
            )
        if not consent and state.tombstone() is None:
            volumes = set(context.engine.volumes({LABEL_IDENTITY: str(state.identity)}))
            volumes.discard(requests_volume(state.identity))
            held = [f"{len(state.commits())} commits"] if state.commits() else []
            held += ["a container that has run"] if container is not None and container.ever_ran else []
            held += ["a transcript"] if state.transcript.exists() else []
            if container is None or container.ever_ran:
                held += [f"{len(volumes)} volumes"] if volumes else []
            if held:
                raise NeedsConsent(
                    f"{state.identity} holds work, and this would delete it: {', '.join(held)}",
                    left="nothing was deleted",
                    next_step=f"bottle rm {state.identity} --yes",
                )
        return remove_locked(context, state)


def remove_locked(context: Context, state: BottleState) -> Removed:
    """Delete everything that is labelled as this bottle's, the state folder last, so that a rerun can finish."""
    engine, mine = context.engine, {LABEL_IDENTITY: str(state.identity)}
    containers = engine.containers(mine)
    for container in containers:
        engine.remove_container(container.id)
    images = _remove_images(engine, state.identity)
    volumes = engine.volumes(mine)
    for volume in volumes:
        engine.remove_volume(volume)
    runtime.forget(context.runtime, state.identity)
    state.delete()
    return Removed(
        identity=state.identity,
        containers=tuple(container.name for container in containers),
        images=images,
        volumes=volumes,
    )


def _remove_images(engine: Engine, identity: Identity) -> tuple[str, ...]:
    """Remove a bottle's images, those that lost their tags last, as others may stand on them."""
    found = engine.image_summaries({LABEL_IDENTITY: None, LABEL_SCHEMA: None})
    # By tag: what a fork begins with bears the labels of the bottle it was forked off.
    tags = [tag for image in found for tag in image.tags if tag.startswith(f"{identity.committed_repository}:")]
    tags += [tag for tag in (identity.rebuilt, identity.trial) if engine.image(tag) is not None]
    for tag in tags:
        engine.remove_image(tag)
    for image in found:
        if not image.tags and image.labels[LABEL_IDENTITY] == str(identity):
            with suppress(Conflict):  # an image that somebody built on it needs it
                engine.remove_image(image.id)
    return tuple(tags)
