"""What is to be done, decided from facts alone: nothing here touches a disk, an engine or a network."""

from dataclasses import dataclass, replace
from pathlib import Path
from shlex import join

from bottle.errors import (
    BackendUnsupported,
    Conflict,
    MovedAway,
    NeedsConsent,
    NotFound,
    NothingToResume,
    PreflightRefused,
    UsageError,
    VerificationFailed,
)
from bottle.files.tree import require_openable
from bottle.launch import (
    AS_USUAL,
    Command,
    Once,
    can_be_told,
    command_for,
    command_line,
    is_below,
    is_ours,
    made_to_run,
    this_once,
)
from bottle.model import (
    DOCKER_BACKEND,
    MOST_COMMITS,
    Agent,
    Change,
    ChangeKind,
    CommitRecord,
    ContainerFacts,
    ImageFacts,
    Metadata,
    MigrationPhase,
    MigrationRecord,
    Mount,
    MountKind,
    Status,
    Tombstone,
)
from bottle.naming import LABEL_COMMIT, Identity, built_image, declared_volume
from bottle.words import size

DEEPEST = 125  # layers; an image deeper than this cannot be made: https://github.com/moby/moby/issues/1171
SQUASH_AT = 100  # layers; a commit deeper than this is squashed: far enough from the end for some that cannot be

_FIXED = "its image has no /bin/sh, its engine is on another machine, or an earlier version made it"


def require_docker(metadata: Metadata, verb: str) -> None:
    """Refuse a bottle of another backend by name."""
    if metadata.backend != DOCKER_BACKEND:
        raise BackendUnsupported(
            f"cannot {verb} {metadata.identity}: it runs on the backend {metadata.backend!r}, "
            f"and {verb} knows only {DOCKER_BACKEND!r}",
            left="nothing was changed",
        )


def require_here(identity: Identity, tombstone: Tombstone | None, verb: str) -> None:
    """Refuse to touch a bottle that lives on another host."""
    if tombstone is not None:
        raise MovedAway(
            f"cannot {verb} {identity}: it moved to {tombstone.host} on {tombstone.moved_at:%Y-%m-%d %H:%M} UTC",
            left="its state and image are still here",
            next_step=f"there: bottle resume {identity}   (to take it back knowingly: "
            f"bottle resume {identity} --force)",
        )


def require_output(identity: Identity, container: ContainerFacts | None, tombstone: Tombstone | None) -> ContainerFacts:
    """The container that has what an agent wrote; one that moved may have left it. Raises MovedAway or NotFound."""
    if container is not None:
        return container
    if tombstone is not None:
        raise MovedAway(
            f"{identity} moved to {tombstone.host}, and left no output here",
            left="nothing was changed",
            next_step=f"there: bottle logs {identity}   (to have it here again: "
            f"bottle migrate {identity} {tombstone.host} --from)",
        )
    raise NotFound(f"{identity} has no container, and its output went with it", next_step=f"bottle resume {identity}")


def require_remote_control(agent: Agent) -> None:
    """Refuse `--remote-control` for an agent that has no arguments for it. Raises UsageError."""
    if not agent.remote_control:
        raise UsageError(
            f"agent {agent.name!r} has no `remote_control`: the arguments that its command needs for that",
            left="nothing was changed",
            next_step=f'add remote_control = ["--…"] to [agents.{agent.name}] in bottle.toml; '
            "it is for bottles that are started after that",
        )


# --- where an image comes from ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Build a Dockerfile. `context` None: with no files to copy from. `args` are the agent's `build_args`.

    `secrets` are names of the environment, whose values its steps may mount.
    """

    dockerfile: Path
    context: Path | None
    tag: str
    args: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """Use an image by name, fetching it when it is not here."""

    image: str

    @property
    def tag(self) -> str:
        """The image's own name."""
        return self.image


ImageSource = Build | Pull


