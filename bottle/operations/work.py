"""What a bottle's container has written since it was made, or since a commit: looked at while the agent goes on."""

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from bottle.diff.thing import Layer
from bottle.diff.written import digests_of_files, layer_of_deltas
from bottle.errors import EngineError, StateDamaged, TreeUnfit
from bottle.launch import is_below
from bottle.model import ChangeKind, ContainerFacts
from bottle.operations.asking import Asked
from bottle.operations.bydelta import written_by
from bottle.operations.context import Context
from bottle.store.state import BottleState
from bottle.text import encodable
from bottle.trees.delta import FolderDelta, layer_delta
from bottle.trees.index import Folder
from bottle.trees.snapshot import Index
from bottle.trees.source import TreeReader

_TRIES = 3
_CERTAIN = 0  # of an index that holds nothing, all is certain
_MANGLED = "\ufffd"  # what an engine's answer has for each byte that is no UTF-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Layers that are here: `diff_ids`, with which image `ref` of `size` bytes begins; `exact`: it has no others."""

    ref: str
    size: int
    diff_ids: tuple[str, ...]
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A layer, not written down, that stands on `ground`; `digests` reads its files.

    `unanswered` are paths of which nobody could say what is there.
    """

    ground: Ground
    layer: Layer
    digests: Callable[[Iterable[str]], Mapping[str, bytes]]
    unanswered: tuple[str, ...] = ()


def work_of(context: Context, state: BottleState, container: ContainerFacts, since: tuple[int, Ground] | None) -> Work:
    """What a container has written; where an index is kept of commit `since`, since that one. Raises EngineError.

    Its own folder is read where it can be, else the engine is asked.
    """
    reader, _ = written_by(context, state)
    if reader is not None:
        with suppress(OSError, StateDamaged, TreeUnfit):
            if since is not None and (index := _index(state, container, reader, *since)) is not None:
                deltas = layer_delta(index.folders(), _folders(reader), index.header.synced_at)
                return _work(context, container, since[1], deltas, reader)
    image = context.engine.image(container.image)
    if image is None:
        raise EngineError(
            f"the image that {container.name} was made from is gone", next_step=f"docker diff {container.name}"
        )
    ground = Ground(ref=image.id, size=image.size, diff_ids=image.diff_ids, exact=True)
    if reader is not None:
        with suppress(OSError, TreeUnfit):
            return _work(context, container, ground, layer_delta((), _folders(reader), _CERTAIN), reader)
    return _asked(context, container, ground)


def _work(
    context: Context, container: ContainerFacts, ground: Ground, changes: Iterable[FolderDelta], reader: TreeReader
) -> Work:
    deltas = tuple(changes)

    def digests(paths: Iterable[str]) -> Mapping[str, bytes]:
        wanted = tuple(paths)
        try:
            return digests_of_files(wanted, deltas, reader) if wanted else {}
        except (OSError, TreeUnfit):  # the engine can be asked for each
            return Asked(context.engine, container.id, whole=lambda _: False).digests(wanted)

    return Work(ground=ground, layer=layer_of_deltas(deltas, reader), digests=digests)


def _index(
    state: BottleState, container: ContainerFacts, reader: TreeReader, number: int, ground: Ground
) -> Index | None:
    """The index that was kept of a commit, if it is one of this container in this folder."""
    path = state.index(number)
    if not path.exists():
        return None
    index = Index.open(path)
    header = index.header
    of = (header.container, header.place, header.inode, header.diff_ids)
    return index if of == (container.id, str(reader.place), reader.inode(), ground.diff_ids) else None


def _folders(reader: TreeReader) -> Iterator[Folder]:
    """What is there now. Raises OSError where folders are moved away again and again while they are looked at."""
    for left in reversed(range(_TRIES)):
        try:
            found = list(reader.folders())
        except OSError as exc:
            if exc.errno != errno.ESTALE or not left:
                raise
        else:
            yield from found
            return


def _asked(context: Context, container: ContainerFacts, ground: Ground) -> Work:
    """What the engine says: which paths, and asked for each what is there. What is mounted is not looked at."""
    mounts = [mount.target for mount in container.mounts]
    changes = {
        change.path.strip("/"): change.kind
        for change in context.engine.changes(container.id)
        if not any(is_below(change.path, mount) for mount in mounts)
    }

    def is_new(path: str) -> bool:
        new = changes.get(path) is ChangeKind.ADDED
        return new and not any(is_below(mount, f"/{path}") for mount in mounts)

    asked = Asked(context.engine, container.id, whole=is_new)
    found = asked.at(changes)
    deleted = {path for path, kind in changes.items() if kind is ChangeKind.DELETED}
    sockets = {  # of which no tar knows; or it went away meanwhile
        path for path in changes.keys() - found.keys() - asked.unanswered if path and _MANGLED not in path
    }
    layer = Layer(
        things={path: thing for path, thing in found.items() if path in changes or encodable(path) in changes},
        gone=frozenset(deleted - found.keys()) | sockets,
        opaque=frozenset(deleted & found.keys()),  # it was made anew
    )
    shown = {encodable(path) for path in layer.things}
    mangled = {path for path in changes if _MANGLED in path and path not in shown}
    unanswered = tuple(sorted(asked.unanswered | mangled))
    return Work(ground=ground, layer=layer, digests=asked.digests, unanswered=unanswered)
