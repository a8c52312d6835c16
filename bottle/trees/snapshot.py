"""One commit of a container's own folder on its way: indexed and read while it is written to, and while it is not.

What was read before counts only where the second index proves it unchanged. What is little is read all while the folder
is not written to: one index does then.
"""

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

from bottle.errors import TreeUnfit
from bottle.files.atomic import sync_folder, writing
from bottle.layers import NewLayer
from bottle.trees.delta import FolderDelta
from bottle.trees.index import Folder, Header, read_folders, read_header, write_index
from bottle.trees.member import join
from bottle.trees.reader import Lost
from bottle.trees.source import TreeReader
from bottle.trees.spool import LayerSpool, assembled, pieces, unnamed
from bottle.trees.survey import Comparison, links_only, surveyed, without_links, written_until

_CUT = 64 << 20  # bytes from which on a first commit is cut into pieces, so that the engine can begin early
_CUTS = (1 / 40, 3 / 40, 6 / 40, 9 / 40, 10 / 40)  # of it in the first ones, so that engine and line always have some
_LITTLE = 16 << 20, 1000  # bytes and names that are read while an agent is paused for the index in any case
_NEVER = 0  # nothing is older
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Index:
    """An index on disk, in a file that may have no name any more."""

    path: Path
    header: Header

    @classmethod
    def open(cls, path: Path) -> Self:
        """The index at a path. Raises OSError, or StateDamaged."""
        with path.open("rb") as file:
            return cls(path, read_header(file))

    def folders(self) -> Iterator[Folder]:
        """What it says. Raises StateDamaged."""
        with self.path.open("rb", buffering=1 << 20) as file:
            read_header(file)
            yield from read_folders(file)


