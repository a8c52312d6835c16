"""`list`: every bottle with what is known of it; one whose state is damaged is shown as such and hides no other.

It asks the engine a number of questions that does not grow with the number of bottles: see benchmarks/list.py.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from bottle.errors import StateDamaged
from bottle.model import (
    CommitRecord,
    ContainerSummary,
    ImageSummary,
    Metadata,
    MigrationPhase,
    MigrationRecord,
    RequestStatus,
    Standby,
    Status,
)
from bottle.naming import LABEL_IDENTITY, Identity
from bottle.operations.context import Context
from bottle.operations.finding import find_containers
from bottle.operations.weighing import weigh
from bottle.plan.guards import finishing
from bottle.plan.history import commit_in_force
from bottle.plan.sizes import Weight
from bottle.requests.choice import approve_line
from bottle.store.state import BottleState

_DAMAGED = "damaged"
STATES = ("running", "paused", "stopped", "created", "committed", "moved", "standby", "gone", "ambiguous", _DAMAGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class BottleView:
    """One line of `list`.

    `state` is one of STATES. `committed` is one that has no container, and `gone` one that has no image either.
    `weight` is that of its commits' images, None where its state is damaged. `moved_to` is the host that has it now.
    `cwd` is the folder that it works in or has a copy of. `runs_here`: a container of it has processes on this host, as
    it should not where it has moved. `requests` counts those that were taken in and that something is still to be done
    about; `rebuild_due` says that its own Dockerfile was approved after its last commit.
    """

    identity: Identity
    agent: str
    state: str
    detail: str
    started_at: datetime | None = None
    commit: int | None = None
    committed_at: datetime | None = None
    preserved: bool
    weight: Weight | None = None
    moved_to: str | None = None
    cwd: Path | None = None
    copy_cwd: bool = False
    runs_here: bool = False
    requests: int = 0
    rebuild_due: bool = False
    name: str | None = None

    @property
    def status(self) -> str:
        """Its state, in words for people."""
        match self.state:
            case "committed":
                return "no container"
            case "gone":
                return "no container" if self.commit is None else "image gone"
            case "moved":
                return f"moved to {self.moved_to}"
            case "standby":
                return f"standby of {self.moved_to}"
            case _:
                return self.state


def list_bottles(context: Context) -> tuple[BottleView, ...]:
    """Every bottle that has a state folder here, sorted. Raises EngineError."""
    engine = context.engine
    containers = defaultdict(list)
    for container in engine.container_summaries({LABEL_IDENTITY: None}):
        containers[container.labels[LABEL_IDENTITY]].append(container)
    listed = engine.image_summaries({})
    images = {tag: image for image in listed if LABEL_IDENTITY in image.labels for tag in image.tags}
    views: dict[Identity, BottleView] = {}
    read: dict[str, tuple[Metadata, tuple[CommitRecord, ...]]] = {}
    for identity in context.home.identities():
        state = context.home.bottle(identity)
        try:
            metadata, commits = state.metadata(), state.commits()
            found = find_containers(engine, state, containers[str(identity)])
            views[identity] = _view(state, metadata, commits, found, images)
            read[str(identity)] = metadata, commits
        except StateDamaged as exc:
            views[identity] = _damaged(state, exc)
    weighed = weigh(context, read, listed)
    return tuple(replace(view, weight=weighed.get(str(identity))) for identity, view in views.items())


def _damaged(state: BottleState, cause: StateDamaged) -> BottleView:
    return BottleView(
        identity=state.identity,
        agent=state.identity.agent,
        state=_DAMAGED,
        detail=cause.what,
        preserved=state.preserved,
    )


def _view(
    state: BottleState,
    metadata: Metadata,
    commits: tuple[CommitRecord, ...],
    found: tuple[ContainerSummary, ...],
    images: Mapping[str, ImageSummary],
) -> BottleView:
    container, tag, tombstone = found[0] if found else None, state.committed_image(), state.tombstone.read()
    runs_here = any(each.status.alive for each in found)
    commit = commit_in_force(commits, tag)
    word, detail = _condition(container, tag, tag in images)
    if container is not None and container.name != state.identity.container:
        detail = "; ".join(filter(None, (f"its container is called {container.name} now", detail)))
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        word, detail = "ambiguous", f"which of its containers has its work is not known: {names}"
    if tombstone is not None:
        word, detail = "moved", f"on {tombstone.moved_at:%Y-%m-%d}"
        if tombstone.standby:
            word, detail = "standby", f"as of {tombstone.moved_at:%Y-%m-%d %H:%M} UTC"
        if runs_here:
            detail += f", YET A CONTAINER OF IT RUNS HERE: bottle stop {state.identity}"
    return BottleView(
        identity=state.identity,
        agent=metadata.agent.name,
        state=word,
        detail="; ".join(filter(None, (detail, unfinished(state), *(_to_do(state) if tombstone is None else ())))),
        started_at=metadata.started_at,
        commit=commit.number if commit else None,
        committed_at=commit.created_at if commit else None,
        preserved=state.preserved,
        moved_to=tombstone.host if tombstone else None,
        cwd=metadata.cwd,
        copy_cwd=metadata.copy_cwd,
        runs_here=runs_here,
        requests=sum(each.status.open for each in state.requests()),
        rebuild_due=state.rebuild_due,
        name=metadata.name,
    )


def _to_do(state: BottleState) -> tuple[str, ...]:
    """What a bottle that lives here asked for, and how its standby is."""
    standby = state.standby.read()
    return (*asked(state), *([_standby_line(standby)] if standby is not None else ()))


def _standby_line(standby: Standby) -> str:
    """Where it is, how old, and why it is not newer."""
    age = f"as of {standby.brought_at:%Y-%m-%d %H:%M} UTC" if standby.brought_at is not None else "none yet"
    failed = f", and its last round failed: {standby.error}" if standby.error else ""
    return f"standby on {standby.host}: {age}{failed}"


def _condition(container: ContainerSummary | None, tag: str | None, present: bool) -> tuple[str, str]:
    gone = f"its committed image {tag} is gone" if tag is not None and not present else ""
    match container.status if container else None:
        case Status.RUNNING | Status.RESTARTING:
            return "running", gone
        case Status.PAUSED:
            return "paused", gone
        case Status.CREATED:
            return "created", gone
        case Status.EXITED | Status.DEAD | Status.REMOVING:
            assert container is not None  # a status is a container's
            ended = f"exited with {container.exit_code}" if container.exit_code is not None else "did not end cleanly"
            return "stopped", f"{ended}; {gone}" if gone else ended
        case None:
            return ("committed", "") if present else ("gone", gone or "neither container nor image")


def unfinished(state: BottleState) -> str:
    """What is being done to a bottle, or was cut short, and what to type then; empty when there is nothing."""
    intent, migration = state.intent.read(), state.migration.read()
    paused_by = state.paused_by
    if intent is None and migration is None and paused_by is None:
        return ""
    busy = state.locked_by
    if busy is not None:
        return f"in work: {busy}"
    if migration is not None:
        return _cut_move(state.identity, migration)
    if intent is not None:
        return f"a commit was cut: bottle commit {state.identity}"
    return f"{paused_by} was cut that had paused it: bottle resume {state.identity}"


def asked(state: BottleState) -> tuple[str, ...]:
    """What the bottle asked for and has not got yet, and what to type then."""
    identity, requests = state.identity, state.requests()
    waiting = sum(each.status is RequestStatus.PENDING for each in requests)
    found = [
        f"the approval of request {each.number} was cut: {approve_line(identity, each)}"
        for each in requests
        if each.status is RequestStatus.APPROVING
    ]
    if waiting:
        found.append(f"{waiting} request{'s wait' if waiting > 1 else ' waits'}: bottle capability list {identity}")
    if state.rebuild_due:
        found.append("its own Dockerfile is in no commit yet")
    return tuple(found)


def _cut_move(identity: Identity, migration: MigrationRecord) -> str:
    if migration.pulled_by is not None:
        return f"its move to {migration.host} was cut: {finishing(identity, migration)}"
    verb = "copy" if migration.arrives_as not in {None, identity} else "move"
    when = " while it was handed over" if migration.phase is MigrationPhase.HANDING_OFF else ""
    keep = " --keep" if verb == "copy" else ""
    return f"a {verb} to {migration.host} was cut{when}: bottle migrate {identity} {migration.host}{keep}"
