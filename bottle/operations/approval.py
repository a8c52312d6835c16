"""How an approved capability request is carried out.

It is done in steps that each leave a whole bottle: it runs as before, or it is stopped and preserved with all its work
in a commit. From the first step on the request is recorded as `APPROVING`, and approving it again goes on from where
that ended.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bottle import transcript
from bottle.errors import BottleError, BuildFailed, PreflightRefused
from bottle.launch import container_mounts
from bottle.model import CapabilityRequest, CommitRecord, ContainerFacts, Metadata, RequestStatus
from bottle.naming import Identity
from bottle.operations.commit import commit_locked, observe_commit
from bottle.operations.context import Context
from bottle.operations.images import build_args, build_image
from bottle.operations.launching import give_up
from bottle.operations.requests import publish
from bottle.operations.resume import kept_commits
from bottle.operations.stop import stop_locked
from bottle.plan.history import commit_in_force, is_frozen_in, nameless_volumes
from bottle.plan.sources import own_build
from bottle.requests.choice import approve_line, short_digest
from bottle.store.state import BottleState

_GRACE = 10  # seconds that an agent has to end in, as with `bottle stop`


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """A bottle that does not run and whose work is in `commit`, as far as there is any. `container` may go."""

    notes: tuple[str, ...]
    commit: CommitRecord | None
    container: ContainerFacts | None = None
    committed: bool = False
    was_running: bool = False


def carry_out(context: Context, state: BottleState, begun: tuple[CapabilityRequest, ...]) -> Aside:
    """Make the Dockerfile of requests, which all ask for the same, the bottle's own, and put the bottle by.

    They are recorded as `APPROVED` then. The caller holds the bottle's lock; after any error the same requests go on
    from where this ended.
    """
    for each in begun:  # recorded first: from here on nobody can deny it, and the same call goes on
        state.write_request(each)
    with _under_way(state.identity, begun[-1]):
        state.write_own_dockerfile(begun[-1].dockerfile)
        state.mark_preserved()
        for each in begun:
            publish(context, state.identity, each)
        aside = _put_aside(context, state, begun[-1])
        state.mark_rebuild()
        if aside.container is not None:
            give_up(context, aside.container)
        for each in begun:
            state.write_request(replace(each, status=RequestStatus.APPROVED))
    return aside


def require_committable(context: Context, state: BottleState) -> None:
    """Refuse while the bottle still runs what would only come to light when it has been stopped."""
    container = context.container(state.identity)
    nameless = nameless_volumes(container) if container is not None and container.ever_ran else ()
    if container is not None and nameless:
        raise PreflightRefused(
            f"{', '.join(nameless)} of {state.identity} is in a volume without a name, which is in no commit and would "
            "go with its container",
            left=f"nothing was changed; {state.identity} goes on as it was",
            next_step=f"keep it: docker cp -a {container.name}:{nameless[0]} DIR; bottle stop {state.identity}; "
            f"bottle commit {state.identity}; docker rm -v {container.name}; then approve again",
        )
    if container is not None and _freezing(context, state, container) is None:
        observe_commit(context, state, pause=False)


def try_build(context: Context, metadata: Metadata, request: CapabilityRequest, *, own: Path) -> None:
    """Build what is asked for under a tag of its own, which no container is made from; it also warms the cache."""
    identity, agent = metadata.identity, metadata.agent
    exists = agent.dockerfile is not None and agent.dockerfile.is_file()
    source, text = own_build(metadata, own, dockerfile_exists=exists), request.dockerfile.encode()
    args = build_args(text, source.args, metadata.mounted, context.engine.info().owner)
    try:
        build_image(context, text, source, tag=identity.trial, agent=agent.name, args=args)
    except BuildFailed as exc:
        begun = request.status is RequestStatus.APPROVING
        raise BuildFailed(
            exc.what,
            details=exc.details,
            left="the approval had begun before and is not finished; nothing else was changed"
            if begun
            else f"request {request.number} is still open, and {identity} goes on as it was",
            next_step=f"{approve_line(identity, request)}   (goes on without a trial)"
            if begun
            else f"bottle capability deny {identity} {short_digest(request)} --note 'it does not build'",
        ) from exc


@contextmanager
def _under_way(identity: Identity, request: CapabilityRequest) -> Iterator[None]:
    """Say of an error that the approval has begun, and how it goes on."""
    try:
        yield
    except BottleError as exc:
        before = f"{exc.next_step}; then " if exc.next_step else ""
        raise type(exc)(
            exc.what,
            details=exc.details,
            left=f"request {request.number} is approved, which is not finished; {exc.left or 'the work is all there'}",
            next_step=f"{before}{approve_line(identity, request)}",
        ) from exc


def _put_aside(context: Context, state: BottleState, request: CapabilityRequest) -> Aside:
    """End the bottle's processes and have all its work in a commit, unless one holds it already."""
    before = context.container(state.identity)
    if before is None:
        kept = "its last commit holds its work" if state.commits() else "it was never committed"
        note = f"{state.identity} has no container, so nothing was stopped or committed: {kept}"
        return Aside(commit=way_back(context, state), notes=(note,))
    notes = stop_locked(context, state, grace=_GRACE).notes if before.status.alive else ()
    container = context.container(state.identity)
    frozen = _freezing(context, state, container) if container is not None else None
    made = None
    if frozen is None:
        made = commit_locked(context, state, message=f"before capability request {request.number}", pause=False)
        notes += tuple(f"not in the commit: {each}" for each in made.told)
    if container is not None:  # once more, and strictly: the new filesystem begins with nothing else of the old one
        metadata = state.metadata()
        paths, mounted = metadata.agent.transcript, container_mounts(metadata)
        with context.progress.phase("copying the transcript"):
            transcript.capture(context.engine, container.id, paths, state.transcript, mounted=mounted)
    return Aside(
        container=container,
        commit=made.commit if made is not None else frozen,
        committed=made is not None,
        was_running=before.status.alive,
        notes=notes,
    )


def _freezing(context: Context, state: BottleState, container: ContainerFacts) -> CommitRecord | None:
    """The commit that holds all that a stopped container did."""
    if container.status.alive:
        return None
    kept = kept_commits(context, state.commits(), container)
    return next((each for each in reversed(kept) if is_frozen_in(container, (each,))), None)


def way_back(context: Context, state: BottleState) -> CommitRecord | None:
    """The commit in force, if its image is here."""
    commit = commit_in_force(state.commits(), state.committed_image())
    return commit if commit is not None and context.engine.image(commit.tag) is not None else None
