"""A commit that costs what has changed: the container's own folder is read, and its changes become a layer.

What is little is read while the agent is paused, which is then but a little longer than its index takes. Else: while
the agent works, it is indexed, and what has changed since the last commit is read; while it is paused it is indexed
again, and only what has changed meanwhile is read. The engine unpacks the first layers during all of that. The
index is kept beside the commit before the engine is given the last one: whatever dies, the next commit finds what
belongs to the one or to the other, or goes without.
"""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bottle.errors import BottleError, PreflightRefused, StateDamaged, StillPaused, TreeUnfit
from bottle.losses import dropped_by_layer
from bottle.model import CommitSpec, ContainerFacts, EngineInfo, ImageFacts, Product, Status, Store
from bottle.naming import LABEL_NONCE
from bottle.operations.context import Context
from bottle.operations.ground import Ground, find_ground
from bottle.operations.images import paths_in
from bottle.operations.parts import Parts
from bottle.operations.pause import paused
from bottle.operations.room import free_room
from bottle.plan.commit import CommitPlan
from bottle.plan.standing import kept_indexes
from bottle.store.state import BottleState
from bottle.trees.index import Header
from bottle.trees.snapshot import Index, Snapshot, write_beside
from bottle.trees.source import DirectReader, TreeReader, can_read
from bottle.words import size

NO_COMMIT = 0  # by which number an index is kept that says no more than where a container writes
_SHOWN = 5
_LEAST = 1 << 20  # bytes of room for the index and the record of a commit
_FULL = {errno.ENOSPC, errno.EDQUOT}
_QUICK = 0.5  # seconds in which a disk should write what it holds when an agent is about to be paused


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A commit's image, and what is to be told of it.

    `size` are the bytes that its container has written since it was made. `frozen` is why the container does not go
    on, if so. `way` says how the commit was made, and why not as one of changes, if so. `unchanged`: it has no layer of
    its own.
    """

    image: ImageFacts
    dropped: tuple[str, ...]
    size: int
    way: str
    frozen: StillPaused | None = None
    unchanged: bool = False


def written_by(context: Context, state: BottleState) -> tuple[TreeReader | None, str]:
    """Who reads what a bottle's container has written; None where no layer can be made of it, and why."""
    container = context.container(state.identity)
    if container is None or context.appender is None:
        return None, "there is nothing to read"
    try:
        with reading_errors():
            _require_fit(context.engine.info())
            place = context.engine.layer_folder(container.id)
            found = _reader(context, place) if place is not None else _remembered(context, state, container)
    except TreeUnfit as exc:
        return None, exc.what
    return found, "" if found is not None else "the engine does not say where the container's files are"


def way_of_commits(context: Context) -> str:
    """How this engine's containers are read for commits of what changed. Raises TreeUnfit where that is not to be had.

    No container is looked at, one of which may be another case.
    """
    with reading_errors():
        info = context.engine.info()
        _require_fit(info)
        if not context.engine.is_local:
            raise TreeUnfit("the engine is on another machine")
        reader = _reader(context, Path(info.root_dir))
        if reader.filesystem() is None:
            raise TreeUnfit("the engine's folders are on a filesystem whose change times do not tell of every change")
        return reader.way


def _require_fit(info: EngineInfo) -> None:
    if info.product is not Product.DOCKER:
        raise TreeUnfit(f"{info.product.value} takes no layers that stand on its own")
    if info.rootless or info.remapped:
        raise TreeUnfit("users in the engine's containers are others outside")


def remember_place(context: Context, state: BottleState, container: ContainerFacts) -> None:
    """Keep where a running container writes: a containerd store tells that of none which does not run."""
    with suppress(BottleError, OSError):
        if context.engine.info().store is Store.CONTAINERD:
            reader, _ = written_by(context, state)
            if reader is not None:
                place, inode = str(reader.place), reader.inode()
                header = Header(container=container.id, place=place, inode=inode, synced_at=0)
                write_beside(state.index(NO_COMMIT), header, ())


def _reader(context: Context, place: Path) -> TreeReader:
    """Who reads a folder of the engine's: this process, or a helper container. Raises TreeUnfit, OSError."""
    if can_read(place):
        return DirectReader(place)
    if context.helper is None:
        raise TreeUnfit("the engine's folders cannot be read from here")
    reader = context.helper.tree(place)
    reader.inode()
    return reader


