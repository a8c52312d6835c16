"""`commit`: freeze a bottle into an image and record it; a crash at any point leaves the last commit in force."""

import secrets
from contextlib import suppress
from dataclasses import dataclass, replace

from bottle import transcript
from bottle.errors import (
    BottleError,
    Conflict,
    EngineError,
    EngineUnreachable,
    NotFound,
    PreflightRefused,
    StillPaused,
    TreeUnfit,
    VerificationFailed,
)
from bottle.launch import bare_spec, container_mounts, is_below
from bottle.losses import dropped_by_commit, unseen, worth_telling
from bottle.model import (
    SCHEMA,
    ChangeKind,
    CommitIntent,
    CommitRecord,
    CommitSpec,
    ContainerFacts,
    ContainerMark,
    ImageFacts,
    Metadata,
    Status,
)
from bottle.naming import LABEL_AGENT, LABEL_COMMIT, LABEL_IDENTITY, LABEL_NONCE, LABEL_SCHEMA, Identity
from bottle.operations.bydelta import Made, commit_changes, forget_indexes, rename_index, written_by
from bottle.operations.context import Context
from bottle.operations.inforce import put_in_force
from bottle.operations.pause import paused
from bottle.operations.requests import collect_notes
from bottle.operations.retain import retain
from bottle.operations.room import free_room
from bottle.operations.secrets import hide_secrets
from bottle.operations.settle import settle, take_over
from bottle.operations.weighing import added_by_commits
from bottle.plan.commit import DEEPEST, CommitFacts, CommitPlan, layers_to_fold, plan_commit, record_of
from bottle.plan.guards import require_docker
from bottle.plan.runtimes import runtime_of
from bottle.store.state import BottleState
from bottle.tar.chunks import reading
from bottle.tar.reader import TarStream
from bottle.text import encodable
from bottle.trees.source import TreeReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A commit that was made.

    `size` are the bytes that its container has written since it was made, and `adds` those that the commit adds to what
    it stands on, as the history has it, None where nobody can tell. `left_out` names what is mounted and so no part of
    it, `dropped` what Docker's commit does not keep. `save_line` carries the image by hand. `expired` are the numbers
    of older commits that the agent's `keep` let go, `squashed` is how many of the bottle's own layers became one. `way`
    says how it was made, and why not out of what changed, if so; `unchanged`: nothing has changed, and it has no layer.
    """

    identity: Identity
    commit: CommitRecord
    left_out: tuple[str, ...]
    dropped: tuple[str, ...]
    size: int
    adds: int | None = None
    expired: tuple[int, ...] = ()
    squashed: int = 0
    way: str = ""
    unchanged: bool = False

    @property
    def told(self) -> tuple[str, ...]:
        """Of `dropped` what is said each time; all of it is in the history."""
        return worth_telling(self.dropped, first=self.commit.number == 1)

    @property
    def resume_line(self) -> str:
        """How to bring the bottle back."""
        return f"bottle resume {self.identity}"

    @property
    def save_line(self) -> str:
        """How to carry the image by hand."""
        return f"docker save {self.commit.tag} | zstd > {self.identity}.tar.zst"


def commit(context: Context, state: BottleState, *, message: str = "", pause: bool = True) -> Committed:
    """Snapshot a bottle's container, running or stopped.

    Raises BackendUnsupported, Locked, MovedAway, NotFound, PreflightRefused, VerificationFailed or EngineError; the
    last commit stays in force, and a container that ran goes on.
    """
    require_docker(state.metadata(), "commit")
    with state.locked("bottle commit"):
        settle(context, state)
        committed = commit_locked(context, state, message=message, pause=pause)
        committed = replace(committed, expired=retain(context, state))
        return replace(committed, adds=_added(context, state))


def commit_locked(context: Context, state: BottleState, *, message: str, pause: bool) -> Committed:
    """`commit` for a caller that holds the bottle's lock and has settled what was left."""
    reader, why_not = written_by(context, state)
    container, plan = observe_commit(context, state, pause=pause, briefly=reader is not None)
    hide_secrets(context, container)
    for note in collect_notes(context, state):
        context.progress.note(note)
    metadata = state.metadata()
    intent = CommitIntent(
        nonce=secrets.token_hex(16), number=plan.number, message=encodable(message), container_id=container.id
    )
    state.intent.write(intent)
    try:
        if reader is not None:
            made = _made_of_changes(context, state, intent, container, plan, reader)
        else:
            made = _made_by_engine(context, state, intent, container, plan, why_not)
    except PreflightRefused:
        state.intent.clear()  # nothing was begun
        raise
    image, squashed = _shallow(context, state, intent, made.image)
    mark = ContainerMark(container_id=container.id, started_at=container.started_at, running=container.status.alive)
    record = record_of(
        metadata, intent, image, mark, created_at=context.now(), parent=plan.parent, dropped=made.dropped
    )
    put_in_force(context, state, record)
    state.intent.clear()
    forget_indexes(state)
    if made.frozen is not None:
        left = f"commit {record.number} of {metadata.identity} is made and in force; {made.frozen.left}"
        raise StillPaused(made.frozen.what, left=left, next_step=made.frozen.next_step) from made.frozen
    return Committed(
        identity=metadata.identity,
        commit=record,
        left_out=plan.left_out,
        dropped=made.dropped,
        size=made.size,
        squashed=squashed,
        way=made.way,
        unchanged=made.unchanged,
    )


