"""`resume`: the first way that works, of all there are (docs/ARCHITECTURE.md, "Resume")."""

from dataclasses import dataclass
from pathlib import Path
from shlex import join

from bottle.errors import Conflict, NeedsConsent, NotFound, NothingToResume, VerificationFailed
from bottle.launch import AS_USUAL, Command, Once, can_be_told, command_for, command_line, made_to_run, this_once
from bottle.model import CommitRecord, ContainerFacts, ImageFacts, Metadata, MigrationRecord, Standby, Status, Tombstone
from bottle.naming import Identity
from bottle.plan.guards import require_docker, require_here, require_owned, require_remote_control, require_settled
from bottle.plan.history import as_committed, commit_in_force, find_commit, is_frozen_in, nameless_volumes
from bottle.plan.sources import ImageSource, agent_image, own_build

_FIXED = "its image has no /bin/sh, its engine is on another machine, or an earlier version made it"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeRequest:
    """What the user asked for. `consent`: work newer than the commit that is asked for may go.

    `once`: what it is to run this once. `asked`: the host that stands by said that it has not taken the bottle over.
    """

    at: int | None = None
    rebuild: bool = False
    force: bool = False
    asked: bool = False
    consent: bool = False
    once: Once = AS_USUAL

    @property
    def overrides(self) -> bool:
        """Whether it is to be made anew, whatever its stopped container holds."""
        return self.at is not None or self.rebuild


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeFacts:
    """All that decides how a bottle comes back.

    `former` is a container that has the name of the bottle's since before a move brought the bottle back here: what
    arrived is newer. `image` is the image of the commit that would be used, if it is in the engine; `kept` are the
    commits made of the container, or the former one, whose images are; `rebuild_due` says that the own Dockerfile was
    approved after the last commit; `dockerfile_exists` says so of the agent's Dockerfile; `told` is what the container
    was told to run last, None for what it was made to run. `standby` is the host that may have taken it over.
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
    standby: Standby | None = None


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


def plan_resume(facts: ResumeFacts, request: ResumeRequest) -> ResumePlan:
    """The first row of the resume table that is true (docs/ARCHITECTURE.md, "resume").

    Raises BackendUnsupported, MovedAway, UsageError, Conflict, NeedsConsent, NotFound, NothingToResume or
    VerificationFailed.
    """
    _require_resumable(facts, request)
    container = facts.container
    if container is not None and container.status.alive:
        return _attach(container, facts, request)
    if container is not None and container.status in {Status.CREATED, Status.EXITED}:
        reason = _only_in(container, facts, overridden=request.overrides)
        if reason is not None and not request.overrides:
            return _start_again(container, facts, request.once, reason)
        if reason is not None and container.ever_ran and not request.consent:
            raise _needs_consent(container, facts.metadata.identity, reason)
    if container is not None and container.status is Status.DEAD and not request.consent:
        _require_dispensable(container, facts)
    return _new_container(facts, request, container or _dispensable(facts.former, facts.kept))


def _require_resumable(facts: ResumeFacts, request: ResumeRequest) -> None:
    """Refuse what no row of the table may do."""
    identity = facts.metadata.identity
    require_docker(facts.metadata, "resume")
    if not request.force or (facts.tombstone is not None and facts.tombstone.standby):
        require_here(identity, facts.tombstone, "resume")
    if not request.force:
        require_settled(identity, facts.migration)
        if facts.standby is not None and not request.asked and not _runs(facts.container):
            require_owned(identity, facts.standby, f"bottle resume {identity}   (asks it)")
    if request.once.remote_control:
        require_remote_control(facts.metadata.agent)
    _require_former_rests(facts)


def _runs(container: ContainerFacts | None) -> bool:
    return container is not None and container.status.alive


def _attach(container: ContainerFacts, facts: ResumeFacts, request: ResumeRequest) -> Attach:
    if request.overrides:
        identity = facts.metadata.identity
        raise Conflict(
            f"{identity} is running", left="nothing was changed", next_step=f"bottle stop {identity}, then again"
        )
    _require_it_runs(container, facts, request.once)
    return Attach(container=container.name, unpause=container.status is Status.PAUSED)


def _needs_consent(container: ContainerFacts, identity: Identity, reason: str) -> NeedsConsent:
    nameless = nameless_volumes(container)
    keep = f"docker cp {container.name}:{nameless[0]} DIR" if nameless else f"bottle commit {identity}"
    return NeedsConsent(
        f"the stopped container of {identity} holds work that no commit has ({reason})",
        left="nothing was changed",
        next_step=f"keep it first: {keep}   (or let it go: the same command with --yes)",
    )


def _new_container(facts: ResumeFacts, request: ResumeRequest, replaces: ContainerFacts | None) -> FromCommit | Rebuild:
    """From what a container is made where none goes on: a build that is wanted, a commit, or any build."""
    approved = facts.rebuild_due and facts.own_dockerfile is not None and request.at is None
    if request.rebuild or approved:
        reason = "that was approved after its last commit" if approved else "that was asked for"
        return _rebuild(facts, replaces, reason, approved=approved)
    if facts.image is not None:
        return _from_commit(facts, facts.image, request, replaces)
    if request.at is not None:
        identity = facts.metadata.identity
        commit = find_commit(identity, facts.commits, request.at)
        raise NotFound(
            f"the image of commit {commit.number}, {commit.tag}, is gone from this engine",
            left="nothing was changed",
            next_step=f"bottle resume {identity}",
        )
    if facts.committed_tag is not None:
        return _rebuild(facts, replaces, f"its committed image {facts.committed_tag} is gone")
    return _rebuild(facts, replaces, "it was never committed and has no container")


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
        container=container.name, reason=reason, command=Command(made=made), wanted=wanted if wanted != made else None
    )


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