class Snapshot:
    """One commit on its way: what is read of the container, in files without a name, and the layers made of it."""

    def __init__(
        self,
        reader: TreeReader,
        container: str,
        before: Index | None,
        scratch: Path,
        in_image: Callable[[Sequence[bytes]], Set[bytes]],
    ) -> None:
        """`reader` reads the folder of what container `container` has written; `before` is its index at a commit.

        `scratch` is a folder with room for what is read. `in_image` says at which of some paths the image has something
        that the container was made from; it is asked of new sockets, and not while the container is held still. Raises
        TreeUnfit where a folder does not tell of its changes.
        """
        if reader.filesystem() is None:
            raise TreeUnfit("the engine's folders are on a filesystem whose change times do not tell of every change")
        self._reader = reader
        self._before = before
        self._scratch = scratch
        self._in_image = in_image
        self._header = Header(container=container, place=str(reader.place), inode=reader.inode(), synced_at=0)
        self._open = ExitStack()
        self._spools: list[LayerSpool] = []
        self._lost = Lost()
        self._omitted: frozenset[tuple[bytes, bytes]] = frozenset()  # not read ahead
        self._written: bytes | None = None  # the last folder that is in a layer which the engine was given already
        self._ahead: Index | None = None
        self._changes: Comparison | None = None  # what was read ahead
        self._still: Index | None = None
        self._stood_still = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def is_first(self) -> bool:
        """Whether no earlier commit is known that this one could stand on: all there is has changed."""
        return self._before is None

    def read_at_once(self) -> bool:
        """Read what has changed since the commit that this one stands on, while nothing changes, if that is little.

        If it is not, nothing is read, and it is known already to `look_ahead`.
        """
        self._ahead = self._still = self._index(whole=True)
        self._changes = surveyed(self._since_before(self._still))
        most, names = _LITTLE
        self._stood_still = self._changes.size <= most and self._changes.names <= names
        if self._stood_still:
            self._read_all(self._changes)
        return self._stood_still

    def look_ahead(self) -> Comparison:
        """What has changed since the commit that this one stands on, while the agent goes on working."""
        if self._changes is None:
            self._ahead = self._index()
            self._changes = surveyed(self._since_before(self._ahead))
        return self._changes

    def read_ahead(self, changes: Comparison, give: Callable[[NewLayer, Callable[[], None]], None]) -> None:
        """Read that. Of a large first commit it is given away in several layers as soon as each is ready.

        Who is given one says when it is not needed any more.
        """
        is_cut = self._before is None and changes.size >= _CUT
        if is_cut:
            changes = self._settled(changes)
        plain = self._reader.members(without_links(changes.deltas()), self._lost)
        for piece in pieces(plain, self._scratch, [int(changes.size * part) for part in _CUTS] if is_cut else ()):
            self._open.callback(piece.spool.close)
            if is_cut and piece.spool.size:
                give(_finished(piece.spool), piece.spool.close)
                self._written = piece.last
            else:
                self._spools.append(piece.spool)
        if changes.has_links:
            self._read(links_only(changes.deltas()))
        self._omitted = frozenset(self._lost.omitted)

    def settle(self) -> None:
        """Have the filesystem write down what it holds, so that it has little to do when the agent is paused."""
        self._reader.sync()

    def read_still(self) -> None:
        """Read what has changed since then, while nothing changes."""
        assert self._ahead is not None
        self._still = self._index(whole=True)
        changes = surveyed(_comparison(self._ahead, self._still))
        self._stood_still = changes.is_empty
        if not self._stood_still:
            self._read_all(changes)

    def changed_meanwhile(self) -> tuple[str, ...]:
        """What was changed while `read_still` was at it: nothing, if all stood still."""
        assert self._still is not None
        changes = _comparison(self._still, self._index()).deltas()
        return tuple(_shown(delta.path, leaf.name) for delta in changes for leaf in delta.leaves)

    def last_layer(self) -> NewLayer | None:
        """The layer of all that no earlier one has; None where nothing has changed."""
        changes = self._settled(self._not_written())
        if next(changes.deltas(), None) is None:
            return None
        layer = self._open.enter_context(LayerSpool(self._scratch))
        for member in assembled(changes.deltas(), self._spools):
            layer.add(member)
        return _finished(layer)

    def sockets(self) -> tuple[str, ...]:
        """The sockets in the container, which no layer can hold."""
        assert self._still is not None
        return tuple(
            _shown(folder.path, entry.name)
            for folder in self._still.folders()
            if folder.has_sockets
            for entry in folder.entries()
            if entry.is_socket
        )

    def flagged(self) -> Mapping[str, tuple[str, ...]]:
        """The flags of what was read and is in the commit, by path, which no layer can hold."""
        lost = self._lost.flagged
        return {path: lost[inode] for path, inode in self._lacking() if inode in lost}

    def sparse(self) -> tuple[str, ...]:
        """What was read of sparse files, and is in the commit with their holes written out."""
        return tuple(path for path, inode in self._lacking() if inode in self._lost.sparse)

    def _lacking(self) -> Iterator[tuple[str, int]]:
        assert self._still is not None
        return ((os.fsdecode(b"/" + path), inode) for path, inode in self._lost.still_there(self._still.folders()))

    def written(self) -> int:
        """Bytes that the container has written since it was made."""
        assert self._still is not None
        return sum(folder.size for folder in self._still.folders())

    def keep_index(self, path: Path, diff_ids: tuple[str, ...]) -> None:
        """Keep what the container holds, as that of an image with these layers, at `path`. Raises StateDamaged."""
        assert self._still is not None
        write_beside(path, self._still.header.of(diff_ids), self._still.folders())

    def _index(self, *, whole: bool = False) -> Index:
        """What the container holds now. Raises TreeUnfit where folders are moved away again and again meanwhile."""
        for _ in range(_TRIES):
            file = self._open.enter_context(unnamed(self._scratch))
            header = replace(self._header, synced_at=self._reader.sync())
            try:
                write_index(file, header, self._reader.folders(whole=whole))
            except OSError as exc:
                if exc.errno != errno.ESTALE:
                    raise
                continue
            file.flush()
            return Index(Path(f"/proc/self/fd/{file.fileno()}"), header)
        raise TreeUnfit("folders are moved away again and again while they are looked at")

    def _not_written(self) -> Comparison:
        """What has changed since the commit that this one stands on, but for what the engine was given."""
        assert self._ahead is not None
        assert self._changes is not None
        assert self._still is not None
        if self._written is not None:
            written = partial(_written, self._ahead, self._written, self._omitted)
            return surveyed(replace(_comparison(self._ahead, self._still), before=written))
        return self._changes if self._stood_still else surveyed(self._since_before(self._still))

    def _settled(self, changes: Comparison) -> Comparison:
        """The same, once it is known what the new sockets hide."""
        return replace(changes, hiding=self._in_image(changes.sockets)) if changes.sockets else changes

    def _since_before(self, now: Index) -> Comparison:
        if self._before is None:
            return Comparison(before=tuple, after=now.folders, synced_at=_NEVER)
        return _comparison(self._before, now)

    def _read_all(self, changes: Comparison) -> None:
        """Read what counts before all that was read ahead. Raises TreeUnfit where something moves all the same."""
        self._lost.omitted.clear()
        self._read(changes.deltas())
        self._spools.insert(0, self._spools.pop())
        if self._lost.omitted:
            raise TreeUnfit("files were moved away while they were read")

    def _read(self, deltas: Iterable[FolderDelta]) -> None:
        spool = self._open.enter_context(LayerSpool(self._scratch))
        for member in self._reader.members(deltas, self._lost):
            spool.add(member)
        self._spools.append(spool)


def _comparison(before: Index, after: Index) -> Comparison:
    """Where the clock has gone back in between, everything counts as changed."""
    went_back = after.header.synced_at < before.header.synced_at
    return Comparison(
        before=before.folders, after=after.folders, synced_at=_NEVER if went_back else before.header.synced_at
    )


def _shown(folder: bytes, name: bytes) -> str:
    return os.fsdecode(b"/" + join(folder, name))


def _written(index: Index, last: bytes, omitted: Set[tuple[bytes, bytes]]) -> Iterator[Folder]:
    return written_until(index.folders(), last, omitted)


def _finished(spool: LayerSpool) -> NewLayer:
    spool.finish()
    return NewLayer(diff_id=spool.diff_id, size=spool.size, path=spool.path)


def write_beside(path: Path, header: Header, folders: Iterable[Folder]) -> None:
    """Write an index that is the old one or the new one, whole. Raises StateDamaged."""
    temporary = path.with_name(f".{path.name}.tmp")
    with writing(path):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with open(temporary, "wb", buffering=1 << 20, opener=_private) as file:
            write_index(file, header, folders)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