def _made_of_changes(  # noqa: PLR0917  (what a commit is made of)
    context: Context,
    state: BottleState,
    intent: CommitIntent,
    container: ContainerFacts,
    plan: CommitPlan,
    reader: TreeReader,
) -> Made:
    """The commit's image, in its place among the bottle's: of what has changed, or by the engine if it cannot be."""
    metadata = state.metadata()
    spec = _commit_spec(metadata, intent)
    try:
        made = commit_changes(context, state, container, reader, spec, plan)
    except EngineUnreachable:
        raise  # whether it is made is not known
    except (TreeUnfit, VerificationFailed, EngineError, NotFound, Conflict) as exc:
        context.progress.note(f"{exc.what}; the engine commits all that {container.name} has written")
        container, plan = observe_commit(context, state, pause=plan.pause)
        return _made_by_engine(context, state, intent, container, plan, exc.what)
    take_over(context, state, intent, made.image, container)
    with context.progress.phase("copying the transcript"):
        lost = _transcript_of(context, state, metadata, made.image, container)
    return replace(made, dropped=made.dropped + lost)


def _made_by_engine(  # noqa: PLR0917  (as above)
    context: Context,
    state: BottleState,
    intent: CommitIntent,
    container: ContainerFacts,
    plan: CommitPlan,
    why: str,
) -> Made:
    """The image of a container that is still, whole: all it has written since it was made.

    Where the container does not go on, what was committed is good, and is to be recorded first.
    """
    metadata = state.metadata()
    frozen = None
    try:
        with paused(context, state, container if plan.pause else None, "a commit"):
            with context.progress.phase(f"looking at what {container.name} wrote"):
                dropped = _dropped(context, container, metadata, plan)
            image = _snapshot(context, container, _commit_spec(metadata, intent))
            take_over(context, state, intent, image, container)
            with context.progress.phase("copying the transcript"):
                dropped += save_transcript(context, state, metadata, container)
    except StillPaused as exc:
        context.progress.note(f"{exc.what}; to let it go on: {exc.next_step}")
        frozen = exc
    if container.status.alive and not plan.pause and container.status is not Status.PAUSED:
        dropped += _skipped(context, container, image)
    return Made(image=image, dropped=dropped, size=plan.size, way=f"by the engine: {why}", frozen=frozen)


def _transcript_of(
    context: Context, state: BottleState, metadata: Metadata, image: ImageFacts, container: ContainerFacts
) -> tuple[str, ...]:
    """Copy the transcript out as it is in the image, while the agent goes on; what of it is mounted is in no image."""
    mounts = container_mounts(metadata)
    if not metadata.agent.transcript:
        return ()
    if any(is_below(path, mount.target) for path in metadata.agent.transcript for mount in mounts):
        return save_transcript(context, state, metadata, container)
    try:
        looked_into = context.engine.create(bare_spec(state.identity.draft, image.id))
    except BottleError as exc:
        return (f"the transcript could not be copied beside the image: {exc.what}",)
    lost = save_transcript(context, state, metadata, replace(container, id=looked_into))
    with suppress(BottleError):  # the next command that settles clears it away
        context.engine.remove_container(looked_into)
    return lost


def _added(context: Context, state: BottleState) -> int | None:
    """What the last commit adds. It is made, and good, also where the engine does not tell."""
    with suppress(BottleError):
        return added_by_commits(context, state.metadata(), state.commits(), context.engine.image_summaries({}))[-1]
    return None


def _shallow(context: Context, state: BottleState, intent: CommitIntent, image: ImageFacts) -> tuple[ImageFacts, int]:
    """Fold a commit that is deep, and say how many layers that took; where it fails, the commit stays what it is.

    The squashed one is made under the tag of a commit in flight: what dies here leaves one of the two in the commit's
    place, whole, for `settle` to adopt.
    """
    engine, identity, metadata = context.engine, state.identity, state.metadata()
    count = layers_to_fold(metadata.base, image.diff_ids)
    if context.squasher is None or not count:
        return image, 0
    tag, draft = identity.committed(intent.number), identity.committing(intent.nonce)
    given_up = identity.unfolded(intent.nonce)
    try:
        with context.progress.phase(f"squashing {count} layers of {identity} into one, above those it shares"):
            shallow = context.squasher.squash(identity, tag, base=metadata.base, tag=draft)
    except (BottleError, OSError) as exc:
        context.progress.note(
            f"{identity} has {len(image.diff_ids)} layers, of which Docker allows {DEEPEST}, and they could not be "
            f"squashed: {exc}; the commit is good as it is"
        )
        return image, 0
    engine.tag(image.id, given_up)
    engine.tag(shallow.id, tag)
    engine.remove_image(draft)
    with suppress(BottleError):  # garbage from now on
        engine.remove_image(given_up)
    rename_index(state, intent.number, shallow.diff_ids)
    return shallow, count


