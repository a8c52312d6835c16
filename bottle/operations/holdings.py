"""What a deletion would take of a bottle here, looked up; `bottle.plan.copies` says what of it exists nowhere else."""

from bottle.launch import container_mounts, requests_volume
from bottle.model import Arrived, ImageFacts, MountKind
from bottle.naming import LABEL_IDENTITY, LABEL_SCHEMA
from bottle.operations.context import Context
from bottle.plan.copies import Holdings, OnlyCopies, only_copies
from bottle.plan.history import commit_in_force
from bottle.store.state import BottleState


def at_stake(context: Context, state: BottleState) -> OnlyCopies:
    """What of a bottle is only here. Raises StateDamaged where that cannot be told, or EngineError."""
    volumes = context.engine.volumes({LABEL_IDENTITY: str(state.identity)})
    return only_copies(
        Holdings(
            identity=state.identity,
            commits=state.commits(),
            images=_images(context, state),
            container=context.container(state.identity),
            volumes=tuple(sorted(set(volumes) - {requests_volume(state.identity)})),
            transcript=state.transcript.exists(),
            arrived=arrived(state),
        )
    )


def arrived(state: BottleState) -> Arrived | None:
    """What of a bottle is on the host that it moved to, None of one that lives here.

    A tombstone that does not say was written after a move of the commit in force, with all volumes of that.
    """
    tombstone = state.tombstone.read()
    if tombstone is None:
        return None
    if tombstone.arrived is not None:
        return tombstone.arrived
    commit = commit_in_force(state.commits(), state.committed_image())
    return what_travels(state, (commit.number,) if commit is not None else ())


def what_travels(state: BottleState, commits: tuple[int, ...]) -> Arrived:
    """What of a bottle is on another host once it has arrived there with the images of `commits`."""
    metadata = state.metadata()
    mounts = container_mounts(metadata)
    return Arrived(
        commits=commits,
        volumes=tuple(mount.source for mount in mounts if mount.kind is MountKind.VOLUME),
        workspace=metadata.mounted,
    )


def _images(context: Context, state: BottleState) -> tuple[ImageFacts, ...]:
    """Those that have a tag of the bottle's, and those that bear its label and have none."""
    mine = [
        each.id
        for each in context.engine.image_summaries({LABEL_SCHEMA: None})
        if any(map(state.identity.has_tag, each.tags))
        or (not each.tags and each.labels.get(LABEL_IDENTITY) == str(state.identity))
    ]
    return tuple(image for image in map(context.engine.image, mine) if image is not None)
