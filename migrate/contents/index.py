"""What a folder holds at a moment, and how that differs from what it held before.

What proves that a file is the one that was read: its inode and its ctime, which nobody can set back. A page that is
written through a shared mapping changes no time while it is dirty, so the filesystem is synced first: the next write
must set the ctime then. A change within the clock's grain shows in no time either: what changed that shortly before a
look counts as changed after it.
"""

import ctypes
import errno
import os
import stat
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bottle.files import tree
from bottle.trees.index import certain_from

GRAIN = 20_000_000  # nanoseconds; the kernel takes the times of files from a clock that ticks no slower (CONFIG_HZ=100)
_TRIES = 4
_KINDS = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """What tells a file from what it was before. `mode` is with the type; times are in nanoseconds."""

    mode: int
    device: int
    inode: int
    size: int
    mtime: int
    ctime: int

    @classmethod
    def of(cls, facts: os.stat_result) -> "IndexEntry":
        """That of a file."""
        size = 0 if stat.S_ISDIR(facts.st_mode) else facts.st_size
        return cls(facts.st_mode, facts.st_dev, facts.st_ino, size, facts.st_mtime_ns, facts.st_ctime_ns)

    @property
    def kind(self) -> int:
        """The type, as `stat.S_IFMT` gives it."""
        return stat.S_IFMT(self.mode)

    @property
    def is_folder(self) -> bool:
        """Whether others can be below it."""
        return self.kind == stat.S_IFDIR

    @property
    def is_closed(self) -> bool:
        """Whether it is a folder that its owner may not write in."""
        return self.is_folder and self.mode & stat.S_IRWXU != stat.S_IRWXU

    @property
    def has_content(self) -> bool:
        """Whether it travels: sockets, fifos and devices do not."""
        return self.kind in _KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """All of a folder by relative path, `.` for the folder itself. It was looked at from `begun` to `ended`, in ns."""

    begun: int
    ended: int
    entries: Mapping[str, IndexEntry]

    def is_doubtful(self, entry: IndexEntry) -> bool:
        """Whether a file may have changed after it was looked at, and show the same times.

        One whose time is yet to come, from a clock that was wrong, may not: whoever changes it sets that to now.
        """
        return self.begun - GRAIN <= certain_from(entry.ctime) and entry.ctime <= self.ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """What makes of an older tree the newer one: take `removed` away, with all that is below, then put `changed` there.

    `changed` are files, links, and folders without what is in them, parents first. `closed` are folders in which
    something changes, though nobody may write in them. `edited` is, of all that, what somebody did: without what only
    may have changed, and what goes along, such as a folder whose time is put back.
    """

    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changed or self.removed)


def compare(before: Index, after: Index) -> Delta:
    """How `after` differs from what was read since `before` was begun; in all, where the clock went back."""
    old, new = before.entries, after.entries
    went_back = after.begun < before.ended
    visible = {path for path, entry in new.items() if old.get(path) != entry and _counts(entry, old.get(path))}
    differing = visible | {
        path for path, entry in new.items() if entry.has_content and (went_back or before.is_doubtful(entry))
    }
    differing |= _other_names(differing, new)  # also of one that changed between the looks at two of its names
    gone = {path for path in old.keys() - new.keys() if old[path].has_content}
    replaced = {path for path in differing & old.keys() if old[path].kind != new[path].kind}
    # What is done in a folder changes its time, which is then put back.
    around = {_parent(path) for path in differing | gone if path != "."} & new.keys()
    changed = {path for path in differing | around if new[path].has_content}
    files = {path for path in visible | gone if not (new.get(path) or old[path]).is_folder}
    return Delta(
        changed=tuple(sorted(changed, key=_parts)),
        removed=tuple(_topmost(gone | replaced)),
        closed=tuple(sorted(path for path in around & old.keys() if old[path].is_closed)),
        edited=tuple(sorted(files or visible | gone)),
    )


