"""What a delta will be, looked through before anything is read: how large, whether it can be a layer at all. Pure."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial

from bottle.errors import PreflightRefused
from bottle.files.paths import require_openable
from bottle.trees.delta import FolderDelta, layer_delta
from bottle.trees.index import Entry, Folder, sort_key
from bottle.trees.member import BLOCK, WHITEOUT, join

_AS_IT_WAS = "nothing was changed; the bottle goes on as it was"
_SHOWN = 5
_KEPT = 20_000  # names in a delta up to which it is kept in memory, rather than found again each time it is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two indexes, opened anew by each call, and from when on what `before` says is not certain.

    `linked` are inodes all of whose names count as changed. `size` are the bytes of the layer, but for long names and
    the like, `names` how many have changed or are gone, and `has_links` says whether a file in it has more than one
    name. `found` are the deltas if they are few. `sockets` are the paths of new sockets, as `FolderDelta` has them, and
    those `hiding` something count as gone.
    """

    before: Callable[[], Iterable[Folder]]
    after: Callable[[], Iterable[Folder]]
    synced_at: int
    linked: Set[int] = frozenset()
    size: int = 0
    names: int = 0
    has_links: bool = False
    found: tuple[FolderDelta, ...] | None = None
    sockets: tuple[bytes, ...] = ()
    hiding: Set[bytes] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether nothing has changed."""
        return self.names == 0

    def deltas(self) -> Iterator[FolderDelta]:
        """What has changed, as a layer says it: of new sockets, what they hide."""
        return _without_sockets(self.told(), self.hiding)

    def told(self) -> Iterator[FolderDelta]:
        """What has changed, as the indexes say it."""
        if self.found is not None:
            return iter(self.found)
        return layer_delta(self.before(), self.after(), self.synced_at, self.linked)


def _without_sockets(deltas: Iterable[FolderDelta], hiding: Set[bytes]) -> Iterator[FolderDelta]:
    for delta in deltas:
        if not delta.sockets:
            yield delta
            continue
        gone = (name for name in delta.sockets if join(delta.path, name) in hiding)
        left = replace(delta, gone=tuple(sorted((*delta.gone, *gone))), sockets=())
        if left.says_something:
            yield left


def surveyed(comparison: Comparison) -> Comparison:
    """Look through what has changed. Raises PreflightRefused for names that no layer can carry, or TreeUnfit.

    Moving a folder leaves the files in it as they are, and so may change some names of a file and not the others: they
    are all told then, for a hard link leads to nothing that is not in its layer.
    """
    missing: dict[int, int] = {}
    size, count, has_links = 0, 0, False
    reserved: list[bytes] = []
    sockets: list[bytes] = []
    found: list[FolderDelta] = []
    for delta in comparison.told():
        count += 1 + len(delta.gone) + len(delta.leaves)
        if count <= _KEPT:
            found.append(delta)
        names = [leaf.name for leaf in delta.leaves]
        if delta.entry is not None and delta.entry.name.startswith(WHITEOUT):
            reserved.append(delta.path)
        reserved += [join(delta.path, name) for name in names if name.startswith(WHITEOUT)]
        sockets += [join(delta.path, name) for name in delta.sockets]
        require_openable(os.fsdecode(delta.path), "the container", left=_AS_IT_WAS)
        for leaf in delta.leaves:
            if leaf.inode not in missing:
                size += BLOCK * (1 - -leaf.size // BLOCK)  # its header, and its content in whole blocks
            if leaf.is_linked:
                has_links = True
                missing[leaf.inode] = missing.get(leaf.inode, leaf.links) - 1
    refuse_marks([os.fsdecode(b"/" + path) for path in reserved])
    linked = {inode for inode, names in missing.items() if names}
    few = tuple(found) if count <= _KEPT and not linked else None
    return replace(
        comparison,
        linked=linked,
        size=size,
        names=count,
        has_links=has_links,
        found=few,
        sockets=tuple(sockets),
    )


def without_links(deltas: Iterable[FolderDelta]) -> Iterator[FolderDelta]:
    """What of a delta may be cut into several layers."""
    for delta in deltas:
        if any(leaf.is_linked for leaf in delta.leaves):
            yield replace(delta, leaves=tuple(leaf for leaf in delta.leaves if not leaf.is_linked))
        else:
            yield delta


def links_only(deltas: Iterable[FolderDelta]) -> Iterator[FolderDelta]:
    """The files of a delta that have several names, and all folders."""
    for delta in deltas:
        leaves = tuple(leaf for leaf in delta.leaves if leaf.is_linked)
        yield replace(delta, opaque=False, gone=(), leaves=leaves)


def written_until(folders: Iterable[Folder], last: bytes, omitted: Set[tuple[bytes, bytes]]) -> Iterator[Folder]:
    """Of an index, what layers hold that were cut behind the folder `last`, and have no files with several names.

    They lack what was `omitted` when they were read, as `reader.Lost` has it.
    """
    lacking: dict[bytes, set[bytes]] = {}
    for path, name in omitted:
        lacking.setdefault(path, set()).add(name)
    for folder in folders:
        if sort_key(folder.path) > sort_key(last):
            return
        names = lacking.get(folder.path, set())
        if b"" not in names:
            yield folder.only(partial(_is_written, names))


def _is_written(lacking: Set[bytes], entry: Entry) -> bool:
    return not entry.is_linked and entry.name not in lacking


def refuse_marks(paths: Sequence[str]) -> None:
    """Refuse files, by absolute paths, whose names say "deleted" in a layer. Raises PreflightRefused for any."""
    # A file called so would make itself and another vanish, silently.
    if paths:
        raise PreflightRefused(
            f"files named .wh.* cannot be committed: Docker would take them for deletions: {', '.join(paths[:_SHOWN])}",
            left=_AS_IT_WAS,
            next_step="rename them inside the bottle, then commit again",
        )