def save_transcript(
    context: Context, state: BottleState, metadata: Metadata, container: ContainerFacts
) -> tuple[str, ...]:
    """Copy the transcript out; what to say when that is not possible, the last snapshot of it being kept.

    Raises nothing: what an agent made of its transcript is no reason for a commit or a stop, which happened, to fail.
    """
    agent, mounted = metadata.agent, container_mounts(metadata)
    try:
        transcript.capture(context.engine, container.id, agent.transcript, state.transcript, mounted=mounted)
    except BottleError as exc:
        return (f"the transcript could not be copied beside the image: {exc.what}",)
    return ()


def observe_commit(
    context: Context, state: BottleState, *, pause: bool, briefly: bool = False
) -> tuple[ContainerFacts, CommitPlan]:
    """The container to be committed, and how. Raises what `plan_commit` raises; nothing is changed.

    `briefly`: what it has written is not looked at, as whoever commits reads it all anyway.
    """
    metadata = state.metadata()
    container = context.container(metadata.identity)
    looked_at = container if not briefly else None
    info = context.engine.info()
    facts = CommitFacts(
        metadata=metadata,
        tombstone=state.tombstone.read(),
        migration=state.migration.read(),
        container=container,
        runtime=runtime_of(info, container) if container else None,
        base=context.engine.image(container.image) if container else None,
        commits=state.commits(),
        changes=context.engine.changes(looked_at.id) if looked_at else (),
        size=context.engine.writable_size(looked_at.id) if looked_at else 0,
        free=free_room(info.root_dir) if context.engine.is_local else None,
    )
    plan = plan_commit(facts, pause=pause)
    assert container is not None  # plan_commit refuses a bottle without one
    return container, plan


def _commit_spec(metadata: Metadata, intent: CommitIntent) -> CommitSpec:
    return CommitSpec(
        tag=metadata.identity.committing(intent.nonce),
        labels=(
            (LABEL_SCHEMA, str(SCHEMA)),
            (LABEL_IDENTITY, str(metadata.identity)),
            (LABEL_AGENT, metadata.agent.name),
            (LABEL_COMMIT, str(intent.number)),
            (LABEL_NONCE, intent.nonce),
        ),
        defaults=metadata.defaults,
        message=intent.message,
    )


def _snapshot(context: Context, container: ContainerFacts, spec: CommitSpec) -> ImageFacts:
    """Commit; when the answer is lost, look whether the engine did it all the same."""
    with context.progress.phase(f"committing {container.name}"):
        try:
            return context.engine.commit(container.id, spec)
        except EngineError as exc:
            finished = context.engine.images({LABEL_NONCE: dict(spec.labels)[LABEL_NONCE]})
            if not finished:
                exc.left = exc.left or "nothing was committed: the last commit stays in force, and the bottle as it was"
                raise
            return finished[0]


def _dropped(context: Context, container: ContainerFacts, metadata: Metadata, plan: CommitPlan) -> tuple[str, ...]:
    layer = context.engine.writable_layer(container.id)
    if layer is not None:
        return dropped_by_commit(layer, metadata.agent.transcript)
    return unseen() if plan.has_changes else ()


def _skipped(context: Context, container: ContainerFacts, image: ImageFacts) -> tuple[str, ...]:
    """Files that changed while an unpaused commit read them: the daemon leaves them out and says so only in its log."""
    expected = {
        change.path.lstrip("/")
        for change in context.engine.changes(container.id)
        if change.kind is not ChangeKind.DELETED
    }
    missing = expected - _names(context, container, image)
    if not missing:
        return ()
    shown = ", ".join("/" + name for name in sorted(missing)[:5])
    return (f"{len(missing)} changed while the commit read them, or came after it: {shown}",)


def _names(context: Context, container: ContainerFacts, image: ImageFacts) -> set[str]:
    name = Identity.parse(container.labels[LABEL_IDENTITY]).draft
    looked_into = context.engine.create(bare_spec(name, image.id))
    try:
        with reading(context.engine.read_archive(looked_into, "/")) as chunks:
            return {member.name.strip("/").removeprefix("./") for member in TarStream(chunks).members()}
    except (NotFound, VerificationFailed) as exc:
        raise BottleError(f"the commit could not be compared with its container: {exc}") from exc
    finally:
        context.engine.remove_container(looked_into)
