"""From two indexes of a container's own layer, what a new layer says that stands on the image of the first. Pure.

What is new and what was deleted is told of overlay's upper folder, whose marks are relative to the image that the
container was made from; the layer stands on what was committed since. So a whiteout is one only where something was
before, and a folder that was removed and made anew hides what the bottle's own layers have there. No layer holds a
socket, so what a new one is in the place of is gone; of what the image has there, no index tells.

What is the same has the same inode and ctime, and a ctime from before the `synced_at` of the first index: mtimes can be
set back, and ctimes cannot.
"""

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from itertools import filterfalse

from bottle.errors import TreeUnfit
from bottle.trees.index import Entry, Folder, certain_from, is_within, sort_key, unpack


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderDelta:
    """What a layer says of one folder, and of what is in it but for folders, which have their own.

    `entry` is the folder itself, None for the top. `opaque`: nothing that lies below it shows. `gone` are the names of
    what was deleted in it, `leaves` what is new or changed. `sockets` are the names of new sockets that may hide
    something of the image that the container was made from: what it has there is gone too.
    """

    path: bytes
    entry: Entry | None
    opaque: bool = False
    gone: tuple[bytes, ...] = ()
    leaves: tuple[Entry, ...] = ()
    sockets: tuple[bytes, ...] = ()

    @property
    def says_something(self) -> bool:
        """Whether a layer holds anything of it."""
        return self.entry is not None or self.opaque or bool(self.gone or self.leaves)


def layer_delta(
    before: Iterable[Folder], after: Iterable[Folder], synced_at: int, linked: Set[int] = frozenset()
) -> Iterator[FolderDelta]:
    """What has changed from index `before` to `after`, parents first, each with all folders on the way to it.

    `synced_at` is that of `before`. The names of the inodes `linked` count as changed. Raises TreeUnfit where no layer
    can say what has happened.
    """
    old = _Ordered(before)
    way: list[_Level] = []
    for folder in after:
        while way and not is_within(folder.path, way[-1].folder.path):
            way.pop()
        level = _entered(way[-1] if way else None, folder, old.at(folder.path), synced_at, linked)
        way.append(level)
        if level.is_told:
            yield from _told(way)
    old.finish()


@dataclass(slots=True)
class _Level:
    """A folder on the way to the one in hand. `anew`: its folders that are not those of before, and what was there.

    `sealed`: nothing shows in it of what the image has that the container was made from.
    """

    folder: Folder
    entry: Entry | None
    opaque: bool
    covered: bool
    sealed: bool
    changed: bool
    gone: tuple[bytes, ...] = ()
    leaves: tuple[Entry, ...] = ()
    sockets: tuple[bytes, ...] = ()
    was_told: bool = False
    fresh: bool = False
    anew: dict[bytes, bool] = field(default_factory=dict)
    touched: set[bytes] = field(default_factory=set)
    folders: dict[bytes, Entry] | None = None

    @property
    def is_told(self) -> bool:
        """Whether the layer says something of it, whatever is below it."""
        return self.changed or self.opaque or bool(self.gone or self.leaves or self.sockets)

    def folder_entry(self, name: bytes) -> Entry:
        if self.folders is None:
            self.folders = {each.name: each for each in self.folder.entries() if each.is_folder}
        return self.folders[name]


def _told(way: list[_Level]) -> Iterator[FolderDelta]:
    """The last folder of the way, and those on the way that were not told yet."""
    for above, level in zip((None, *way), way, strict=False):
        if level.was_told:
            continue
        if above is not None and level.entry is None:
            level.entry = above.folder_entry(level.folder.path.rpartition(b"/")[2])
        level.was_told = True
        yield FolderDelta(
            path=level.folder.path,
            entry=level.entry,
            opaque=level.opaque,
            gone=level.gone,
            leaves=level.leaves,
            sockets=level.sockets,
        )


def _entered(above: _Level | None, folder: Folder, old: Folder | None, synced_at: int, linked: Set[int]) -> _Level:
    """One more folder on the way, compared with what it was."""
    name = folder.path.rpartition(b"/")[2]
    fresh = above is not None and (above.fresh or name in above.anew)
    replaces = above is not None and not above.fresh and above.anew.get(name, False)
    if old is None or fresh or (folder.opaque and not old.opaque):
        old, fresh = None, True
    covered = above is not None and above.covered
    opaque = fresh and (folder.opaque or replaces) and not covered
    level = _Level(
        folder=folder,
        entry=None,
        opaque=opaque,
        covered=covered or opaque,
        sealed=opaque or folder.opaque or (above is not None and above.sealed),
        changed=above is not None and (fresh or name in above.touched),
        fresh=fresh,
    )
    if old is not None and old.data == folder.data and old.newest < synced_at and not linked:
        return level
    _compare(level, old, synced_at, linked)
    return level


def _compare(level: _Level, old: Folder | None, synced_at: int, linked: Set[int]) -> None:
    """Find what in a folder is new, changed or gone."""
    before, after = list(old.packed()) if old is not None else [], list(level.folder.packed())
    is_certain = old is not None and old.newest < synced_at and not linked
    same = set(before).intersection(after) if is_certain else frozenset[bytes]()
    left = {each.name: each for each in map(unpack, filterfalse(same.__contains__, before))}
    gone, leaves, sockets = [], [], []
    for now in map(unpack, filterfalse(same.__contains__, after)):
        was = left.pop(now.name, None)
        if was is not None and was.is_socket:
            if now.is_socket:
                continue
            was = None
        if now.is_socket and was is None:
            sockets.append(now.name)
        elif now.is_socket or now.is_whiteout:
            if was is None or not was.is_whiteout:
                gone.append(now.name)
        elif now.is_folder:
            _compare_folder(level, was, now, synced_at)
        elif was != now or certain_from(now.ctime) >= synced_at or now.inode in linked:
            leaves.append(now)
    for name, was in left.items():
        if was.is_whiteout and not level.folder.opaque:
            raise TreeUnfit("something that was deleted shows again, though nobody has written it")
        if not was.is_whiteout and not was.is_socket:
            gone.append(name)
    level.gone = () if level.covered else tuple(sorted(gone))
    level.leaves = tuple(leaves)
    level.sockets = () if level.sealed else tuple(sockets)


def _compare_folder(level: _Level, was: Entry | None, now: Entry, synced_at: int) -> None:
    if was is None or not was.is_folder or was.inode != now.inode:
        level.anew[now.name] = was is not None
    elif was != now or certain_from(now.ctime) >= synced_at:
        level.touched.add(now.name)


class _Ordered:
    """The folders of an index, asked for in their order."""

    def __init__(self, folders: Iterable[Folder]) -> None:
        self._folders = iter(folders)
        self._next = next(self._folders, None)

    def at(self, path: bytes) -> Folder | None:
        """The folder at `path`, if there is one; those before it are passed over."""
        wanted = sort_key(path)
        while self._next is not None and sort_key(self._next.path) < wanted:
            self._next = next(self._folders, None)
        if self._next is None or self._next.path != path:
            return None
        found, self._next = self._next, next(self._folders, None)
        return found

    def finish(self) -> None:
        """Read to the end, where what is damaged is found."""
        for _ in self._folders:
            pass