def _remembered(context: Context, state: BottleState, container: ContainerFacts) -> TreeReader | None:
    """Where a container wrote when it ran: the folder stays the same while there is the container."""
    own = [each.number for each in state.commits() if each.mark and each.mark.container_id == container.id]
    for number in (*reversed(own), NO_COMMIT):
        with suppress(OSError, StateDamaged):
            header = Index.open(state.index(number)).header
            if header.container == container.id:
                reader = _reader(context, Path(header.place))
                if reader.inode() == header.inode:
                    return reader
    return None


def commit_changes(  # noqa: PLR0917  (what a commit is made of)
    context: Context,
    state: BottleState,
    container: ContainerFacts,
    reader: TreeReader,
    spec: CommitSpec,
    plan: CommitPlan,
) -> Made:
    """Make the image of a commit out of what has changed, as `reader` reads it, and keep its index.

    Raises TreeUnfit where that is not to be had, PreflightRefused for what no layer can hold or where the state's disk
    is full, or EngineError. Nothing is left of it then, but what `settle` finds by the nonce.
    """
    with reading_errors():
        ground = find_ground(context, state, container, reader)
        try:
            return _committed(context, state, container, reader, spec, plan, ground)
        except TreeUnfit:
            if ground.index is not None:  # what does not fit once may not fit again: the next one goes without
                ground.index.path.unlink(missing_ok=True)
            raise


def _committed(  # noqa: PLR0917  (as above)
    context: Context,
    state: BottleState,
    container: ContainerFacts,
    reader: TreeReader,
    spec: CommitSpec,
    plan: CommitPlan,
    ground: Ground,
) -> Made:
    assert context.appender is not None  # as `written_by` has it
    nonce, config = dict(spec.labels)[LABEL_NONCE], context.engine.commit_config(container.id, spec)
    in_image = partial(paths_in, context, container.image)
    with (
        reading_errors(),
        _written_down(state),
        Snapshot(reader, container.id, ground.index, state.path, in_image) as snapshot,
        Parts(context, state, context.appender, ground, nonce) as parts,
    ):
        with context.progress.phase(f"reading what changed in {container.name}"):
            stillness = Stillness(context=context, state=state, container=container, pause=plan.pause)
            _read(stillness, snapshot, parts)
        skipped = _skipped(snapshot) if stillness.is_feigned else ()
        with context.progress.phase(f"committing {container.name}"):
            layer = snapshot.last_layer()
            layers = (layer,) if layer is not None else ()
            snapshot.keep_index(state.index(plan.number), (*parts.diff_ids, *(each.diff_id for each in layers)))
            parts.wait()
            image = parts.finish(layers, config, spec)
        return Made(
            image=image,
            dropped=(*dropped_by_layer(snapshot.sockets(), snapshot.flagged(), snapshot.sparse()), *skipped),
            size=snapshot.written(),
            way=f"by its changes{reader.way}",
            frozen=stillness.frozen,
            unchanged=image.diff_ids == ground.diff_ids,
        )


def _as_before(context: Context, container: ContainerFacts) -> ContainerFacts:
    """The container as it is by now. Raises PreflightRefused where it has begun to run: nobody holds it still then."""
    now = context.engine.container(container.id)
    if now is None:
        raise TreeUnfit(f"{container.name} was removed meanwhile")
    if now.status is Status.RUNNING and container.status is not Status.RUNNING:
        raise PreflightRefused(
            f"{container.name} was started, or let go on, while it was read",
            left="nothing was committed; it goes on",
            next_step="the same command again",
        )
    return now


def _require_room(context: Context, state: BottleState, wanted: int) -> None:
    """Where the layer would not fit beside what it is made of, the engine's own commit takes less. Raises TreeUnfit.

    Where the state folder's disk has no room for anything, it has none for the record of a commit: PreflightRefused.
    """
    free, own = free_room(context.engine.info().root_dir), free_room(str(state.path))
    if own is not None and own < min(2 * wanted, _LEAST):
        raise _no_room(state, os.strerror(errno.ENOSPC))
    if any(each is not None and 2 * wanted > each for each in (free, own)):
        raise TreeUnfit(f"there is no room for what has changed, twice: {size(wanted)}")


