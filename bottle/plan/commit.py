"""`commit`: whether a snapshot can be made, and as what."""

from dataclasses import dataclass
from datetime import datetime

from bottle.errors import NotFound, PreflightRefused
from bottle.files.paths import require_openable
from bottle.launch import is_below, is_ours
from bottle.model import (
    MOST_COMMITS,
    Change,
    ChangeKind,
    CommitIntent,
    CommitRecord,
    ContainerFacts,
    ContainerMark,
    ImageFacts,
    Metadata,
    MigrationRecord,
    Runtime,
    Status,
    Tombstone,
)
from bottle.naming import Identity
from bottle.plan.guards import require_docker, require_here, require_settled
from bottle.plan.history import parent_of
from bottle.plan.runtimes import require_kept_writes
from bottle.trees.survey import refuse_marks
from bottle.words import size

DEEPEST = 125  # layers; an image deeper than this cannot be made: https://github.com/moby/moby/issues/1171
SQUASH_AT = 100  # layers; a commit deeper than this is squashed: far enough from the end for some that cannot be

_AS_IT_WAS = "nothing was changed; the bottle goes on as it was"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitFacts:
    """What is known before a snapshot. Sizes in bytes; `free` is None where nobody can tell.

    `runtime` is what the container runs in, None where there is no container.
    """

    metadata: Metadata
    tombstone: Tombstone | None
    migration: MigrationRecord | None
    container: ContainerFacts | None
    runtime: Runtime | None
    base: ImageFacts | None
    commits: tuple[CommitRecord, ...]
    changes: tuple[Change, ...]
    size: int
    free: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitPlan:
    """A snapshot that can be made: its number, what it descends from, and what it leaves out because it is mounted.

    `has_changes`: files of the container are not those of its image, the places of its mounts apart.
    """

    identity: Identity
    container: str
    number: int
    parent: int | None
    pause: bool
    size: int
    has_changes: bool
    left_out: tuple[str, ...]


def plan_commit(facts: CommitFacts, *, pause: bool) -> CommitPlan:
    """Decide a snapshot. Raises BackendUnsupported, MovedAway, NotFound or PreflightRefused."""
    identity = facts.metadata.identity
    require_docker(facts.metadata, "commit")
    require_here(identity, facts.tombstone, "commit")
    require_settled(identity, facts.migration)
    container = facts.container
    if container is None:
        raise NotFound(
            f"{identity} has no container, so there is nothing to commit",
            left="its last commit is in force" if facts.commits else "it was never committed",
            next_step=f"bottle resume {identity}",
        )
    if facts.runtime is not None:
        require_kept_writes(identity, container, facts.runtime, "commit")
    require_kept(facts.changes)
    _require_room(facts, container)
    return CommitPlan(
        identity=identity,
        container=container.name,
        number=_next_number(facts, container),
        parent=parent_of(facts.commits, container),
        pause=pause and container.status is Status.RUNNING,
        size=facts.size,
        has_changes=any(
            not any(is_below(mount.target, change.path) for mount in container.mounts) for change in facts.changes
        ),
        left_out=tuple(
            f"{mount.target} ({mount.kind.value}{f' {mount.source}' if mount.source else ''})"
            for mount in container.mounts
            if not is_ours(mount)
        ),
    )


def _require_room(facts: CommitFacts, container: ContainerFacts) -> None:
    """Refuse a snapshot for which the engine has no layer left, or its disk no space."""
    identity = facts.metadata.identity
    if facts.base is not None and len(facts.base.diff_ids) >= DEEPEST:
        raise PreflightRefused(
            f"{identity} is made of {len(facts.base.diff_ids)} layers, and Docker allows no more than {DEEPEST}",
            left=_AS_IT_WAS,
            next_step=f"docker export {container.name} | docker import - flattened",
        )
    require_space(identity, facts.size, facts.free)


def require_space(identity: Identity, wanted: int, free: int | None) -> None:
    """Refuse a snapshot of `wanted` bytes for which the engine's disk has no space. Raises PreflightRefused."""
    if free is not None and wanted > free:
        raise PreflightRefused(
            f"the snapshot of {identity} needs {size(wanted)} (holes of sparse files are written out), "
            f"and the engine's disk has {size(free)} free",
            left=_AS_IT_WAS,
            next_step="docker system df",
        )


def _next_number(facts: CommitFacts, container: ContainerFacts) -> int:
    number = max((commit.number for commit in facts.commits), default=0) + 1
    if number > MOST_COMMITS:
        raise PreflightRefused(
            f"{facts.metadata.identity} has its commit {number - 1}, and a bottle has at most {MOST_COMMITS}",
            left=_AS_IT_WAS,
            next_step=f"docker commit {container.name}",
        )
    return number


def record_of(
    metadata: Metadata,
    intent: CommitIntent,
    image: ImageFacts,
    mark: ContainerMark,
    *,
    created_at: datetime,
    parent: int | None,
    dropped: tuple[str, ...],
) -> CommitRecord:
    """The history's entry of a commit that was begun as `intent` says and has become `image`."""
    return CommitRecord(
        number=intent.number,
        tag=metadata.identity.committed(intent.number),
        config_digest=image.config_digest,
        diff_ids=image.diff_ids,
        message=intent.message,
        created_at=created_at,
        parent=parent,
        mark=mark,
        dropped=dropped,
        defaults=metadata.defaults,
        base=metadata.base,
        volumes=tuple(volume.target for volume in metadata.agent.volumes),
    )


def layers_to_fold(base: tuple[str, ...], diff_ids: tuple[str, ...]) -> int:
    """How many of a commit's layers are to become one: those above `base`, the agent's image, or none."""
    own = len(diff_ids) - len(base)
    deep = len(diff_ids) > SQUASH_AT and own > 1
    return own if deep and base and diff_ids[: len(base)] == base else 0


def require_kept(changes: tuple[Change, ...]) -> None:
    """Refuse changes that Docker's commit would lose while it says success. Raises PreflightRefused."""
    refuse_marks(
        [
            change.path
            for change in changes
            if change.kind is not ChangeKind.DELETED and change.path.rsplit("/", 1)[-1].startswith(".wh.")
        ]
    )
    for change in changes:
        require_openable(change.path, "the container", left=_AS_IT_WAS)