def reconcile(delta: Delta, packed: Mapping[str, int], index: Index) -> Delta:
    """`delta` for a copy that has what was `packed`, by path and type (`stat.S_IFMT`), and is to be what `index` says.

    That may never have been there when it was looked at: a link that stood in the place of a folder while that was
    packed, a file that came and went, a folder that was elsewhere for a moment.
    """
    now = {path: entry for path, entry in index.entries.items() if entry.has_content}
    stale = {path for path, kind in packed.items() if path not in now or now[path].kind != kind}
    lacking = {path for path, entry in now.items() if packed.get(path) != entry.kind}
    if not stale and not lacking:
        return delta
    around = {_parent(path) for path in stale | lacking} & {path for path, entry in now.items() if entry.is_folder}
    changed = lacking | _other_names(lacking, now) | around | set(delta.changed)
    opened = {path for path in around if packed.get(path) == stat.S_IFDIR}  # with which rights, nobody knows
    return Delta(
        changed=tuple(sorted(changed, key=_parts)),
        removed=tuple(_topmost(stale | set(delta.removed))),
        closed=tuple(sorted(opened | set(delta.closed))),
        edited=tuple(sorted({*stale, *lacking, *delta.edited})),
    )


def difference(differing: Collection[str], there: Mapping[str, int], index: Index) -> Delta:
    """What makes of another tree what `index` says, where the paths `differing` are not in both as they are here.

    `there` has the kinds, as `stat.S_IFMT` gives them, of those that are in the other one.
    """
    now = {path: entry for path, entry in index.entries.items() if entry.has_content}
    stale = {path for path, kind in there.items() if path not in now or now[path].kind != kind}
    lacking = now.keys() & differing
    around = {_parent(path) for path in stale | lacking if path != "."} & {path for path in now if now[path].is_folder}
    changed = lacking | _other_names(lacking, now) | around
    return Delta(
        changed=tuple(sorted(changed, key=_parts)),
        removed=tuple(_topmost(stale)),
        closed=tuple(sorted(around)),  # with which rights they are there, nobody asks
    )


def edited_since(index: Index, moment: int) -> tuple[str, ...]:
    """What may have been changed after `moment`, in nanoseconds; of folders only those where something may be gone."""
    found = {
        path
        for path, entry in index.entries.items()
        if entry.has_content and moment - GRAIN <= certain_from(entry.ctime) and entry.ctime <= index.ended
    }
    explained = {_parent(path) for path in found if path != "."}
    return tuple(sorted(path for path in found if not index.entries[path].is_folder or path not in explained))


def _counts(entry: IndexEntry, earlier: IndexEntry | None) -> bool:
    return entry.has_content or (earlier is not None and earlier.has_content)


def _other_names(paths: Collection[str], entries: Mapping[str, IndexEntry]) -> set[str]:
    """All names of the files at `paths`: they stay together."""
    inodes = {_inode(entries[path]) for path in paths if not entries[path].is_folder}
    return {path for path, entry in entries.items() if not entry.is_folder and _inode(entry) in inodes}


def _inode(entry: IndexEntry) -> tuple[int, int]:
    return entry.device, entry.inode


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _parts(path: str) -> tuple[str, ...]:
    """Sorts a folder ahead of all that is in it."""
    return () if path == "." else tuple(path.split("/"))


def _topmost(paths: set[str]) -> Iterator[str]:
    """Those that are below no other, sorted."""
    last: tuple[str, ...] | None = None
    for path in sorted(paths, key=_parts):
        parts = _parts(path)
        if last is None or parts[: len(last)] != last:
            last = parts
            yield path


def look(folder: Path, leave_out: frozenset[str] = frozenset()) -> Index:
    """What is in a folder now, but for the relative paths in `leave_out`. What vanishes meanwhile is not in it.

    Raises OSError where something cannot be looked at.
    """
    for _ in range(_TRIES):
        try:
            return _look(folder, leave_out)
        except OSError as exc:
            if exc.errno != errno.ESTALE:  # a folder was moved while the walk was in it
                raise
    return _look(folder, leave_out)


def _look(folder: Path, leave_out: frozenset[str]) -> Index:
    begun = time.time_ns()
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _write_back(top)
        entries = {".": IndexEntry.of(os.fstat(top))}
        found = tree.walk(top, lost=tree.ignore_gone, entered=lambda node: node.path not in leave_out)
        entries.update((node.path, IndexEntry.of(node.facts)) for node in found if node.path not in leave_out)
    finally:
        os.close(top)
    return Index(begun=begun, ended=time.time_ns(), entries=entries)


def _write_back(descriptor: int) -> None:
    """Have the filesystem of an open file write what is dirty, and protect it: the next write sets the times."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
    elif syncfs(descriptor) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
