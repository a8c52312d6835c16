"""A commit that costs what has changed: the container's own folder is read, and its changes become a layer.

While the agent works, it is indexed, and what has changed since the last commit is read; while it is paused it is
indexed again, and only what has changed meanwhile is read. The engine unpacks the first layers during all of that. The
index is kept beside the commit before the engine is given the last one: whatever dies, the next commit finds what
belongs to the one or to the other, or goes without.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from bottle.errors import BottleError, NotFound, PreflightRefused, StateDamaged, StillPaused, TreeUnfit
from bottle.layers import LayerAppender, NewLayer
from bottle.losses import dropped_by_layer
from bottle.model import CommitRecord, CommitSpec, ContainerFacts, EngineInfo, ImageFacts, Product, Status, Store
from bottle.naming import LABEL_NONCE, LABEL_PART, Identity
from bottle.operations.context import Context
from bottle.operations.pause import paused
from bottle.operations.room import free_room
from bottle.plan.commit import CommitPlan
from bottle.plan.standing import kept_indexes, standing_on
from bottle.store.state import BottleState
from bottle.trees.index import Header
from bottle.trees.snapshot import Index, Snapshot, write_beside
from bottle.trees.source import DirectReader, TreeReader, can_read
from bottle.words import size

NO_COMMIT = 0  # by which number an index is kept that says no more than where a container writes
_SHOWN = 5
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a new layer stands on: `diff_ids`, with which image `ref` begins, and the index of what they show.

    `index` is None where that is the image that the container was made from.
    """

    ref: str
    diff_ids: tuple[str, ...]
    index: Index | None = None


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

    Raises TreeUnfit where that is not to be had, PreflightRefused for what no layer can hold or the disk has no room
    for, or EngineError. Nothing is left of it then, but what `settle` finds by the nonce.
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
    with (
        reading_errors(),
        Snapshot(reader, container.id, ground.index, state.path) as snapshot,
        Parts(context, state, context.appender, ground, nonce) as parts,
    ):
        with context.progress.phase(f"reading what changed in {container.name}"):
            changes = snapshot.look_ahead()
            _require_room(context, state, changes.size)
            snapshot.read_ahead(changes, parts.take)
        now = _as_before(context, container)
        frozen = _read_still(context, state, snapshot, parts, now if plan.pause else None)
        skipped = _skipped(snapshot) if now.status is Status.RUNNING and not plan.pause else ()
        if now.status is not Status.RUNNING:
            _as_before(context, now)
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
            frozen=frozen,
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
    """Where the layer would not fit beside what it is made of, the engine's own commit takes less. Raises TreeUnfit."""
    free = free_room(context.engine.info().root_dir), free_room(str(state.path))
    if any(each is not None and 2 * wanted > each for each in free):
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


def _read_still(
    context: Context, state: BottleState, snapshot: Snapshot, parts: "Parts", container: ContainerFacts | None
) -> StillPaused | None:
    """Read the rest while `container` is paused, if it is to be; why it does not go on, if so.

    What was read is good then, and is to be committed first.
    """
    if container is not None:
        settle_disk(snapshot.settle, parts.are_loaded)
    try:
        with paused(context, state, container, "a commit"):
            snapshot.read_still()
    except StillPaused as exc:
        context.progress.note(f"{exc.what}; to let it go on: {exc.next_step}")
        return exc
    return None


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
def reading_errors() -> Iterator[None]:
    """What the operating system does not let us read or write is committed another way. Raises TreeUnfit."""
    try:
        yield
    except OSError as exc:
        raise TreeUnfit(f"what has changed cannot be read, or written down: {exc.strerror or exc}") from exc
    except StateDamaged as exc:
        raise TreeUnfit(exc.what) from exc


