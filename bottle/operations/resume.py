"""`resume`: bring a bottle back by the first way that works, and say which it was."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bottle import runtime, transcript
from bottle.agent.admission import RESERVED
from bottle.errors import BuildFailed, PreflightRefused
from bottle.files.regular import read_regular
from bottle.launch import Command, command_for, container_mounts, is_below, mount_over, with_declared_volumes
from bottle.model import (
    Agent,
    CommitRecord,
    ContainerFacts,
    ImageFacts,
    Metadata,
    Mount,
    MountKind,
    RequestStatus,
    ResumeIntent,
)
from bottle.naming import Identity
from bottle.operations.context import Context
from bottle.operations.firstmoments import Ended, see_it_run
from bottle.operations.images import obtain
from bottle.operations.launching import begin_container, launch_notes, new_container
from bottle.operations.pause import let_go_on
from bottle.operations.preflight import require_launchable
from bottle.operations.secrets import hand_in
from bottle.operations.settle import settle, take_effect
from bottle.plan.generation import above
from bottle.plan.resume import (
    Attach,
    FromCommit,
    Rebuild,
    ResumeFacts,
    ResumePlan,
    ResumeRequest,
    StartAgain,
    plan_resume,
)
from bottle.store.state import BottleState
from bottle.words import counted
from bottle.workspace import copy_workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A bottle that is back. `running` is false when it has `ended`, or the caller is to start the container itself."""

    identity: Identity
    container: str
    plan: ResumePlan
    running: bool
    warnings: tuple[str, ...]
    ended: Ended | None = None


def observe_resume(context: Context, state: BottleState, request: ResumeRequest) -> ResumeFacts:
    """Gather all that decides how a bottle comes back; nothing is changed."""
    metadata = state.metadata()
    commits, tag = state.commits(), state.committed_image()
    wanted = next((each.tag for each in commits if each.number == request.at), None) if request.at is not None else tag
    dockerfile = metadata.agent.dockerfile
    container = context.container(metadata.identity)
    former = context.former(metadata.identity)
    made_of = container or former
    return ResumeFacts(
        metadata=metadata,
        tombstone=state.tombstone.read(),
        standby=state.standby.read(),
        migration=state.migration.read(),
        container=container,
        former=former,
        commits=commits,
        kept=kept_commits(context, commits, made_of) if made_of else (),
        committed_tag=tag,
        image=context.engine.image(wanted) if wanted is not None else None,
        own_dockerfile=state.own_dockerfile,
        rebuild_due=state.rebuild_due,
        dockerfile_exists=dockerfile is not None and dockerfile.is_file(),
        has_transcript=bool(transcript.read_index(state.transcript)),
        looked_in=str(state.path),
        told=runtime.told(context.handed, metadata.identity),
    )


def kept_commits(
    context: Context, commits: tuple[CommitRecord, ...], container: ContainerFacts
) -> tuple[CommitRecord, ...]:
    """The commits that were made of a container and whose images are here."""
    made_of = (each for each in commits if each.mark is not None and each.mark.container_id == container.id)
    images = ((each, context.engine.image(each.tag)) for each in made_of)
    return tuple(each for each, image in images if image is not None and image.diff_ids == each.diff_ids)


def resume(
    context: Context, state: BottleState, request: ResumeRequest, *, begin: bool = True, tty: bool = True
) -> Resumed:
    """Bring a bottle back. With `begin` false a container that does not run is left for the caller to start.

    Raises what `plan_resume` raises, Locked, BuildFailed, EngineError, PreflightRefused or EndedAtOnce; on a failure
    every commit is still there.
    """
    with state.locked("bottle resume"):
        if state.tombstone.read() is None or request.force:
            settle(context, state)
        resumed = resume_locked(context, state, request, begin=begin, tty=tty)
    begun = begin and not isinstance(resumed.plan, Attach)
    ended = see_it_run(context, state.identity, resumed.container) if begun else None
    return replace(resumed, running=False, ended=ended) if ended is not None else resumed


