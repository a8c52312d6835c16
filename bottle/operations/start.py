"""`start`: a new bottle from an agent of the manifest."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from bottle import runtime
from bottle.errors import BottleError, Conflict, EndedAtOnce, EngineError, NameTaken, NotFound, UsageError
from bottle.gitfile import kept_elsewhere
from bottle.launch import (
    LAUNCH,
    Command,
    Once,
    command_for,
    container_mounts,
    launch_spec,
    requests_volume,
    with_declared_volumes,
)
from bottle.model import Agent, ContainerFacts, ImageFacts, LaunchSpec, Metadata, Mount, MountKind
from bottle.naming import LABEL_IDENTITY, LABEL_SCHEMA, Identity, is_bottle_name
from bottle.operations.context import Context
from bottle.operations.finding import find_containers, find_drafts
from bottle.operations.firstmoments import Ended, lacks_shell, require_user, see_it_run
from bottle.operations.images import obtain
from bottle.operations.preflight import require_launchable
from bottle.operations.requests import admit_requests
from bottle.operations.secrets import hand_over, missing_secrets
from bottle.operations.settle import remove_draft_containers
from bottle.plan.guards import require_remote_control
from bottle.plan.sources import ImageSource, agent_image
from bottle.store.state import BottleState
from bottle.workspace import copy_workspace, may_not_write, require_folder, user_id

# Of a bind: Docker's words, those of Docker Desktop, and Podman's.
_LACKS = re.compile(r"does not exist|not shared|no such file", re.IGNORECASE)


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


def begin_container(context: Context, ref: str) -> None:
    """Start a bottle's container, which is there: what is not found then is something that it needs."""
    try:
        context.engine.start(ref)
    except NotFound as exc:
        raise EngineError(exc.what, left=exc.left, next_step=f"docker network ls; docker inspect {ref}") from exc


def abandon(context: Context, state: BottleState) -> None:
    """Take away a fresh bottle that its caller could not start; hides no error, as it raises none."""
    with suppress(BottleError), state.locked("bottle start"):
        _undo(context, state)


@contextmanager
def new_container(
    context: Context,
    metadata: Metadata,
    *,
    image: str,
    command: Command,
    tty: bool,
    commit: int | None = None,
    replaces: ContainerFacts | None = None,
) -> Iterator[str]:
    """Create a bottle's container, with its volumes and secrets in place, and leave it stopped.

    Until the context closes it has another name, which is yielded: so a container under the bottle's own name has all
    that belongs in it, whatever died in between. Only then does `replaces` go.
    """
    engine, identity = context.engine, metadata.identity
    standing = context.standing(identity)
    if standing is not None and (replaces is None or standing.id != replaces.id):
        raise NameTaken(
            f"{identity} has a container that it did not have a moment ago: {standing.name}",
            left="it was not touched",
            next_step="the same command again",
        )
    try:
        container_id = _create_draft(context, metadata, image=image, command=command, commit=commit, tty=tty)
        yield identity.draft
        if replaces is not None:
            give_up(context, replaces)
        set_former_aside(context, identity)
        engine.rename(identity.draft, identity.container)
        context.home.bottle(identity).write_container_id(container_id)
    except BaseException:
        with suppress(BottleError):
            remove_draft_containers(context, identity)
        raise


def set_former_aside(context: Context, identity: Identity) -> None:
    """Have the container that a bottle left here when it moved away make room: it gets another name."""
    former = context.former(identity)
    if former is None:
        return
    name = f"{identity.container}.former-{former.id[:12]}"
    context.engine.rename(former.id, name)
    context.progress.note(
        f"the container that {identity} left here when it moved away may hold work that no commit here has: it is "
        f"called {name} now (to keep its work: docker commit {name} kept; else: docker rm {name})"
    )


def give_up(context: Context, container: ContainerFacts) -> None:
    """Remove a container that was found to be dispensable, unless it was started since. Raises Conflict."""
    now = context.engine.container(container.id)
    if now is not None and (now.status.alive or now.started_at != container.started_at):
        raise Conflict(
            f"{container.name} was started by something else meanwhile, and may hold new work",
            left="it was not touched",
            next_step=f"bottle stop {container.labels[LABEL_IDENTITY]}, then the same again",
        )
    context.engine.remove_container(container.id)