def own_build(metadata: Metadata, dockerfile: Path, *, dockerfile_exists: bool) -> Build:
    """How a bottle's own Dockerfile is built: with the files of its agent's, which `dockerfile_exists` says is there.

    Never with those of the state folder, where the own one is: a COPY would put transcript and history into the image.
    """
    agent = metadata.agent
    context = agent.dockerfile.parent if agent.dockerfile is not None and dockerfile_exists else None
    if context == dockerfile.parent:  # a bottle from a bundle has no other Dockerfile
        context = None
    return Build(
        dockerfile=dockerfile,
        context=context,
        tag=metadata.identity.rebuilt,
        args=agent.build_args,
        secrets=agent.secrets,
    )


def agent_image(agent: Agent) -> ImageSource:
    """Where an agent's image comes from."""
    if agent.dockerfile is not None:
        return Build(
            dockerfile=agent.dockerfile,
            context=agent.dockerfile.parent,
            tag=built_image(agent.name),
            args=agent.build_args,
            secrets=agent.secrets,
        )
    assert agent.image is not None  # the manifest sees to it that one of the two is set
    return Pull(image=agent.image)


# --- resume ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeRequest:
    """What the user asked for. `consent`: work newer than the commit that is asked for may go.

    `once`: what it is to run this once.
    """

    at: int | None = None
    rebuild: bool = False
    force: bool = False
    consent: bool = False
    once: Once = AS_USUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeFacts:
    """All that decides how a bottle comes back.

    `former` is a container that has the name of the bottle's since before a move brought the bottle back here: what
    arrived is newer. `image` is the image of the commit that would be used, if it is in the engine; `kept` are the
    commits made of the container, or the former one, whose images are; `rebuild_due` says that the own Dockerfile was
    approved after the last commit; `dockerfile_exists` says so of the agent's Dockerfile; `told` is what the container
    was told to run last, None for what it was made to run.
    """

    metadata: Metadata
    tombstone: Tombstone | None
    migration: MigrationRecord | None
    container: ContainerFacts | None
    commits: tuple[CommitRecord, ...]
    kept: tuple[CommitRecord, ...]
    committed_tag: str | None
    image: ImageFacts | None
    own_dockerfile: Path | None
    rebuild_due: bool
    dockerfile_exists: bool
    has_transcript: bool
    looked_in: str
    former: ContainerFacts | None = None
    told: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    """The container runs: join it. `unpause` where it is frozen."""

    container: str
    unpause: bool

    @property
    def row(self) -> str:
        """Which row of the table this is, as the user is told."""
        return "it is running" + (", paused; it goes on now" if self.unpause else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAgain:
    """The stopped container holds work that no commit has: start it.

    `wanted` is what cannot be told to it: its command is fixed, and it runs that once more.
    """

    container: str
    reason: str
    command: Command
    wanted: tuple[str, ...] | None = None

    @property
    def row(self) -> str:
        """Which row of the table this is, as the user is told."""
        row = f"its stopped container is started again: {self.reason}"
        if self.wanted is None:
            return row
        return f"{row}; it runs {join(self.command.now)} again instead of {join(self.wanted)}: {_FIXED}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FromCommit:
    """A new container from a commit. `replaces` is the container, as seen now, that makes room once the new one stands.

    `metadata` is what the bottle is then: a commit made before it was built anew runs as its own image says.
    """

    tag: str
    number: int | None
    replaces: ContainerFacts | None
    metadata: Metadata
    command: Command

    @property
    def row(self) -> str:
        """Which row of the table this is, as the user is told."""
        number = f"commit {self.number}" if self.number is not None else "its commit"
        return f"a new container from {number} ({self.tag}); nothing is built"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """A new container from a Dockerfile or a base image: the filesystem did not survive.

    `approved`: on purpose, as its own Dockerfile is newer than its last commit.
    """

    source: ImageSource
    own: bool
    approved: bool
    replaces: ContainerFacts | None
    restore_transcript: bool
    reason: str

    @property
    def row(self) -> str:
        """Which row of the table this is, as the user is told."""
        whose = "its own Dockerfile" if self.own else "its agent's image"
        return f"a new container from {whose}, because {self.reason}"


ResumePlan = Attach | StartAgain | FromCommit | Rebuild


def commit_in_force(commits: tuple[CommitRecord, ...], tag: str | None) -> CommitRecord | None:
    """The commit that resume uses."""
    return next((commit for commit in reversed(commits) if commit.tag == tag), None)


def as_committed(metadata: Metadata, commit: CommitRecord) -> Metadata:
    """What a bottle is that goes back to a commit: its image may have been built anew since."""
    if commit.defaults is None:
        return metadata
    agent = metadata.agent
    if commit.volumes is not None:
        # A volume that only a later image declared would hide what the commit has there.
        kept = tuple(
            volume
            for volume in agent.volumes
            if volume.target in commit.volumes or volume.source != declared_volume(volume.target)
        )
        # Going back before it was declared took it out of the metadata; its content is still there under its name.
        missing = (target for target in commit.volumes if all(volume.target != target for volume in kept))
        again = (Mount(kind=MountKind.VOLUME, source=declared_volume(each), target=each) for each in missing)
        agent = replace(agent, volumes=(*kept, *again))
    return replace(metadata, agent=agent, defaults=commit.defaults, base=commit.base)


def targets_of(agent: Agent) -> tuple[str, ...]:
    """Where an agent's volumes are mounted."""
    return tuple(volume.target for volume in agent.volumes)


def find_commit(identity: Identity, commits: tuple[CommitRecord, ...], number: int) -> CommitRecord:
    """Commit `number` of a bottle. Raises NotFound, listing those there are."""
    for commit in commits:
        if commit.number == number:
            return commit
    known = ", ".join(str(commit.number) for commit in commits) or "none"
    raise NotFound(f"{identity} has no commit {number}; it has: {known}", next_step=f"bottle history {identity}")


def is_frozen_in(container: ContainerFacts, commits: tuple[CommitRecord, ...]) -> bool:
    """Whether some commit holds all that a stopped container did: it was made of this container after its last run."""
    return any(
        commit.mark is not None
        and not commit.mark.running
        and commit.mark.container_id == container.id
        and commit.mark.started_at == container.started_at
        for commit in commits
    )


def with_more_in(container: ContainerFacts, commits: tuple[CommitRecord, ...]) -> tuple[CommitRecord, ...]:
    """The history once something is put into a stopped container: its commits are as those made while it ran on."""
    return tuple(
        replace(commit, mark=replace(commit.mark, running=True))
        if commit.mark is not None and commit.mark.container_id == container.id
        else commit
        for commit in commits
    )


def plan_resume(facts: ResumeFacts, request: ResumeRequest) -> ResumePlan:
    """The first row of the resume table that is true (docs/ARCHITECTURE.md, "resume").

    Raises BackendUnsupported, MovedAway, UsageError, Conflict, NeedsConsent, NotFound, NothingToResume or
    VerificationFailed.
    """
    identity = facts.metadata.identity
    require_docker(facts.metadata, "resume")
    if not request.force:
        require_here(identity, facts.tombstone, "resume")
        require_settled(identity, facts.migration)
    if request.once.remote_control:
        require_remote_control(facts.metadata.agent)
    _require_former_rests(facts)
    container = facts.container
    overridden = request.at is not None or request.rebuild
    if container is not None and container.status.alive:
        if overridden:
            raise Conflict(
                f"{identity} is running", left="nothing was changed", next_step=f"bottle stop {identity}, then again"
            )
        _require_it_runs(container, facts, request.once)
        return Attach(container=container.name, unpause=container.status is Status.PAUSED)
    if container is not None and container.status in {Status.CREATED, Status.EXITED}:
        reason = _only_in(container, facts, overridden=overridden)
        if reason is not None and not overridden:
            return _start_again(container, facts, request.once, reason)
        if reason is not None and container.ever_ran and not request.consent:
            nameless = nameless_volumes(container)
            keep = f"docker cp {container.name}:{nameless[0]} DIR" if nameless else f"bottle commit {identity}"
            raise NeedsConsent(
                f"the stopped container of {identity} holds work that no commit has ({reason})",
                left="nothing was changed",
                next_step=f"keep it first: {keep}   (or let it go: the same command with --yes)",
            )
    if container is not None and container.status is Status.DEAD and not request.consent:
        _require_dispensable(container, facts)
    replaced = container if container is not None else _dispensable(facts.former, facts.kept)
    approved = facts.rebuild_due and facts.own_dockerfile is not None and request.at is None
    if request.rebuild or approved:
        reason = "that was approved after its last commit" if approved else "that was asked for"
        return _rebuild(facts, replaced, reason, approved=approved)
    if facts.image is not None:
        return _from_commit(facts, facts.image, request, replaced)
    if request.at is not None:
        commit = find_commit(identity, facts.commits, request.at)
        raise NotFound(
            f"the image of commit {commit.number}, {commit.tag}, is gone from this engine",
            left="nothing was changed",
            next_step=f"bottle resume {identity}",
        )
    if facts.committed_tag is not None:
        return _rebuild(facts, replaced, f"its committed image {facts.committed_tag} is gone")
    return _rebuild(facts, replaced, "it was never committed and has no container")


def _require_former_rests(facts: ResumeFacts) -> None:
    """Refuse to run a bottle beside a container from before it came back. Raises Conflict."""
    former = facts.former
    if facts.container is None and former is not None and former.status.alive:
        raise Conflict(
            f"{former.name} runs, and is not what came back: {facts.metadata.identity} left it here when it moved away",
            left="nothing was changed",
            next_step=f"docker stop {former.name}, then again: what it did is kept in it, under another name",
        )


def _dispensable(former: ContainerFacts | None, kept: tuple[CommitRecord, ...]) -> ContainerFacts | None:
    """A former container, if all that it did is in a commit that can be gone back to."""
    if former is None or not is_frozen_in(former, kept) or nameless_volumes(former):
        return None
    return former


def _require_dispensable(container: ContainerFacts, facts: ResumeFacts) -> None:
    """Refuse to replace, unasked, a container that the engine neither starts nor commits, and whose work is in none."""
    identity = facts.metadata.identity
    if container.ever_ran and (not is_frozen_in(container, facts.kept) or nameless_volumes(container)):
        raise NeedsConsent(
            f"the container of {identity} is dead: Docker failed to remove it and can start it no more, and it holds "
            "work that no commit has",
            left="nothing was changed",
            next_step=f"look for its files below Docker's own folder: docker inspect {container.name}   "
            "(or let it go: the same command with --yes)",
        )


def _require_it_runs(container: ContainerFacts, facts: ResumeFacts, once: Once) -> None:
    """What runs already cannot be told to run something else. Raises Conflict."""
    identity = facts.metadata.identity
    if once.command:
        raise Conflict(
            f"{identity} is running, and what it runs is not changed while it does",
            left="nothing was changed",
            next_step=f"bottle exec {identity} -- {join(once.command)}   (beside the agent; in its place: "
            f"bottle stop {identity}, then the same again)",
        )
    added = facts.metadata.agent.remote_control
    runs = facts.told if facts.told is not None else made_to_run(container)
    if once.remote_control and runs[-len(added) :] != added:
        raise Conflict(
            f"{identity} is running, without --remote-control",
            left="nothing was changed",
            next_step=f"bottle stop {identity}; bottle resume {identity} --remote-control",
        )


def finishing(identity: Identity, migration: MigrationRecord) -> str:
    """The command that finishes a move that was cut while it was handed over: one that was pulled is pulled again."""
    if migration.pulled_by is not None:
        return f"on {migration.host}: bottle migrate {identity} HOST --from, where HOST is this one"
    return f"bottle migrate {identity} {migration.host}"


def require_settled(identity: Identity, migration: MigrationRecord | None) -> None:
    """Refuse to touch a bottle of which only another host knows who owns it."""
    if migration is not None and migration.phase is MigrationPhase.HANDING_OFF:
        raise MovedAway(
            f"a move of {identity} to {migration.host} was cut at the very moment of handing it over, "
            "and only that host knows whether it has it",
            left="state and image are here, whole",
            next_step=f"{finishing(identity, migration)}   (or, knowing that it does not run there: "
            f"bottle resume {identity} --force)",
        )


def _only_in(container: ContainerFacts, facts: ResumeFacts, *, overridden: bool) -> str | None:
    """Why a stopped container is the only one to hold some work; None where it is not."""
    if not is_frozen_in(container, facts.commits):
        return "it holds work newer than the last commit" if facts.commits else "it was never committed"
    if not is_frozen_in(container, facts.kept) or (facts.image is None and not overridden):
        return "the committed image is gone, and it still has the work"
    nameless = nameless_volumes(container)
    if nameless and container.ever_ran:
        return f"{', '.join(nameless)} is in a volume without a name, which is in no commit and would go with it"
    return None


def _start_again(container: ContainerFacts, facts: ResumeFacts, once: Once, reason: str) -> StartAgain:
    """Start a stopped container, to run what its agent runs that comes back.

    Raises Conflict where something else is asked for and cannot be told to it.
    """
    metadata, made = facts.metadata, made_to_run(container)
    wanted = command_line(metadata, resuming=True) if container.ever_ran else made
    if once:
        wanted = this_once(metadata, wanted, once)
    if can_be_told(container):
        command = Command(made=made, once=wanted if wanted != made else None)
        return StartAgain(container=container.name, reason=reason, command=command)
    if once and wanted != made:
        identity = metadata.identity
        raise Conflict(
            f"the stopped container of {identity}, {container.name}, cannot be told what to run: {_FIXED}",
            left="nothing was changed",
            next_step=f"bottle commit {identity}; then the same again   (a new container, from that commit)",
        )
    return StartAgain(
        container=container.name,
        reason=reason,
        command=Command(made=made),
        wanted=wanted if wanted != made else None,
    )


def nameless_volumes(container: ContainerFacts) -> tuple[str, ...]:
    """Where a container has volumes that are in no commit and are removed together with it."""
    return tuple(mount.target for mount in container.mounts if mount.anonymous)


def _from_commit(
    facts: ResumeFacts, image: ImageFacts, request: ResumeRequest, replaces: ContainerFacts | None
) -> FromCommit:
    identity = facts.metadata.identity
    if request.at is not None:
        commit: CommitRecord | None = find_commit(identity, facts.commits, request.at)
    else:
        commit = commit_in_force(facts.commits, facts.committed_tag)
    if commit is not None and image.diff_ids != commit.diff_ids:
        raise VerificationFailed(
            f"{commit.tag} is not the image that was committed: its layers differ from the history's",
            left="nothing was started",
            next_step=f"bottle inspect {identity}; docker image ls {identity.committed_repository}",
        )
    tag = commit.tag if commit is not None else facts.committed_tag
    assert tag is not None  # an image was found by one of the two
    metadata = as_committed(facts.metadata, commit) if commit else facts.metadata
    return FromCommit(
        tag=tag,
        number=commit.number if commit else None,
        replaces=replaces,
        metadata=metadata,
        command=command_for(metadata, resuming=True, once=request.once),
    )


def _rebuild(facts: ResumeFacts, replaces: ContainerFacts | None, reason: str, *, approved: bool = False) -> Rebuild:
    identity, agent = facts.metadata.identity, facts.metadata.agent
    if facts.own_dockerfile is not None:
        source: ImageSource = own_build(facts.metadata, facts.own_dockerfile, dockerfile_exists=facts.dockerfile_exists)
    elif agent.image is not None or facts.dockerfile_exists:
        source = agent_image(agent)
    else:
        raise NothingToResume(
            f"nothing is left to resume {identity} from: {reason}, and there is no Dockerfile; "
            f"looked in {facts.looked_in}, for image {facts.committed_tag or identity.committed_latest}, "
            f"and for {agent.dockerfile}",
            left="the state folder is untouched",
            next_step=f"put the Dockerfile back at {agent.dockerfile}, or `docker load` the image, then again",
        )
    return Rebuild(
        source=source,
        own=facts.own_dockerfile is not None,
        approved=approved,
        replaces=replaces,
        restore_transcript=facts.has_transcript,
        reason=reason,
    )


# --- commit ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitFacts:
    """What is known before a snapshot. Sizes in bytes; `free` is None where nobody can tell."""

    metadata: Metadata
    tombstone: Tombstone | None
    migration: MigrationRecord | None
    container: ContainerFacts | None
    base: ImageFacts | None
    commits: tuple[CommitRecord, ...]
    changes: tuple[Change, ...]
    size: int
    free: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitPlan:
    """A snapshot that can be made: its number, what it descends from, and what it leaves out because it is mounted.

    `has_changes`: files of the container are not those of its image, the places of its mounts apart.
    """

    identity: Identity
    container: str
    number: int
    parent: int | None
    pause: bool
    size: int
    has_changes: bool
    left_out: tuple[str, ...]


def plan_commit(facts: CommitFacts, *, pause: bool) -> CommitPlan:
    """Decide a snapshot. Raises BackendUnsupported, MovedAway, NotFound or PreflightRefused."""
    identity = facts.metadata.identity
    require_docker(facts.metadata, "commit")
    require_here(identity, facts.tombstone, "commit")
    require_settled(identity, facts.migration)
    container = facts.container
    if container is None:
        raise NotFound(
            f"{identity} has no container, so there is nothing to commit",
            left="its last commit is in force" if facts.commits else "it was never committed",
            next_step=f"bottle resume {identity}",
        )
    require_kept(facts.changes)
    if facts.base is not None and len(facts.base.diff_ids) >= DEEPEST:
        raise PreflightRefused(
            f"{identity} is made of {len(facts.base.diff_ids)} layers, and Docker allows no more than {DEEPEST}",
            left="nothing was changed; the bottle goes on as it was",
            next_step=f"docker export {container.name} | docker import - flattened",
        )
    if facts.free is not None and facts.size > facts.free:
        raise PreflightRefused(
            f"the snapshot of {identity} needs {size(facts.size)} (holes of sparse files are written out), "
            f"and the engine's disk has {size(facts.free)} free",
            left="nothing was changed; the bottle goes on as it was",
            next_step="docker system df",
        )
    number = max((commit.number for commit in facts.commits), default=0) + 1
    if number > MOST_COMMITS:
        raise PreflightRefused(
            f"{identity} has its commit {number - 1}, and a bottle has at most {MOST_COMMITS}",
            left="nothing was changed; the bottle goes on as it was",
            next_step=f"docker commit {container.name}",
        )
    return CommitPlan(
        identity=identity,
        container=container.name,
        number=number,
        parent=parent_of(facts.commits, container),
        pause=pause and container.status is Status.RUNNING,
        size=facts.size,
        has_changes=any(
            not any(is_below(mount.target, change.path) for mount in container.mounts) for change in facts.changes
        ),
        left_out=tuple(
            f"{mount.target} ({mount.kind.value}{f' {mount.source}' if mount.source else ''})"
            for mount in container.mounts
            if not is_ours(mount)
        ),
    )


def parent_of(commits: tuple[CommitRecord, ...], container: ContainerFacts) -> int | None:
    """What a container's next commit descends from: the newest one made of it, else the one it was made from."""
    for commit in reversed(commits):
        if commit.mark is not None and commit.mark.container_id == container.id:
            return commit.number
    label = container.labels.get(LABEL_COMMIT, "")
    return next((commit.number for commit in commits if str(commit.number) == label), None)


def layers_to_fold(base: tuple[str, ...], diff_ids: tuple[str, ...]) -> int:
    """How many of a commit's layers are to become one: those above `base`, the agent's image, or none."""
    own = len(diff_ids) - len(base)
    deep = len(diff_ids) > SQUASH_AT and own > 1
    return own if deep and base and diff_ids[: len(base)] == base else 0


def require_kept(changes: tuple[Change, ...]) -> None:
    """Refuse changes that Docker's commit would lose while it says success. Raises PreflightRefused."""
    _refuse_whiteouts(changes)
    for change in changes:
        require_openable(change.path, "the container", left="nothing was changed; the bottle goes on as it was")


def _refuse_whiteouts(changes: tuple[Change, ...]) -> None:
    """Docker's layers say "deleted" by a name: a file called so would make itself and another vanish, silently."""
    names = [
        change.path
        for change in changes
        if change.kind is not ChangeKind.DELETED and change.path.rsplit("/", 1)[-1].startswith(".wh.")
    ]
    if names:
        raise PreflightRefused(
            f"files named .wh.* cannot be committed: Docker would take them for deletions: {', '.join(names[:5])}",
            left="nothing was changed; the bottle goes on as it was",
            next_step="rename them inside the bottle, then commit again",
        )