def resume_locked(
    context: Context, state: BottleState, request: ResumeRequest, *, begin: bool = True, tty: bool = True
) -> Resumed:
    """`resume` for a caller that holds the bottle's lock and has settled what was left; nobody sees whether it runs."""
    plan, metadata = plan_resume(observe_resume(context, state, request), request), state.metadata()
    name = plan.container if isinstance(plan, Attach | StartAgain) else metadata.identity.container
    warnings: tuple[str, ...] = ()
    running = False
    require_resumable(context, metadata.agent, plan)
    match plan:
        case Attach():
            container = context.container(metadata.identity)
            if plan.unpause and container is not None:
                let_go_on(context, state, container)
            running = True
        case StartAgain():
            _require_workspace(metadata)
            _tell(context, metadata, context.engine.container(plan.container), plan.command)
        case FromCommit():
            _from_commit(context, state, metadata, plan, tty=tty)
        case Rebuild():
            warnings = _rebuild(context, state, metadata, plan, request, tty=tty)
    if request.force:  # only now, when its container stands here: a failure before leaves it with its other host
        _own_again(state)
        state.tombstone.clear()
        state.migration.clear()
    if begin and not running:
        begin_container(context, name)
        running = True
    return Resumed(
        identity=metadata.identity,
        container=name,
        plan=plan,
        running=running,
        warnings=(*warnings, *launch_notes(context, metadata)),
    )


def _own_again(state: BottleState) -> None:
    """Raise its generation above that of the host which has it, as far as that is known."""
    tombstone, metadata = state.tombstone.read(), state.metadata()
    if tombstone is not None or state.standby.read() is not None:
        theirs = tombstone.generation if tombstone is not None and tombstone.generation is not None else 0
        state.write_metadata(replace(metadata, generation=above(metadata.generation, theirs)))


def require_resumable(context: Context, agent: Agent, plan: ResumePlan) -> None:
    """Refuse a plan that the engine could not carry out. Raises PreflightRefused or PortTaken."""
    if not isinstance(plan, Attach):
        again = context.engine.container(plan.container) if isinstance(plan, StartAgain) else None
        require_launchable(context, agent, again)


def _from_commit(context: Context, state: BottleState, metadata: Metadata, plan: FromCommit, *, tty: bool) -> None:
    _require_workspace(metadata)
    with new_container(
        context,
        plan.metadata,
        image=plan.tag,
        command=plan.command,
        commit=plan.number,
        tty=tty,
        replaces=plan.replaces,
    ) as draft:
        _whole(context, state, ResumeIntent(metadata=plan.metadata, committed_image=plan.tag), draft)
    take_effect(state, context.container(metadata.identity))


def _rebuild(
    context: Context, state: BottleState, metadata: Metadata, plan: Rebuild, request: ResumeRequest, *, tty: bool
) -> tuple[str, ...]:
    _require_workspace(metadata)
    image = _built(context, state, plan)
    metadata = replace(
        metadata,
        agent=with_declared_volumes(metadata.agent, image.declared_volumes, copy_cwd=metadata.copy_cwd),
        image=plan.source.tag,
        defaults=image.defaults,
        base=_base_of(image, metadata, state.commits()),
    )
    lost = "THE FILESYSTEM DID NOT SURVIVE: packages and files made inside the bottle are gone"
    if plan.approved:
        lost = (
            "THE FILESYSTEM IS FRESH, made from its own Dockerfile: what was made inside before is in its commits only"
        )
    warnings = [f"{lost}, because {plan.reason}"]
    command = command_for(metadata, resuming=plan.restore_transcript, once=request.once)
    standing = _standing_mounts(context, state, metadata)
    made = {mount.source for mount in container_mounts(metadata) if mount not in standing}
    intent = ResumeIntent(metadata=metadata, unfilled=tuple(sorted(made)))
    state.resume_intent.write(intent)
    with new_container(context, metadata, image=image.id, command=command, tty=tty, replaces=plan.replaces) as draft:
        warnings += _refill(context, state, metadata, draft, standing, transcript_too=plan.restore_transcript)
        _whole(context, state, intent, draft)
    take_effect(state, context.container(metadata.identity))
    if plan.own:
        _carried_out(context, state)
    others = _present(context, state)
    if others:
        warnings.append(
            f"commit {others[-1].number} is still here: to go back to it instead, "
            f"bottle stop {metadata.identity} && bottle resume {metadata.identity} --at {others[-1].number} --yes"
        )
    return tuple(warnings)


def _whole(context: Context, state: BottleState, intent: ResumeIntent, draft: str) -> None:
    """Note that a draft has all that belongs in it: once it has the bottle's name, the intent takes effect."""
    container = context.engine.container(draft)
    assert container is not None  # it was just made
    state.resume_intent.write(replace(intent, container_id=container.id, unfilled=()))


