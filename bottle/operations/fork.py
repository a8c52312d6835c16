"""`fork`: a new bottle off a commit of another; the other goes on as it was.

The new bottle is put together in a draft beside the state folders and gets its name last, so there is never half of
one. What a killed run leaves is labelled or tagged with an identity that only a draft knows, and `prune` clears it.
"""

import posixpath
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from bottle import transcript
from bottle.errors import BottleError, EngineError, NotFound, UsageError, VerificationFailed
from bottle.files import tree
from bottle.files.atomic import write_atomic
from bottle.files.paths import require_openable
from bottle.files.regular import read_regular
from bottle.launch import container_mounts
from bottle.losses import dropped_by_archive, unseen, worth_telling
from bottle.model import CommitRecord, Lineage, Metadata, Mount, MountKind
from bottle.naming import LABEL_IDENTITY, LABEL_SCHEMA, Identity
from bottle.operations.context import Context
from bottle.operations.images import bare_container
from bottle.operations.inforce import put_in_force
from bottle.operations.launching import git_note
from bottle.operations.pause import paused
from bottle.operations.settle import settle
from bottle.plan.guards import require_docker, require_here
from bottle.plan.history import as_committed, commit_in_force, find_commit
from bottle.store.state import DOCKERFILE, BottleState
from bottle.tar.chunks import ChunkReader, reading
from bottle.tar.reader import whole
from bottle.workspace import require_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkRequest:
    """What the user asked for: off which commit, by default the one in force, and where the fork is to work."""

    at: int | None = None
    cwd: Path | None = None
    share_cwd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """A bottle that was made. `shared` is the workspace that it has together with its origin, None when it has not."""

    identity: Identity
    origin: Lineage
    commit: CommitRecord
    cwd: Path | None
    shared: Path | None
    volumes: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkPlan:
    """What is to be made of what."""

    metadata: Metadata
    commit: CommitRecord
    origin: CommitRecord
    shared: Path | None
    volumes: tuple[tuple[str, str], ...]


def plan_fork(
    metadata: Metadata,
    commits: tuple[CommitRecord, ...],
    committed_tag: str | None,
    request: ForkRequest,
    new: Identity,
) -> ForkPlan:
    """Decide a fork from what is known of the origin. Raises NotFound or UsageError."""
    identity = metadata.identity
    origin = find_commit(identity, commits, request.at) if request.at is not None else None
    origin = origin or commit_in_force(commits, committed_tag)
    if origin is None:
        raise NotFound(
            f"{identity} has no commit to fork off", left="nothing was made", next_step=f"bottle commit {identity}"
        )
    then = as_committed(metadata, origin)
    names = [volume.source for volume in then.agent.volumes if volume.kind is MountKind.VOLUME]
    return ForkPlan(
        metadata=replace(
            then,
            identity=new,
            name=None,
            cwd=_workspace(metadata, request),
            copied_from=Lineage(identity=identity, commit=origin.number),
            generation=1,
        ),
        # No container of the fork has done anything yet, so it has no mark, and its own history begins here.
        commit=replace(origin, tag=new.committed(origin.number), parent=None, mark=None, expired=False),
        origin=origin,
        shared=metadata.mounted if request.share_cwd else None,
        volumes=tuple((identity.volume(name), new.volume(name)) for name in dict.fromkeys(names)),
    )


def _workspace(metadata: Metadata, request: ForkRequest) -> Path | None:
    """Where the fork works. Two agents in one folder overwrite each other's files, so that is only done when asked."""
    mounted = metadata.mounted
    if request.cwd is not None and request.share_cwd:
        raise UsageError("--cwd and --share-cwd contradict each other", left="nothing was made")
    if mounted is None:
        if request.cwd is not None or request.share_cwd:
            raise UsageError(
                f"the workspace of {metadata.identity} is inside its image, so every fork has a copy of its own",
                left="nothing was made",
                next_step="the same command without --cwd and --share-cwd",
            )
        return metadata.cwd
    if request.cwd is None and not request.share_cwd:
        raise UsageError(
            f"the workspace of {metadata.identity}, {mounted}, is mounted: a fork in the same folder would work on the "
            "same files at the same time",
            left="nothing was made",
            next_step=f"bottle fork {metadata.identity} --cwd DIR, with a copy of it (cp -a, or git clone; in a git "
            "worktree the agent has no git); or, knowing that they share it, --share-cwd",
        )
    return mounted if request.cwd is None else require_folder(request.cwd)


def fork(context: Context, state: BottleState, request: ForkRequest) -> Forked:
    """Make a new bottle off a commit.

    Raises BackendUnsupported, Locked, MovedAway, NotFound, UsageError, PathTooLong, VerificationFailed or EngineError;
    on any of them nothing of the new bottle is left, but for what Docker does not let go, which `prune` knows.
    """
    metadata = state.metadata()
    require_docker(metadata, "fork")
    with state.locked("bottle fork"):
        require_here(state.identity, state.tombstone.read(), "fork")
        settle(context, state)
        new = Identity.fresh(metadata.agent.name)
        plan = plan_fork(state.metadata(), state.commits(), state.committed_image(), request, new)
        _require_image(context, plan.origin, state.identity)
        with context.home.drafted(new, "bottle fork", lambda draft: discard_draft(context, draft)) as draft:
            notes = _put_together(context, state, draft, plan)
            context.home.adopt(draft)
    origin = plan.metadata.copied_from
    assert origin is not None  # plan_fork says so
    return Forked(
        identity=new,
        origin=origin,
        commit=plan.commit,
        cwd=plan.metadata.cwd,
        shared=plan.shared,
        volumes=tuple(name for _, name in plan.volumes),
        notes=(*notes, *_port_note(plan.metadata, state.identity), *git_note(plan.metadata)),
    )