def find_ground(context: Context, state: BottleState, container: ContainerFacts, reader: TreeReader) -> Ground:
    """What the next commit of a container stands on: an earlier one of it, where that is known to the last file."""
    image = context.engine.image(container.image)
    if image is None:
        raise TreeUnfit("the image that the container was made from is gone")
    commits = tuple(each for each in state.commits() if each.mark and each.mark.container_id == container.id)
    where = (container.id, str(reader.place), reader.inode())
    for number in standing_on(commits):
        record = next(each for each in commits if each.number == number)
        index = _index_of(state.index(number), where, record)
        ref = _holder(context, commits, record) if index is not None else None
        if ref is not None:
            return Ground(ref=ref, diff_ids=record.diff_ids, index=index)
    if commits:
        context.progress.note(
            f"what {container.name} held at earlier commits is not known to the last file: this one holds all that it "
            "has written since it was made"
        )
    return Ground(ref=image.id, diff_ids=image.diff_ids)


def _holder(context: Context, commits: Sequence[CommitRecord], record: CommitRecord) -> str | None:
    """The newest commit here that begins with the layers of `record`, which may be gone itself."""
    for each in reversed(commits):
        if each.diff_ids[: len(record.diff_ids)] == record.diff_ids:
            image = context.engine.image(each.tag)
            if image is not None and image.diff_ids == each.diff_ids:
                return each.tag
    return None


def _index_of(path: Path, where: tuple[str, str, int], record: CommitRecord) -> Index | None:
    """The index of a commit, if it is of this container, in this folder with this inode, and of that very image."""
    try:
        index = Index.open(path)
    except (OSError, StateDamaged):
        return None
    header = index.header
    found = (header.container, header.place, header.inode)
    return index if found == where and header.diff_ids == record.diff_ids else None


class Parts:
    """The first layers of a commit, which the engine unpacks one by one while the next ones are read and sent.

    Each makes an image of its own, of which nothing is left when the context closes; the commit's has their layers.
    """

    def __init__(
        self, context: Context, state: BottleState, appender: LayerAppender, ground: Ground, nonce: str
    ) -> None:
        self._context = context
        self._state = state
        self._appender = appender
        self._nonce = nonce
        self._labels = {"Labels": {LABEL_PART: nonce}}
        self._pool = ThreadPoolExecutor(max_workers=2)  # what is sent, and what is unpacked meanwhile
        self._loading: list[Future[ImageFacts]] = []
        self.ref = ground.ref
        self.diff_ids = ground.diff_ids

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        remove_parts(self._context, self._state.identity)

    def take(self, layer: NewLayer, done: Callable[[], None]) -> None:
        """Give the engine one more, above those before; `done` is told when it has it. One at most is sent ahead."""
        for each in self._loading[:-1]:
            each.result()
        tag = self._state.identity.part(self._nonce, len(self._loading))
        below, ref = self.diff_ids, self.ref
        append = partial(self._appender.append, ref, below, (layer,), self._labels, tag=tag)
        loading = self._pool.submit(append, after=self._loading[-1].result if self._loading else None)
        loading.add_done_callback(lambda _: done())
        self._loading.append(loading)
        self.ref, self.diff_ids = tag, (*below, layer.diff_id)

    def are_loaded(self) -> bool:
        """Whether the engine has them all, or has not taken one."""
        return all(each.done() for each in self._loading)

    def wait(self) -> None:
        """Until the engine has them all. Raises what became of the first one that it did not take."""
        for each in self._loading:
            each.result()

    def finish(self, layers: Sequence[NewLayer], config: Mapping[str, Any], spec: CommitSpec) -> ImageFacts:
        """The commit's image: the parts and `layers`. Raises as `LayerAppender.append`."""
        return self._appender.append(self.ref, self.diff_ids, layers, config, tag=spec.tag, comment=spec.message)


def remove_parts(context: Context, identity: Identity) -> None:
    """Remove what is left of the images of which commits were put together; the caller holds the bottle's lock."""
    with suppress(BottleError):
        for image in context.engine.image_summaries({LABEL_PART: None}):
            for tag in filter(identity.is_in_flight, image.tags):
                with suppress(NotFound):
                    context.engine.remove_image(tag)