def _base_of(image: ImageFacts, metadata: Metadata, commits: tuple[CommitRecord, ...]) -> tuple[str, ...]:
    """The layers of a built image that are not the bottle's own work: it may be made FROM one of its commits."""
    for commit in sorted(commits, key=lambda commit: len(commit.diff_ids), reverse=True):
        base = commit.base or metadata.base
        below = image.diff_ids[: len(commit.diff_ids)]
        # A commit of a container that has written nothing is its base, and what is built on it no work of the bottle.
        if below == commit.diff_ids and commit.diff_ids != base:
            return base
    return image.diff_ids


def _built(context: Context, state: BottleState, plan: Rebuild) -> ImageFacts:
    """The image to start from. Where an approved Dockerfile does not build, the way back is part of the error."""
    try:
        return obtain(context, plan.source, state.identity.agent, mounted=state.metadata().mounted)
    except BuildFailed as exc:
        others = _present(context, state)
        if not plan.approved or not others:
            raise
        raise BuildFailed(
            exc.what,
            details=exc.details,
            left=f"its own Dockerfile was approved and does not build; commit {others[-1].number} has all its work",
            next_step=f"bottle resume {state.identity} --at {others[-1].number}   (goes back to that commit)",
        ) from exc


def _carried_out(context: Context, state: BottleState) -> None:
    """The own Dockerfile is in use: an approval that was cut short has come to its end, and no trial is needed."""
    own = state.own_dockerfile
    content = read_regular(own) if own is not None else None
    for request in state.requests():
        if request.status is RequestStatus.APPROVING and request.dockerfile.encode() == content:
            state.write_request(replace(request, status=RequestStatus.APPROVED))
    context.engine.remove_image(state.identity.trial)


def _present(context: Context, state: BottleState) -> list[CommitRecord]:
    return [commit for commit in state.commits() if context.engine.image(commit.tag) is not None]


def _standing_mounts(context: Context, state: BottleState, metadata: Metadata) -> tuple[Mount, ...]:
    """What a new container will have mounted that was there before it, with content of its own."""
    intent = state.resume_intent.read()
    there = set(context.engine.volumes({})) - set(intent.unfilled if intent is not None else ())
    return tuple(
        mount for mount in container_mounts(metadata) if mount.kind is not MountKind.VOLUME or mount.source in there
    )


def _refill(
    context: Context,
    state: BottleState,
    metadata: Metadata,
    container: str,
    standing: tuple[Mount, ...],
    *,
    transcript_too: bool,
) -> Iterator[str]:
    """Put into a container what there is outside of the image; what to say of it. What is `standing` stays as it is."""

    def spared(path: str) -> bool:
        return mount_over(path, standing) is not None

    agent = metadata.agent
    places = agent.transcript
    if metadata.copy_cwd and metadata.cwd is not None:
        places = (agent.workdir, *places)
        if not spared(agent.workdir):
            yield _copied_again(context, metadata, metadata.cwd, container, spared)
    for mount in standing:
        if any(is_below(place, mount.target) or is_below(mount.target, place) for place in places):
            yield f"{mount.target} is in {mount.kind.value} {mount.source}, kept as it is"
    if all(map(spared, agent.transcript)):
        return
    if transcript_too:
        with context.progress.phase("putting the transcript back"):
            count = transcript.restore(context.engine, container, state.transcript, spared=spared)
        yield f"the transcript came back from its last snapshot: {counted(count, 'file')}"
    else:
        yield "there was no snapshot of the transcript to put back"


def _copied_again(
    context: Context, metadata: Metadata, cwd: Path, container: str, spared: Callable[[str], bool]
) -> str:
    workdir = metadata.agent.workdir
    if not cwd.is_dir():
        return f"{workdir} is empty: {cwd}, which was copied into it, is gone"
    with context.progress.phase(f"copying {cwd} into the bottle"):
        copy_workspace(context.engine, container, cwd, workdir, metadata.user, spared=spared)
    return f"{workdir} is a fresh copy of {cwd}, without the agent's changes"


def _tell(context: Context, metadata: Metadata, container: ContainerFacts | None, command: Command) -> None:
    """The folder behind /run/bottle is in memory: after a reboot it is made again before the container starts."""
    if container is not None and any(mount.target == RESERVED for mount in container.mounts):
        hand_in(context, metadata, command.once)


def _require_workspace(metadata: Metadata) -> None:
    if metadata.cwd is not None and not metadata.copy_cwd and not metadata.cwd.is_dir():
        raise PreflightRefused(
            f"the workspace of {metadata.identity}, {metadata.cwd}, is not there to be mounted",
            left="nothing was changed",
            next_step=f"put it back, or: mkdir -p {metadata.cwd}",
        )