def settle_disk(settle: Callable[[], None], are_loaded: Callable[[], bool]) -> None:
    """Have the disk write until it has little left, so that a pause is short; `settle` does so once.

    What an engine unpacks meanwhile is on the same disk. A slow one has little left only when it has unpacked all.
    """
    while True:
        nothing_comes, began = are_loaded(), time.monotonic()
        settle()
        if nothing_comes or time.monotonic() - began < _QUICK:
            return


@dataclass(kw_only=True)
class Stillness:
    """A container that is held still, once or twice, while it is read. `frozen` is why it does not go on, if so.

    What was read is good then, and is to be committed first.
    """

    context: Context
    state: BottleState
    container: ContainerFacts
    pause: bool
    frozen: StillPaused | None = None

    @property
    def is_feigned(self) -> bool:
        """Whether it runs all the while: it is not to be paused."""
        return self.container.status is Status.RUNNING and not self.pause

    @contextmanager
    def held(self) -> Iterator[None]:
        """Pause it, if that is to be. Raises PreflightRefused where it has begun to run before, or meanwhile."""
        now = _as_before(self.context, self.container)
        try:
            with paused(self.context, self.state, now if self.pause else None, "a commit"):
                yield
        except StillPaused as exc:
            self.context.progress.note(f"{exc.what}; to let it go on: {exc.next_step}")
            self.frozen = exc
        if now.status is not Status.RUNNING:
            _as_before(self.context, now)


def _read(stillness: Stillness, snapshot: Snapshot, parts: Parts) -> None:
    """Read what has changed: all of it while the container is still, if that is little, and else most of it before."""
    is_read = False
    if not snapshot.is_first and not stillness.is_feigned:
        snapshot.settle()
        with stillness.held():
            is_read = snapshot.read_at_once()
    changes = snapshot.look_ahead()
    _require_room(stillness.context, stillness.state, changes.size)
    if not is_read:
        snapshot.read_ahead(changes, parts.take)
        if stillness.pause:
            settle_disk(snapshot.settle, parts.are_loaded)
        with stillness.held():
            snapshot.read_still()


def _skipped(snapshot: Snapshot) -> tuple[str, ...]:
    """Of an agent that was not paused, the files that changed while they were read: they may be half the old ones."""
    found = snapshot.changed_meanwhile()
    shown = ", ".join(found[:_SHOWN])
    return (f"{len(found)} changed while the commit read them, or came after it: {shown}",) if found else ()


def forget_indexes(state: BottleState) -> None:
    """Throw away the indexes on which no later commit will stand; where that cannot be, they are left for the next."""
    commits = state.commits()
    mark = commits[-1].mark if commits else None
    own = [each for each in commits if mark and each.mark and each.mark.container_id == mark.container_id]
    with suppress(StateDamaged):
        state.keep_indexes(kept_indexes(own) | {NO_COMMIT})


def rename_index(state: BottleState, number: int, diff_ids: tuple[str, ...]) -> None:
    """The image of a commit has other layers now, and shows the same. Where that is not kept, the next one is whole."""
    path = state.index(number)
    with suppress(OSError, StateDamaged):
        index = Index.open(path)
        write_beside(path, index.header.of(diff_ids), index.folders())


@contextmanager
def _written_down(state: BottleState) -> Iterator[None]:
    """Nothing is committed where the disk of the state folder is full. Raises PreflightRefused.

    The engine's own commit would drop of a bottle what its last commit has; there is room again, and then it is whole.
    """
    try:
        yield
    except (OSError, StateDamaged) as exc:
        cause = exc if isinstance(exc, OSError) else exc.__cause__
        if not isinstance(cause, OSError) or cause.errno not in _FULL:
            raise
        raise _no_room(state, str(cause.strerror)) from exc


def _no_room(state: BottleState, why: str) -> PreflightRefused:
    return PreflightRefused(
        f"what has changed in {state.identity} cannot be written down: {why}",
        left="nothing was committed: the last commit stays in force, and the bottle as it was",
        next_step=f"df -h {state.path}; make room there, then the same command again",
    )


@contextmanager
def reading_errors() -> Iterator[None]:
    """What the operating system does not let us read or write is committed another way. Raises TreeUnfit."""
    try:
        yield
    except OSError as exc:
        raise TreeUnfit(f"what has changed cannot be read, or written down: {exc.strerror or exc}") from exc
    except StateDamaged as exc:
        raise TreeUnfit(exc.what) from exc