def _create_draft(
    context: Context, metadata: Metadata, *, image: str, command: Command, commit: int | None, tty: bool
) -> str:
    """Create a container that can be told what to run; where it has nothing to read that with, one that is fixed."""
    identity, agent = metadata.identity, metadata.agent
    may_ask = _may_ask(context, agent)
    volumes = [identity.volume(volume.source) for volume in agent.volumes if volume.kind is MountKind.VOLUME]
    for volume in (*volumes, *([requests_volume(identity)] if may_ask else [])):
        context.engine.create_volume(volume, {LABEL_SCHEMA: "1", LABEL_IDENTITY: str(identity)})
    folder = None
    if may_ask:
        admit_requests(context, identity, image)
        folder = hand_over(context, metadata, command.once)
    spec = launch_spec(metadata, image=image, argv=command.now, run_folder=folder, commit=commit, tty=tty)
    spec = replace(spec, name=identity.draft)
    told = replace(spec, entrypoint=(*LAUNCH, *command.made)) if may_ask else spec
    container_id = _created(context, told)
    require_user(context, agent, container_id, metadata.image)
    if may_ask and lacks_shell(context, agent, container_id, metadata.image):
        context.engine.remove_container(container_id)
        container_id = _created(context, spec)
    return container_id


def _created(context: Context, spec: LaunchSpec) -> str:
    """Create a container. An engine on another machine, or in a virtual one, says only that it lacks a folder."""
    try:
        return context.engine.create(spec)
    except EngineError as exc:
        unseen = [folder for folder in _bound(spec.mounts) if folder in exc.what and Path(folder).exists()]
        if not unseen or _LACKS.search(exc.what) is None:
            raise
        secret = any(Path(folder).is_relative_to(context.handed) for folder in unseen)
        mend = "no `secrets` in bottle.toml" if secret else "bottle start … --copy-cwd, with no folders in `volumes`"
        raise EngineError(
            f"{exc.what}: the engine at {context.engine.endpoint} mounts folders of its own machine, not of this one",
            left=exc.left or "nothing was started",
            next_step=f"{mend}; or run bottle where that engine runs",
        ) from exc


def _bound(mounts: Iterable[Mount]) -> list[str]:
    """The folders of a machine that are mounted."""
    return [mount.source for mount in mounts if mount.kind is MountKind.BIND]


def _may_ask(context: Context, agent: Agent) -> bool:
    """Whether the bottle gets its /run/bottle. An engine elsewhere has no such folder, so only secrets insist on it."""
    return context.engine.is_local or bool(agent.secrets)


def launch_notes(context: Context, metadata: Metadata) -> tuple[str, ...]:
    """What the user should know about a launch that works, but perhaps not as they think."""
    notes = []
    missing = missing_secrets(context, metadata.agent)
    if missing:
        notes.append(f"the environment has no {', '.join(missing)}: the agent runs without")
    if not _may_ask(context, metadata.agent):
        notes.append("the engine is on another machine, so the agent cannot make capability requests")
    if not context.engine.is_local:
        notes += [
            f"{folder} is a folder of the machine that the engine runs on, not of this one"
            for folder in _bound(container_mounts(metadata))
        ]
    elif metadata.mounted is not None:
        uid = user_id(context.engine, metadata.identity.container, metadata.user)
        trouble = may_not_write(metadata.mounted, uid, metadata.agent.cap_add, context.engine.info().owner)
        if trouble:
            notes.append(trouble)
    notes += git_note(metadata)
    return tuple(notes)


def git_note(metadata: Metadata) -> tuple[str, ...]:
    """A worktree's repository is not in the folder that the agent sees: unless it is mounted, git does not work."""
    kept = kept_elsewhere(metadata.cwd) if metadata.cwd is not None else None
    if kept is None or any(
        mount.kind is MountKind.BIND and mount.source == mount.target and kept.is_relative_to(mount.target)
        for mount in metadata.agent.volumes
    ):
        return ()
    return (
        f"the git repository of {metadata.cwd} is kept in {kept}, which the agent does not see: git does not work in "
        "the bottle; give it a clone (git clone) or a copy (cp -a) of the whole repository instead",
    )


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
