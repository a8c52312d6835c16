"""What the commits of a bottle say: which one is in force, what a container has that none of them has."""

from collections.abc import Iterable
from dataclasses import replace

from bottle.errors import NotFound
from bottle.model import CommitRecord, ContainerFacts, Metadata, Mount, MountKind
from bottle.naming import LABEL_COMMIT, Identity, declared_volume, is_declared


def commit_in_force(commits: tuple[CommitRecord, ...], tag: str | None) -> CommitRecord | None:
    """The commit that resume uses."""
    return next((commit for commit in reversed(commits) if commit.tag == tag), None)


def as_committed(metadata: Metadata, commit: CommitRecord) -> Metadata:
    """What a bottle is that goes back to a commit: its image may have been built anew since."""
    if commit.defaults is None:
        return metadata
    agent = metadata.agent
    if commit.volumes is not None:
        # A volume that only a later image declared would hide what the commit has there.
        kept = tuple(
            volume
            for volume in agent.volumes
            if volume.target in commit.volumes or not is_declared(volume.source, volume.target)
        )
        # Going back before it was declared took it out of the metadata; its content is still there under its name.
        missing = (target for target in commit.volumes if all(volume.target != target for volume in kept))
        again = (Mount(kind=MountKind.VOLUME, source=declared_volume(each), target=each) for each in missing)
        agent = replace(agent, volumes=(*kept, *again))
    return replace(metadata, agent=agent, defaults=commit.defaults, base=commit.base)


def find_commit(identity: Identity, commits: tuple[CommitRecord, ...], number: int) -> CommitRecord:
    """Commit `number` of a bottle. Raises NotFound, listing those there are."""
    for commit in commits:
        if commit.number == number:
            return commit
    known = ", ".join(str(commit.number) for commit in commits) or "none"
    raise NotFound(f"{identity} has no commit {number}; it has: {known}", next_step=f"bottle history {identity}")


def standing_below(commits: Iterable[CommitRecord], diff_ids: tuple[str, ...]) -> tuple[CommitRecord, ...]:
    """Those of `commits` whose layers are the lowest of `diff_ids`: where all of these are, they lack only a config."""
    return tuple(each for each in commits if each.diff_ids and each.diff_ids == diff_ids[: len(each.diff_ids)])


def is_frozen_in(container: ContainerFacts, commits: tuple[CommitRecord, ...]) -> bool:
    """Whether some commit holds all that a stopped container did: it was made of this container after its last run."""
    return any(
        commit.mark is not None
        and not commit.mark.running
        and commit.mark.container_id == container.id
        and commit.mark.started_at == container.started_at
        for commit in commits
    )


def with_more_in(container: ContainerFacts, commits: tuple[CommitRecord, ...]) -> tuple[CommitRecord, ...]:
    """The history once something is put into a stopped container: its commits are as those made while it ran on."""
    return tuple(
        replace(commit, mark=replace(commit.mark, running=True))
        if commit.mark is not None and commit.mark.container_id == container.id
        else commit
        for commit in commits
    )


def nameless_volumes(container: ContainerFacts) -> tuple[str, ...]:
    """Where a container has volumes that are in no commit and are removed together with it."""
    return tuple(mount.target for mount in container.mounts if mount.anonymous)


def parent_of(commits: tuple[CommitRecord, ...], container: ContainerFacts) -> int | None:
    """What a container's next commit descends from: the newest one made of it, else the one it was made from."""
    for commit in reversed(commits):
        if commit.mark is not None and commit.mark.container_id == container.id:
            return commit.number
    label = container.labels.get(LABEL_COMMIT, "")
    return next((commit.number for commit in commits if str(commit.number) == label), None)
