"""Trees of files of any depth: walked, read, written and removed by descriptor, with no recursion and no long path.

A path of more than PATH_MAX (4,096) bytes cannot be opened by name, though every step on its way can; and Python's own
walks recurse, to about 1,000 folders. No symlink is followed here, and a folder that somebody moves away meanwhile is
an error, never another folder.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from bottle.files.descent import OPEN_FOLDER, Descent
from bottle.files.regular import OPEN_FILE, open_regular_in

_HANDLE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC  # to a folder that may not be read, too
_VANISHED = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


@dataclass(frozen=True, slots=True)
class Node:
    """Something in a tree. `path` is relative to the top, in posix form; `facts` are those of lstat.

    `folder` is a descriptor of the folder that it is in, open until the walk goes on.
    """

    path: str
    name: str
    folder: int
    facts: os.stat_result

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, and no link to one."""
        return stat.S_ISDIR(self.facts.st_mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.facts.st_mode)

    @property
    def is_symlink(self) -> bool:
        """Whether it is a symlink."""
        return stat.S_ISLNK(self.facts.st_mode)

    @property
    def identity(self) -> tuple[int, int]:
        """What all names of one file have in common, and no other file."""
        return self.facts.st_dev, self.facts.st_ino

    def open(self) -> BinaryIO:
        """The content of a file."""
        try:
            return open_regular_in(self.folder, self.name)
        except OSError as exc:
            raise OSError(exc.errno, exc.strerror, self.path) from exc

    def target(self) -> str:
        """What a symlink says."""
        return os.readlink(self.name, dir_fd=self.folder)

    def attributes(self) -> tuple[str, ...]:
        """The names of its extended attributes, ACLs among them; none where the filesystem has none."""
        try:
            # There is no listxattrat: the descriptor's own entry in /proc is a short path to the folder.
            return tuple(os.listxattr(f"/proc/self/fd/{self.folder}/{self.name}", follow_symlinks=False))
        except OSError as exc:
            if exc.errno in {errno.ENOTSUP, errno.ENOSYS}:
                return ()
            raise


def raise_it(path: str, error: OSError) -> None:
    """What a walk does with a path that cannot be looked at, unless it is told otherwise."""
    raise OSError(error.errno, error.strerror, path) from error


def ignore_it(_: str, __: OSError) -> None:
    """For walks that make do with what they see: what cannot be looked at, or has just vanished, is left out."""


def ignore_gone(path: str, error: OSError) -> None:
    """For walks where others work meanwhile: what has just vanished, or is something else now, is left out."""
    if error.errno not in _VANISHED:
        raise_it(path, error)


def walk(
    top: Path | int,
    *,
    lost: Callable[[str, OSError], None] = raise_it,
    entered: Callable[[Node], bool] = lambda _: True,
) -> Iterator[Node]:
    """All that is below folder `top`, parents first, names sorted; a folder's content only if it is to be `entered`.

    `top` may be a link to a folder, or a descriptor, which stays open. `lost` is told of each path that cannot be
    looked at; by default the error is raised.
    """
    try:
        descent = Descent(top)
    except OSError as exc:
        lost("", exc)
        return
    with descent:
        ahead = [_names(descent, "", lost)]
        path = ""
        while ahead:
            name = next(ahead[-1], None)
            if name is None:
                ahead.pop()
                if ahead and not _try(lost, path, descent.up):
                    return  # where the rest of it is cannot be known
                path = path.rpartition("/")[0]
                continue
            node = _look(descent, path, name, lost)
            if node is None:
                continue
            yield node
            if node.is_folder and entered(node) and _try(lost, node.path, partial(descent.down, name)):
                path = node.path
                ahead.append(_names(descent, path, lost))


def _look(descent: Descent, path: str, name: str, lost: Callable[[str, OSError], None]) -> Node | None:
    """What is called `name` in the folder that a descent stands in, at `path`."""
    here = f"{path}/{name}" if path else name
    try:
        facts = os.stat(name, dir_fd=descent.folder, follow_symlinks=False)
    except OSError as exc:
        lost(here, exc)
        return None
    return Node(here, name, descent.folder, facts)


