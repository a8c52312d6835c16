"""`inspect` and `history`: all that is known of one bottle, and its commits; nothing is changed."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bottle import transcript
from bottle.errors import StateDamaged
from bottle.files import tree
from bottle.launch import container_mounts, is_ours
from bottle.model import (
    CapabilityRequest,
    CommitIntent,
    CommitRecord,
    ContainerFacts,
    ImageFacts,
    Lineage,
    Metadata,
    MigrationRecord,
    Mount,
    Tombstone,
)
from bottle.naming import Identity
from bottle.operations.context import Context
from bottle.operations.listing import asked, unfinished
from bottle.operations.weighing import added_by_commits, held_by_commits
from bottle.plan.history import commit_in_force
from bottle.store.state import BottleState
from bottle.tar.items import ItemType


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """A commit, and what is left of it. `size` is what it adds to what it stands on, None where nobody can tell.

    `own` is what it holds by itself: bytes that would be free without it alone, None where nobody can tell.
    `image`: "present", "gone", "expired" when the agent's `keep` let it go, or "replaced" when its tag names something
    else now. `forks` are the bottles here that descend from it.
    """

    commit: CommitRecord
    image: str
    size: int | None
    own: int | None
    in_force: bool
    forks: tuple[Identity, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The commits of a bottle, oldest first, and where its first one came from, when it is a fork or a copy.

    `rebuild_due`: its own Dockerfile was approved after them.
    """

    identity: Identity
    origin: Lineage | None
    entries: tuple[HistoryEntry, ...]
    rebuild_due: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptSize:
    """The last snapshot of a transcript."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """All that is known of a bottle. `written` are the apparent bytes that its container has written since it began.

    `unfinished` says what is being done to it, or was cut short, and what to type then; `asked` what it asked for and
    has not got yet. `requests` are those that were taken in.
    """

    metadata: Metadata
    path: Path
    container: ContainerFacts | None
    written: int | None
    committed_tag: str | None
    image: ImageFacts | None
    history: History
    mounts: tuple[Mount, ...]
    own_dockerfile: Path | None
    requests: tuple[CapabilityRequest, ...]
    asked: tuple[str, ...]
    preserved: bool
    tombstone: Tombstone | None
    migration: MigrationRecord | None
    intent: CommitIntent | None
    unfinished: str
    transcript: TranscriptSize
    state_size: int


def inspect(context: Context, state: BottleState) -> Inspection:
    """Gather it. Raises StateDamaged, EngineError or NameTaken."""
    metadata = state.metadata()
    container = context.container(state.identity)
    tag = state.committed_image()
    entries = transcript.read_index(state.transcript)
    files = [entry for entry in entries if entry.type is ItemType.FILE]
    return Inspection(
        metadata=metadata,
        path=state.path,
        container=container,
        written=context.engine.writable_size(container.id) if container else None,
        committed_tag=tag,
        image=context.engine.image(tag) if tag is not None else None,
        history=history(context, state),
        mounts=tuple(each for each in container.mounts if not is_ours(each))
        if container
        else container_mounts(metadata),
        own_dockerfile=state.own_dockerfile,
        requests=state.requests(),
        asked=asked(state),
        preserved=state.preserved,
        tombstone=state.tombstone.read(),
        migration=state.migration.read(),
        intent=state.intent.read(),
        unfinished=unfinished(state),
        transcript=TranscriptSize(files=len(files), bytes=sum(entry.size for entry in files)),
        state_size=tree.size_of(state.path),
    )


def history(context: Context, state: BottleState) -> History:
    """A bottle's commits. Raises StateDamaged or EngineError."""
    metadata, commits = state.metadata(), state.commits()
    in_force = commit_in_force(commits, state.committed_image())
    images = {commit.number: context.engine.image(commit.tag) for commit in commits}
    listed = context.engine.image_summaries({})
    added = added_by_commits(context, metadata, commits, listed)
    alone = held_by_commits(context, metadata, commits, listed)
    forks = _forks(context, state.identity)
    return History(
        identity=state.identity,
        origin=metadata.copied_from,
        entries=tuple(
            HistoryEntry(
                commit=commit,
                image=_presence(commit, images[commit.number]),
                size=adds,
                own=own,
                in_force=commit == in_force,
                forks=tuple(forks.get(commit.number, ())),
            )
            for commit, adds, own in zip(commits, added, alone, strict=True)
        ),
        rebuild_due=state.rebuild_due,
    )


def _presence(commit: CommitRecord, image: ImageFacts | None) -> str:
    if image is None:
        return "expired" if commit.expired else "gone"
    return "present" if image.diff_ids == commit.diff_ids else "replaced"


def _forks(context: Context, identity: Identity) -> dict[int, list[Identity]]:
    """Who descends from which commit; a bottle that cannot be read is shown by `list`, and is no reason to fail."""
    found: dict[int, list[Identity]] = {}
    for other in context.home.identities():
        with suppress(StateDamaged):
            origin = context.home.bottle(other).metadata().copied_from
            if origin is not None and origin.identity == identity and other != identity:
                found.setdefault(origin.commit, []).append(other)
    return found
