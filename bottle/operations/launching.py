"""A bottle's container, made with all that belongs in it, and started; the one before it makes room."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from bottle.errors import BottleError, Conflict, EngineError, NameTaken, NotFound
from bottle.gitfile import kept_elsewhere
from bottle.launch import LAUNCH, Command, container_mounts, launch_spec, requests_volume
from bottle.model import Agent, ContainerFacts, LaunchSpec, Metadata, Mount, MountKind
from bottle.naming import LABEL_IDENTITY, LABEL_SCHEMA, Identity
from bottle.operations.context import Context
from bottle.operations.firstmoments import lacks_shell, require_user
from bottle.operations.requests import admit_requests
from bottle.operations.secrets import hand_in, missing_secrets
from bottle.operations.settle import remove_draft_containers
from bottle.workspace import may_not_write, user_id

# Of a bind: Docker's words, those of Docker Desktop, and Podman's.
_LACKS = re.compile(r"does not exist|not shared|no such file", re.IGNORECASE)


def begin_container(context: Context, ref: str) -> None:
    """Start a bottle's container, which is there: what is not found then is something that it needs."""
    try:
        context.engine.start(ref)
    except NotFound as exc:
        raise EngineError(exc.what, left=exc.left, next_step=f"docker network ls; docker inspect {ref}") from exc


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
        folder = hand_in(context, metadata, command.once)
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
