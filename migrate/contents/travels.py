"""What of a bottle travels besides its image, and what does not. Pure."""

from collections.abc import Collection
from pathlib import Path

from bottle.errors import NeedsConsent
from bottle.launch import container_mounts
from bottle.model import CommitRecord, Metadata, Mount, MountKind
from bottle.naming import Identity


def mounted_workspace(metadata: Metadata) -> Path | None:
    """The folder of this host that the bottle works in; None where it works in a copy."""
    return None if metadata.copy_cwd else metadata.cwd


def volumes_of(metadata: Metadata) -> tuple[Mount, ...]:
    """The bottle's named volumes, as Docker calls them."""
    return tuple(mount for mount in container_mounts(metadata) if mount.kind is MountKind.VOLUME)


def what_stays(metadata: Metadata, commits: tuple[CommitRecord, ...], own: Path | None) -> tuple[str, ...]:
    """What does not travel, by name. `own` is bottle's home where it lies in the workspace."""
    stays = [f"secret {name}: taken from the environment there" for name in metadata.agent.secrets]
    stays += [
        f"host folder {mount.source}, mounted at {mount.target}"
        for mount in container_mounts(metadata)
        if mount.kind is MountKind.BIND and mount.target != metadata.agent.workdir
    ]
    if commits:
        stays.append("the images of other commits; their entries in the history travel")
    mounted = {mount.target for mount in container_mounts(metadata)}
    stays += [
        f"the volume for {target}, which only other commits have"
        for target in sorted({target for commit in commits for target in commit.volumes or ()} - mounted)
    ]
    if metadata.agent.dockerfile is not None:
        stays.append(f"the folder of the agent's Dockerfile, {metadata.agent.dockerfile.parent}")
    if metadata.agent.network not in {"bridge", "none"}:
        stays.append(f"network {metadata.agent.network}: it must exist there")
    stays += [f"port {port.place}: it must be free there" for port in metadata.agent.ports]
    if metadata.agent.gpus is not None:
        stays.append(f"GPUs ({metadata.agent.gpus}): they must exist there")
    if own is not None:
        stays.append(f"bottle's own folder {own}, which lies in the workspace")
    return tuple(stays)


def require_consent(left_behind: Collection[str], identity: Identity, left: str) -> None:
    """Refuse to leave behind what a workspace needs. Raises NeedsConsent."""
    if left_behind:
        raise NeedsConsent(
            f"the workspace of {identity} needs what lies outside of it, and would not have it there: "
            + "; ".join(left_behind),
            left=left,
            next_step="put it into the workspace; or, to leave it behind: the same command with --yes",
        )