def _port_note(metadata: Metadata, origin: Identity) -> tuple[str, ...]:
    """A port of the host leads to one container only."""
    if not metadata.agent.ports:
        return ()
    places = ", ".join(port.place for port in metadata.agent.ports)
    return (f"it has the ports of {origin}, {places}: only one of the two can run at a time",)


def _require_image(context: Context, commit: CommitRecord, identity: Identity) -> None:
    image = context.engine.image(commit.tag)
    if image is None:
        raise NotFound(
            f"the image of commit {commit.number}, {commit.tag}, is gone from this engine",
            left="nothing was made",
            next_step=f"bottle history {identity}",
        )
    if image.diff_ids != commit.diff_ids:
        raise VerificationFailed(
            f"{commit.tag} is not the image that was committed: its layers differ from the history's",
            left="nothing was made",
            next_step=f"bottle history {identity}; docker image ls {identity.committed_repository}",
        )


def discard_draft(context: Context, draft: BottleState) -> None:
    """Take away what was made for a bottle that never was. Hides no error, as it raises none: what stays is told of."""
    try:
        remove_draft(context, draft)
    except BottleError as exc:
        context.progress.note(
            f"not all that was made of {draft.identity} could be taken away: {exc.what}; what is left: bottle prune"
        )


def remove_draft(context: Context, draft: BottleState) -> None:
    """Take away what was made for a bottle that never was, its folder last: nothing else knows of the rest.

    Raises Conflict while something uses a part of it, or EngineError.
    """
    engine, identity = context.engine, draft.identity
    for image in engine.image_summaries({LABEL_SCHEMA: None}):
        for tag in image.tags:
            if tag.startswith(f"{identity.committed_repository}:"):
                engine.remove_image(tag)
    for volume in engine.volumes({LABEL_IDENTITY: str(identity)}):
        engine.remove_volume(volume)
    tree.discard(draft.path)


def _put_together(context: Context, state: BottleState, draft: BottleState, plan: ForkPlan) -> tuple[str, ...]:
    agent = plan.metadata.agent
    if agent.dockerfile == state.path / DOCKERFILE:  # the origin was imported; a build takes files from beside it
        agent = replace(agent, dockerfile=context.home.bottle(draft.identity).path / DOCKERFILE)
    draft.write_metadata(replace(plan.metadata, agent=agent, started_at=context.now()))
    own = state.own_dockerfile
    if own is not None:
        write_atomic(draft.path / DOCKERFILE, read_regular(own))
    context.engine.tag(plan.origin.tag, plan.commit.tag)
    put_in_force(context, draft, plan.commit)
    return (*_copy_transcript(context, draft, plan), *_copy_volumes(context, state, plan))


def _copy_transcript(context: Context, draft: BottleState, plan: ForkPlan) -> tuple[str, ...]:
    """The transcript as it was at the commit: from the image, as the snapshot beside it may be newer."""
    paths, mounted = plan.metadata.agent.transcript, container_mounts(plan.metadata)
    if not paths:
        return ()
    with bare_container(context, plan.origin.tag) as container:
        try:
            transcript.capture(context.engine, container, paths, draft.transcript, mounted=mounted)
        except (EngineError, VerificationFailed) as exc:  # what there is of it is in the image too
            return (f"the transcript could not be copied beside the image: {exc.what}",)
    return ()


def _copy_volumes(context: Context, state: BottleState, plan: ForkPlan) -> tuple[str, ...]:
    if not plan.volumes:
        return ()
    labels = {LABEL_SCHEMA: "1", LABEL_IDENTITY: str(plan.metadata.identity)}
    lacking = tuple(line for source, _ in plan.volumes for line in _lacking(context, source))
    with paused(context, state, context.container(state.identity), "a fork"):
        for source, target in plan.volumes:
            with context.progress.phase(f"copying volume {source}"):
                context.engine.create_volume(target, labels)
                _copy_volume(context, plan.origin.tag, source, target)
    names = ", ".join(source for source, _ in plan.volumes)
    return (f"volumes are no part of a commit: {names} was copied as it is now, not as it was then", *lacking)


def _lacking(context: Context, volume: str) -> tuple[str, ...]:
    """What the copy of a volume will not have.

    Raises PathTooLong for what Docker would leave out without a word, as far as the volume can be looked into here.
    """
    try:
        folder = context.engine.volume_folder(volume)
    except NotFound:
        return ()  # one that was never used
    if folder is not None:
        require_openable(tree.measure(folder).longest, f"volume {volume}", left="nothing was made")
    lines = dropped_by_archive(folder) if folder is not None else unseen()
    return tuple(f"the copy of volume {volume}: {line}" for line in worth_telling(lines, first=True))


def _copy_volume(context: Context, image: str, source: str, target: str) -> None:
    """Through two containers that never run, at a path no image has: an empty volume would be filled from there."""
    place = f"/bottle-volume-{secrets.token_hex(6)}"
    old, new = (Mount(kind=MountKind.VOLUME, source=name, target=place) for name in (source, target))
    with (
        bare_container(context, image, old) as reader,
        bare_container(context, image, new) as writer,
        reading(context.engine.read_archive(reader, place)) as chunks,
    ):
        tar = whole(
            chunks,
            f"volume {source}",
            left="nothing was made",
            next_step="look at Docker's log and disk: bottle doctor",
        )
        context.engine.write_archive(writer, posixpath.dirname(place), cast("BinaryIO", ChunkReader(tar)))
