"""What bottles ask for: listed, and shown with all that an operator needs to decide it."""

from contextlib import suppress
from dataclasses import dataclass

from bottle.agent import review
from bottle.errors import BottleError, EngineUnreachable, MovedAway, NotFound, StateDamaged
from bottle.files.regular import read_regular
from bottle.launch import container_mounts, mount_over
from bottle.model import CapabilityRequest, Metadata, MigrationPhase
from bottle.naming import Identity
from bottle.operations.context import Context
from bottle.operations.requests import collect
from bottle.plan.guards import require_here
from bottle.requests.choice import only_open, requests_named
from bottle.store.state import BottleState


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
    identity = state.identity
    requests, trouble = _ask(context, state)
    request = only_open(identity, requests) if digest is None else requests_named(identity, requests, digest)[-1]
    (before, in_force), metadata = _in_force(state), state.metadata()
    malformed = not request.dockerfile and not request.status.open
    return RequestDetail(
        identity=identity,
        request=request,
        in_force=in_force,
        diff="" if malformed else review.differences(before, request.dockerfile),
        warnings=() if malformed else review.warnings(before, request.dockerfile, user=metadata.agent.user),
        notes=(*((f"{trouble}; shown is what was known before",) if trouble else ()), *workspace_notes(metadata)),
    )


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


def workspace_notes(metadata: Metadata) -> tuple[str, ...]:
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
