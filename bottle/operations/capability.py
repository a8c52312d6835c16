"""`capability`: see what bottles ask for, and decide it.

An approval is carried out in steps that each leave a whole bottle: it runs as before, or it is stopped and preserved
with all its work in a commit. From the first step on the request is recorded as `APPROVING`, and approving it again
goes on from where that ended.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from bottle import transcript
from bottle.agent import dockerfile
from bottle.errors import (
    BottleError,
    BuildFailed,
    Conflict,
    EngineUnreachable,
    MovedAway,
    NotFound,
    PreflightRefused,
    StateDamaged,
    UsageError,
)
from bottle.files.regular import read_regular
from bottle.launch import container_mounts, mount_over
from bottle.model import CapabilityRequest, CommitRecord, ContainerFacts, Metadata, MigrationPhase, RequestStatus
from bottle.naming import Identity
from bottle.operations.commit import commit_locked, observe_commit
from bottle.operations.context import Context
from bottle.operations.images import build_args, build_image
from bottle.operations.requests import collect, publish
from bottle.operations.resume import kept_commits
from bottle.operations.settle import settle
from bottle.operations.start import give_up
from bottle.operations.stop import stop_locked
from bottle.plan.decisions import (
    commit_in_force,
    is_frozen_in,
    nameless_volumes,
    own_build,
    require_docker,
    require_here,
    require_settled,
)
from bottle.requests.request import SHORT_DIGEST
from bottle.store.state import DOCKERFILE, BottleState
from bottle.text import encodable

_GRACE = 10  # seconds that an agent has to end in, as with `bottle stop`
_DIGEST = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestView:
    """A request, and whose it is."""

    identity: Identity
    request: CapabilityRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestList:
    """The requests of some bottles, by bottle and number. `notes` say whose may be missing, and why."""

    requests: tuple[RequestView, ...]
    notes: tuple[str, ...]

    @property
    def open(self) -> tuple[RequestView, ...]:
        """Those that something is still to be done about."""
        return tuple(each for each in self.requests if each.request.status.open)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDetail:
    """A request with all that an operator needs to decide it.

    `diff` is a unified diff from the Dockerfile in force to the one asked for, empty where they are the same, and
    `in_force` says where the former is from. `warnings` are what to look at twice. All of it is untrusted text.
    """

    identity: Identity
    request: CapabilityRequest
    in_force: str
    diff: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


class Standing(Enum):
    """What has become of an approved Dockerfile."""

    DUE = "due"  # the next resume builds it
    OWN = "own"  # a commit is newer, and in force
    REPLACED = "replaced"  # another one was approved after it


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """A request that was carried out.

    `commit` is the one to go back to, None where there is nothing to go back to; `committed` says that it was made now.
    `tried`: the Dockerfile was built before. `already`: it had been approved before this run, which changed nothing.
    `has_transcript`: there is one to be put back.
    """

    identity: Identity
    request: CapabilityRequest
    commit: CommitRecord | None
    committed: bool
    was_running: bool
    tried: bool
    already: bool
    standing: Standing
    has_transcript: bool
    notes: tuple[str, ...]

    @property
    def resume_line(self) -> str:
        """How to bring the bottle back, with what it asked for unless something else was approved since."""
        line = f"bottle resume {self.identity}"
        return f"{line} --rebuild" if self.standing is Standing.OWN else line

    @property
    def back_line(self) -> str | None:
        """How to bring it back as it was instead."""
        return f"bottle resume {self.identity} --at {self.commit.number}" if self.commit is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """A request that was turned down, and the agent told. `already`: it had been before this run."""

    identity: Identity
    request: CapabilityRequest
    already: bool


def list_requests(context: Context, identity: Identity | None = None) -> RequestList:
    """The requests of one bottle, or of all that are here; what bottles ask meanwhile is taken in.

    A bottle that another run is working on, or that cannot be asked, shows what is known of it; one that moved away is
    left out, unless it is the one. Raises EngineUnreachable; for one bottle also NotFound, MovedAway and StateDamaged.
    """
    found: list[RequestView] = []
    notes: list[str] = []
    for each in context.home.identities() if identity is None else (identity,):
        state = context.home.bottle(each)
        try:
            if identity is None and state.tombstone.read() is not None:
                continue
            requests, trouble = _ask(context, state)
        except (StateDamaged, NotFound, MovedAway) as exc:
            if identity is not None:
                raise
            notes.append(f"{each}: {exc.what}")
            continue
        notes += [f"{each}: {trouble}; shown is what was known before"] if trouble else []
        found += [RequestView(identity=each, request=request) for request in requests]
    return RequestList(requests=tuple(found), notes=tuple(notes))


def show(context: Context, state: BottleState, digest: str | None = None) -> RequestDetail:
    """One request, by 8 or more digits of its digest; without any, the only open one.

    Raises UsageError, NotFound, MovedAway or Conflict, when it changed since it had that digest.
    """
    requests, trouble = _ask(context, state)
    request = _only_open(state.identity, requests) if digest is None else _named(state.identity, requests, digest)[-1]
    (before, in_force), metadata = _in_force(state), state.metadata()
    malformed = not request.dockerfile and not request.status.open
    return RequestDetail(
        identity=state.identity,
        request=request,
        in_force=in_force,
        diff="" if malformed else dockerfile.differences(before, request.dockerfile),
        warnings=() if malformed else dockerfile.warnings(before, request.dockerfile, user=metadata.agent.user),
        notes=(*((f"{trouble}; shown is what was known before",) if trouble else ()), *_copied(metadata)),
    )


def approve(context: Context, state: BottleState, digest: str, *, build: bool = False, note: str = "") -> Approved:
    """Make a request's Dockerfile the bottle's own and put the bottle by for `resume` to build it, its work committed.

    With `build` it is built first, and a Dockerfile that does not build changes nothing: raises BuildFailed. Raises
    Conflict when the request changed since it had this digest or was denied, NotFound for one that is not known,
    UsageError, BackendUnsupported, MovedAway, Locked, PreflightRefused where the bottle cannot be committed, or
    EngineError; after any of them the same call goes on from where this one ended.
    """
    with _deciding(context, state, "approve") as (metadata, requests):
        named = _named(state.identity, requests, digest)
        chosen = tuple(each for each in named if each.status.open)
        if not chosen:
            return _approved_before(context, state, named[-1])
        _refuse_two_at_once(state.identity, requests, chosen[-1])
        settle(context, state)
        _require_committable(context, state)
        if build:
            _try(context, metadata, chosen[-1], own=state.path / DOCKERFILE)
        # Recorded first: from here on nobody can deny it, and the same call goes on.
        begun = tuple(_decided(context, each, RequestStatus.APPROVING, note) for each in chosen)
        for each in begun:
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
            done = tuple(replace(each, status=RequestStatus.APPROVED) for each in begun)
            for each in done:
                state.write_request(each)
        return Approved(
            identity=state.identity,
            request=done[-1],
            commit=aside.commit,
            committed=aside.committed,
            was_running=aside.was_running,
            tried=build,
            already=False,
            standing=Standing.DUE,
            has_transcript=_has_transcript(state),
            notes=(*aside.notes, *_copied(metadata)),
        )


def deny(context: Context, state: BottleState, digest: str, *, note: str = "") -> Denied:
    """Turn a request down and tell the agent, with the operator's word on it.

    Raises Conflict when the request changed since it had this digest, or was approved; otherwise as `approve`.
    """
    with _deciding(context, state, "deny") as (_, requests):
        named = _named(state.identity, requests, digest)
        for each in named:
            if each.status is RequestStatus.APPROVING:
                raise Conflict(
                    f"the approval of request {each.number} of {state.identity} has begun",
                    left="nothing was changed",
                    next_step=f"{_approve_line(state.identity, each)}   (finishes it)",
                )
        chosen = tuple(each for each in named if each.status is RequestStatus.PENDING)
        if not chosen:
            if named[-1].status is RequestStatus.APPROVED:
                raise Conflict(
                    f"request {named[-1].number} of {state.identity} was approved on {_when(named[-1])}",
                    left="nothing was changed",
                    next_step=f"bottle history {state.identity}   (to go back: bottle resume {state.identity} --at N)",
                )
            publish(context, state.identity, named[-1])
            return Denied(identity=state.identity, request=named[-1], already=True)
        done = tuple(_decided(context, each, RequestStatus.DENIED, note) for each in chosen)
        for each in done:
            state.write_request(each)
            publish(context, state.identity, each)
        with suppress(BottleError):  # garbage from now on
            context.engine.remove_image(state.identity.trial)
        return Denied(identity=state.identity, request=done[-1], already=False)


# --- which request ----------------------------------------------------------------------------------------------------


def _ask(context: Context, state: BottleState) -> tuple[tuple[CapabilityRequest, ...], str]:
    """What a bottle asks for, and why that may not be all of it."""
    require_here(state.identity, state.tombstone.read(), "ask")
    migration = state.migration.read()
    if migration is not None and migration.phase is MigrationPhase.HANDING_OFF:
        return state.requests(), f"a move to {migration.host} was cut while it was handed over"
    try:
        # Without a container there is nothing to take in, and the lock is left to those who need it.
        if context.container(state.identity) is None:
            return state.requests(), ""
        with state.locked("bottle capability list", brief=True):
            return collect(context, state), ""
    except (EngineUnreachable, NotFound, StateDamaged):
        raise
    except BottleError as exc:
        return state.requests(), exc.what


def _named(identity: Identity, requests: Iterable[CapabilityRequest], digest: str) -> tuple[CapabilityRequest, ...]:
    """The requests with a digest, by number: more than one where an agent asked for the same again."""
    if not _DIGEST.fullmatch(digest):
        raise UsageError(
            f"{digest!r} is no digest of a request: 8 to 64 hexadecimal digits, as `show` prints them",
            next_step=f"bottle capability list {identity}",
        )
    known = tuple(requests)
    fitting = {each.digest for each in known if each.digest.startswith(digest)}
    changed = [each for each in known if any(old.startswith(digest) and old not in fitting for old in each.superseded)]
    if changed:
        raise Conflict(
            f"request {changed[0].number} of {identity} has changed since it was {digest}",
            left="nothing was decided",
            next_step=f"bottle capability show {identity} {_short(changed[0])}",
        )
    if not fitting:
        raise NotFound(
            f"{identity} has no request {digest}",
            left="nothing was decided",
            next_step=f"bottle capability list {identity}",
        )
    if len(fitting) > 1:
        raise UsageError(f"{digest!r} fits {len(fitting)} requests of {identity}", next_step="type more of it")
    return tuple(each for each in known if each.digest in fitting)


def _only_open(identity: Identity, requests: Iterable[CapabilityRequest]) -> CapabilityRequest:
    waiting = {each.digest: each for each in requests if each.status.open}
    match list(waiting.values()):
        case [request]:
            return request
        case []:
            raise NotFound(f"no request of {identity} is waiting", next_step=f"bottle capability list {identity}")
        case several:
            names = ", ".join(map(_short, several))
            raise UsageError(
                f"{len(several)} requests of {identity} are waiting: {names}",
                next_step=f"bottle capability show {identity} DIGEST",
            )


def _refuse_two_at_once(identity: Identity, requests: Iterable[CapabilityRequest], chosen: CapabilityRequest) -> None:
    for each in requests:
        if each.status is RequestStatus.APPROVING and each.digest != chosen.digest:
            raise Conflict(
                f"the approval of request {each.number} of {identity} has begun and is not finished",
                left="nothing was changed",
                next_step=f"{_approve_line(identity, each)}   (finishes it)",
            )


def _approved_before(context: Context, state: BottleState, request: CapabilityRequest) -> Approved:
    if request.status is RequestStatus.DENIED:
        raise Conflict(
            f"request {request.number} of {state.identity} was denied on {_when(request)}",
            left="nothing was changed",
            next_step="the agent may ask for the same again, as a new request",
        )
    return Approved(
        identity=state.identity,
        request=request,
        commit=_way_back(context, state),
        committed=False,
        was_running=False,
        tried=False,
        already=True,
        standing=_standing(state, request),
        has_transcript=_has_transcript(state),
        notes=(),
    )


def _standing(state: BottleState, request: CapabilityRequest) -> Standing:
    own = state.own_dockerfile
    if own is None or read_regular(own) != request.dockerfile.encode():
        return Standing.REPLACED
    return Standing.DUE if state.rebuild_due else Standing.OWN


def _has_transcript(state: BottleState) -> bool:
    return bool(transcript.read_index(state.transcript))


# --- the steps of an approval -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Aside:
    """A bottle that does not run and whose work is in `commit`, as far as there is any. `container` may go."""

    container: ContainerFacts | None
    commit: CommitRecord | None
    committed: bool
    was_running: bool
    notes: tuple[str, ...]


@contextmanager
def _deciding(
    context: Context, state: BottleState, verb: str
) -> Iterator[tuple[Metadata, tuple[CapabilityRequest, ...]]]:
    """Hold the lock of a bottle that may be decided for; what it is, and what it asks."""
    metadata = state.metadata()
    doing = f"{verb} a request of"
    require_docker(metadata, doing)
    with state.locked(f"bottle capability {verb}"):
        require_here(state.identity, state.tombstone.read(), doing)
        require_settled(state.identity, state.migration.read())
        yield metadata, collect(context, state)


def _require_committable(context: Context, state: BottleState) -> None:
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


def _try(context: Context, metadata: Metadata, request: CapabilityRequest, *, own: Path) -> None:
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
            next_step=f"{_approve_line(identity, request)}   (goes on without a trial)"
            if begun
            else f"bottle capability deny {identity} {_short(request)} --note 'it does not build'",
        ) from exc


def _decided(context: Context, request: CapabilityRequest, status: RequestStatus, note: str) -> CapabilityRequest:
    if request.status is status:  # begun by a run that was cut short: its word has been given
        return request
    return replace(request, status=status, note=encodable(note), decided_at=context.now())


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
            next_step=f"{before}{_approve_line(identity, request)}",
        ) from exc


def _put_aside(context: Context, state: BottleState, request: CapabilityRequest) -> _Aside:
    """End the bottle's processes and have all its work in a commit, unless one holds it already."""
    before = context.container(state.identity)
    if before is None:
        return _Aside(
            container=None,
            commit=_way_back(context, state),
            committed=False,
            was_running=False,
            notes=_no_container(state),
        )
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
    return _Aside(
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


def _way_back(context: Context, state: BottleState) -> CommitRecord | None:
    """The commit in force, if its image is here."""
    commit = commit_in_force(state.commits(), state.committed_image())
    return commit if commit is not None and context.engine.image(commit.tag) is not None else None


def _no_container(state: BottleState) -> tuple[str, ...]:
    kept = "its last commit holds its work" if state.commits() else "it was never committed"
    return (f"{state.identity} has no container, so nothing was stopped or committed: {kept}",)


def _copied(metadata: Metadata) -> tuple[str, ...]:
    """A workspace that is part of the filesystem does not outlast it; one that is in a volume does."""
    if not metadata.copy_cwd:
        return ()
    where = metadata.agent.workdir
    volume = mount_over(where, container_mounts(metadata))
    if volume is not None:
        return (f"the workspace {where} is in {volume.kind.value} {volume.source}: it stays, and is in no commit",)
    return (f"the workspace {where} is inside the container: what was changed in it will be in the commit only",)


def _in_force(state: BottleState) -> tuple[str, str]:
    """The Dockerfile that the bottle would be built from now, and whose it is."""
    agent = state.metadata().agent
    own = state.own_dockerfile
    for path, whose in ((own, "the bottle's own"), (agent.dockerfile, "the agent's")):
        if path is not None and path.is_file():
            with suppress(OSError):
                return read_regular(path, follow=True).decode("utf-8", "replace"), f"{path}, {whose}"
    if agent.image is not None:
        return f"FROM {agent.image}\n", f"image {agent.image}"
    return "", f"none: {agent.dockerfile} is gone"


def _short(request: CapabilityRequest) -> str:
    return request.digest[:SHORT_DIGEST]


def _approve_line(identity: Identity, request: CapabilityRequest) -> str:
    return f"bottle capability approve {identity} {_short(request)}"


def _when(request: CapabilityRequest) -> str:
    return f"{request.decided_at:%Y-%m-%d %H:%M} UTC" if request.decided_at is not None else "an unknown day"
