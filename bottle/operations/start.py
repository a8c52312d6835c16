"""`start`: a new bottle from an agent of the manifest."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from bottle import runtime
from bottle.errors import BottleError, EndedAtOnce, UsageError
from bottle.launch import Once, command_for, with_declared_volumes
from bottle.model import Agent, ImageFacts, Metadata
from bottle.naming import LABEL_IDENTITY, Identity, is_bottle_name
from bottle.operations.context import Context
from bottle.operations.finding import find_containers, find_drafts
from bottle.operations.firstmoments import Ended, see_it_run
from bottle.operations.images import obtain
from bottle.operations.launching import begin_container, launch_notes, new_container
from bottle.operations.preflight import require_launchable
from bottle.operations.secrets import missing_secrets
from bottle.plan.guards import require_remote_control
from bottle.plan.sources import ImageSource, agent_image
from bottle.store.state import BottleState
from bottle.workspace import copy_workspace, require_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """What the user asked for. `command` replaces the agent's own, for good; `remote_control` is for this launch."""

    agent: Agent
    cwd: Path
    copy_cwd: bool = False
    command: tuple[str, ...] = ()
    tty: bool = True
    remote_control: bool = False
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPlan:
    """What `start` will do; `--dry-run` shows this very value."""

    identity: Identity
    agent: Agent
    source: ImageSource
    cwd: Path
    copy_cwd: bool
    tty: bool
    remote_control: bool
    missing_secrets: tuple[str, ...]
    doubts: tuple[str, ...] = ()
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """A bottle that exists. It runs, unless it has `ended`, or the caller is to start the container after attaching."""

    identity: Identity
    container: str
    notes: tuple[str, ...]
    ended: Ended | None = None


def plan_start(context: Context, request: StartRequest) -> StartPlan:
    """Decide a launch; nothing is changed.

    Raises UsageError, NameTaken, PreflightRefused, PortTaken or EngineError.
    """
    agent = request.agent
    if request.name is not None:
        _require_name(context, request.name)
    if request.command:
        agent = replace(agent, command=request.command, resume_command=None)
    if request.remote_control:
        require_remote_control(agent)
    return StartPlan(
        identity=Identity.fresh(agent.name),
        agent=agent,
        source=agent_image(agent),
        cwd=require_folder(request.cwd),
        copy_cwd=request.copy_cwd,
        tty=request.tty,
        remote_control=request.remote_control,
        missing_secrets=missing_secrets(context, agent),
        doubts=require_launchable(context, agent),
        name=request.name,
    )


def _require_name(context: Context, name: str) -> None:
    if not is_bottle_name(name):
        raise UsageError(
            f"{name!r} can be no name of a bottle: expected at most 64 of a-z, 0-9, `.`, `_` and `-`, and a letter or "
            "digit first",
            left="nothing was started",
        )
    context.home.require_free(name)


def start(context: Context, plan: StartPlan, *, begin: bool = True) -> Launched:
    """Launch a bottle as planned. With `begin` false the container is created and left for the caller to start.

    Raises BuildFailed, EngineError, ManifestError, PreflightRefused: nothing of the bottle is left then. Raises
    EndedAtOnce, where what the agent did in its first moments stays.
    """
    image = obtain(context, plan.source, plan.agent.name, mounted=None if plan.copy_cwd else plan.cwd)
    metadata = _metadata(plan, image, context.now())
    once = Once(remote_control=plan.remote_control)
    state = context.home.create(metadata)
    try:
        with state.locked("bottle start"):
            with new_container(
                context,
                metadata,
                image=image.id,
                command=command_for(metadata, resuming=False, once=once),
                tty=plan.tty,
            ) as draft:
                if plan.copy_cwd:
                    with context.progress.phase(f"copying {plan.cwd} into the bottle"):
                        copy_workspace(context.engine, draft, plan.cwd, plan.agent.workdir, metadata.user)
            if begin:
                begin_container(context, plan.identity.container)
            ended = see_it_run(context, plan.identity, plan.identity.container) if begin else None
    except EndedAtOnce:
        raise
    except BaseException:
        _undo(context, state)
        raise
    return Launched(
        identity=plan.identity,
        container=plan.identity.container,
        notes=(*plan.doubts, *launch_notes(context, metadata)),
        ended=ended,
    )


def _metadata(plan: StartPlan, image: ImageFacts, now: datetime) -> Metadata:
    """What a bottle is that is made of an image."""
    return Metadata(
        identity=plan.identity,
        name=plan.name,
        agent=with_declared_volumes(plan.agent, image.declared_volumes, copy_cwd=plan.copy_cwd),
        cwd=plan.cwd,
        copy_cwd=plan.copy_cwd,
        started_at=now,
        image=plan.source.tag,
        defaults=image.defaults,
        base=image.diff_ids,
    )


def abandon(context: Context, state: BottleState) -> None:
    """Take away a fresh bottle that its caller could not start; hides no error, as it raises none."""
    with suppress(BottleError), state.locked("bottle start"):
        _undo(context, state)


def _undo(context: Context, state: BottleState) -> None:
    """Take away a launch that failed, hiding none of its error: what cannot be taken away is listed by `list`."""
    mine = {LABEL_IDENTITY: str(state.identity)}
    with suppress(BottleError):
        runtime.forget(context.handed, state.identity)
    with suppress(BottleError):
        found = context.engine.container_summaries(mine)
        for container in (*find_drafts(context.engine, state, found), *find_containers(context.engine, state, found)):
            context.engine.remove_container(container.id)
        for volume in context.engine.volumes(mine):
            context.engine.remove_volume(volume)
        state.delete()