def remove(top: Path, *, lost: Callable[[str, OSError], None] = raise_it) -> None:
    """Delete `top` with all that is below it, whatever it is. `lost` is told of what cannot be deleted.

    Folders of this user's that may not be written, as Go's module cache is full of, go too.
    """
    try:
        if not stat.S_ISDIR(top.lstat().st_mode):
            top.unlink()
            return
        _open_up(top)
        descent = Descent(top, link=False)
    except OSError as exc:
        lost("", exc)
        return
    with descent:
        way: list[str] = []
        ahead = [_emptied(descent, lost)]
        while True:
            if ahead[-1]:
                name = ahead[-1].pop()
                try:
                    _open_up(name, descent.folder)
                    descent.down(name)
                except OSError as exc:
                    lost(name, exc)
                    continue
                way.append(name)
                ahead.append(_emptied(descent, lost))
                continue
            ahead.pop()
            if not ahead:
                break
            descent.up()
            _try(lost, way[-1], lambda: os.rmdir(way.pop(), dir_fd=descent.folder))
    _try(lost, "", top.rmdir)


def discard(top: Path) -> None:
    """Delete `top` as far as possible; gone already is fine. For what is garbage, and is found again as such."""
    remove(top, lost=ignore_it)


def sync(top: Path) -> None:
    """Make every file and name below folder `top` survive a power cut."""
    descriptor = os.open(top, OPEN_FOLDER)
    try:
        for node in walk(descriptor):
            if node.is_file or node.is_folder:
                _sync(node)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Extent:
    """Apparent bytes of all files of a tree, one with several names once, its longest path, and what is in it.

    `entries` is how many that are, `names` how many bytes their paths have in all.
    """

    size: int = 0
    longest: str = ""
    entries: int = 0
    names: int = 0


def measure(top: Path) -> Extent:
    """The extent of what is below `top`; what cannot be looked at, or vanishes meanwhile, counts nothing."""
    seen: set[tuple[int, int]] = set()
    total, longest, entries, names = 0, "", 0, 0
    for node in walk(top, lost=ignore_it):
        entries += 1
        names += len(os.fsencode(node.path))
        longest = node.path if len(node.path) > len(longest) else longest
        if node.is_folder or (node.facts.st_nlink > 1 and node.identity in seen):
            continue
        if node.facts.st_nlink > 1:
            seen.add(node.identity)
        total += node.facts.st_size
    return Extent(total, longest, entries, names)


def size_of(top: Path) -> int:
    """Apparent bytes of what is below `top`, as `measure` counts them."""
    return measure(top).size


def top_down(path: str) -> str:
    """What to sort paths by, so that a folder comes before what is in it, neighbours together, and the top first."""
    return "" if path == "." else path


def _names(descent: Descent, path: str, lost: Callable[[str, OSError], None]) -> Iterator[str]:
    try:
        with os.scandir(descent.folder) as entries:
            return iter(sorted(entry.name for entry in entries))
    except OSError as exc:
        lost(path, exc)
        return iter(())


def _open_up(folder: str | Path, above: int | None = None) -> None:
    """Give a folder of this user's, which is to be emptied, the rights that this takes."""
    handle = os.open(folder, _HANDLE, dir_fd=above)
    try:
        facts = os.fstat(handle)
        if facts.st_uid == os.geteuid() and ~facts.st_mode & stat.S_IRWXU:
            # There is no fchmod of such a handle: its own entry in /proc is a path to the folder, whatever its name is.
            Path(f"/proc/self/fd/{handle}").chmod(stat.S_IMODE(facts.st_mode) | stat.S_IRWXU)
    finally:
        os.close(handle)


def _emptied(descent: Descent, lost: Callable[[str, OSError], None]) -> list[str]:
    """Delete all but the folders of the folder that a descent stands in; the names of those."""
    folders: list[str] = []
    for name in _names(descent, "", lost):
        try:
            facts = os.stat(name, dir_fd=descent.folder, follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode):
                folders.append(name)
            else:
                os.unlink(name, dir_fd=descent.folder)
        except OSError as exc:
            lost(name, exc)
    return folders


def _try(lost: Callable[[str, OSError], None], path: str, do: Callable[[], None]) -> bool:
    """Whether it could be done; if not, that is told."""
    try:
        do()
    except OSError as exc:
        lost(path, exc)
        return False
    return True


def _sync(node: Node) -> None:
    descriptor = os.open(node.name, OPEN_FILE, dir_fd=node.folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
