"""What of a bottle travels besides its image, and what does not. Pure."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from bottle.errors import NeedsConsent
from bottle.launch import container_mounts
from bottle.model import CommitRecord, Metadata, Mount, MountKind, StayKind, Stays
from bottle.naming import Identity


def volumes_of(metadata: Metadata) -> tuple[Mount, ...]:
    """The bottle's named volumes, as Docker calls them."""
    return tuple(mount for mount in container_mounts(metadata) if mount.kind is MountKind.VOLUME)


def what_stays(metadata: Metadata, commits: tuple[CommitRecord, ...], own: Path | None) -> tuple[Stays, ...]:
    """What does not travel. `own` is bottle's home where it lies in the workspace."""
    return tuple(_staying(metadata, commits, own))


def _staying(metadata: Metadata, commits: tuple[CommitRecord, ...], own: Path | None) -> Iterator[Stays]:
    agent, mounts = metadata.agent, container_mounts(metadata)
    yield from (Stays(kind=StayKind.SECRET, name=name) for name in agent.secrets)
    for mount in mounts:
        if mount.kind is MountKind.BIND and mount.target != agent.workdir:
            yield Stays(kind=StayKind.FOLDER, name=mount.source, place=mount.target)
    if commits:
        yield Stays(kind=StayKind.COMMITS)
    volumes = {target for commit in commits for target in commit.volumes or ()} - {mount.target for mount in mounts}
    yield from (Stays(kind=StayKind.COMMIT_VOLUME, name=target) for target in sorted(volumes))
    if agent.dockerfile is not None:
        yield Stays(kind=StayKind.BUILD_FOLDER, name=str(agent.dockerfile.parent))
    if agent.network not in {"bridge", "none"}:
        yield Stays(kind=StayKind.NETWORK, name=agent.network)
    yield from (Stays(kind=StayKind.PORT, name=port.place) for port in agent.ports)
    if agent.gpus is not None:
        yield Stays(kind=StayKind.GPUS, name=str(agent.gpus))
    if own is not None:
        yield Stays(kind=StayKind.HOME, name=str(own))


def in_words(lines: Iterable[str]) -> tuple[Stays, ...]:
    """What stays, and is told in words already."""
    return tuple(Stays(kind=StayKind.LINE, name=line) for line in lines)


def require_consent(left_behind: Collection[str], identity: Identity, left: str) -> None:
    """Refuse to leave behind what a workspace needs. Raises NeedsConsent."""
    if left_behind:
        raise NeedsConsent(
            f"the workspace of {identity} needs what lies outside of it, and would not have it there: "
            + "; ".join(left_behind),
            left=left,
            next_step="put it into the workspace; or, to leave it behind: the same command with --yes",
        )
