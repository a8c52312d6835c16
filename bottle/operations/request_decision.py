"""A capability request is decided: approved or denied."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum

from bottle import transcript
from bottle.errors import BottleError, Conflict
from bottle.files.regular import read_regular
from bottle.model import CapabilityRequest, CommitRecord, Metadata, RequestStatus
from bottle.naming import Identity
from bottle.operations.approval import carry_out, require_committable, try_build, way_back
from bottle.operations.context import Context
from bottle.operations.request_review import workspace_notes
from bottle.operations.requests import collect, publish
from bottle.operations.settle import settle
from bottle.plan.guards import require_docker, require_here, require_settled
from bottle.requests.choice import approve_line, decided_on, refuse_two_at_once, requests_named
from bottle.store.state import DOCKERFILE, BottleState
from bottle.text import encodable


class DockerfileStanding(Enum):
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
    committed: bool = False
    was_running: bool = False
    tried: bool = False
    already: bool = False
    standing: DockerfileStanding
    has_transcript: bool
    notes: tuple[str, ...] = ()

    @property
    def resume_line(self) -> str:
        """How to bring the bottle back, with what it asked for unless something else was approved since."""
        line = f"bottle resume {self.identity}"
        return f"{line} --rebuild" if self.standing is DockerfileStanding.OWN else line

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


def approve(context: Context, state: BottleState, digest: str, *, build: bool = False, note: str = "") -> Approved:
    """Make a request's Dockerfile the bottle's own and put the bottle by for `resume` to build it, its work committed.

    With `build` it is built first, and a Dockerfile that does not build changes nothing: raises BuildFailed. Raises
    Conflict when the request changed since it had this digest or was denied, NotFound for one that is not known,
    UsageError, BackendUnsupported, MovedAway, Locked, PreflightRefused where the bottle cannot be committed, or
    EngineError; after any of them the same call goes on from where this one ended.
    """
    with _deciding(context, state, "approve") as (metadata, requests):
        named = requests_named(state.identity, requests, digest)
        chosen = tuple(each for each in named if each.status.open)
        if not chosen:
            return _approved_before(context, state, named[-1])
        refuse_two_at_once(state.identity, requests, chosen[-1])
        settle(context, state)
        require_committable(context, state)
        if build:
            try_build(context, metadata, chosen[-1], own=state.path / DOCKERFILE)
        begun = tuple(_decided(context, each, RequestStatus.APPROVING, note) for each in chosen)
        aside = carry_out(context, state, begun)
        return Approved(
            identity=state.identity,
            request=replace(begun[-1], status=RequestStatus.APPROVED),
            commit=aside.commit,
            committed=aside.committed,
            was_running=aside.was_running,
            tried=build,
            standing=DockerfileStanding.DUE,
            has_transcript=_has_transcript(state),
            notes=(*aside.notes, *workspace_notes(metadata)),
        )


def deny(context: Context, state: BottleState, digest: str, *, note: str = "") -> Denied:
    """Turn a request down and tell the agent, with the operator's word on it.

    Raises Conflict when the request changed since it had this digest, or was approved; otherwise as `approve`.
    """
    with _deciding(context, state, "deny") as (_, requests):
        named = requests_named(state.identity, requests, digest)
        for each in named:
            if each.status is RequestStatus.APPROVING:
                raise Conflict(
                    f"the approval of request {each.number} of {state.identity} has begun",
                    left="nothing was changed",
                    next_step=f"{approve_line(state.identity, each)}   (finishes it)",
                )
        chosen = tuple(each for each in named if each.status is RequestStatus.PENDING)
        if not chosen:
            if named[-1].status is RequestStatus.APPROVED:
                raise Conflict(
                    f"request {named[-1].number} of {state.identity} was approved on {decided_on(named[-1])}",
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


def _approved_before(context: Context, state: BottleState, request: CapabilityRequest) -> Approved:
    if request.status is RequestStatus.DENIED:
        raise Conflict(
            f"request {request.number} of {state.identity} was denied on {decided_on(request)}",
            left="nothing was changed",
            next_step="the agent may ask for the same again, as a new request",
        )
    return Approved(
        identity=state.identity,
        request=request,
        commit=way_back(context, state),
        already=True,
        standing=_standing(state, request),
        has_transcript=_has_transcript(state),
    )


def _standing(state: BottleState, request: CapabilityRequest) -> DockerfileStanding:
    own = state.own_dockerfile
    if own is None or read_regular(own) != request.dockerfile.encode():
        return DockerfileStanding.REPLACED
    return DockerfileStanding.DUE if state.rebuild_due else DockerfileStanding.OWN


def _has_transcript(state: BottleState) -> bool:
    return bool(transcript.read_index(state.transcript))


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


def _decided(context: Context, request: CapabilityRequest, status: RequestStatus, note: str) -> CapabilityRequest:
    if request.status is status:  # begun by a run that was cut short: its word has been given
        return request
    return replace(request, status=status, note=encodable(note), decided_at=context.now())
