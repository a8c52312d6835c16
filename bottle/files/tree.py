"""Trees of files of any depth: walked, read, written and removed by descriptor, with no recursion and no long path.

A path of more than PATH_MAX (4,096) bytes cannot be opened by name, though every step on its way can; and Python's own
walks recurse, to about 1,000 folders. No symlink is followed here, and a folder that somebody moves away meanwhile is
an error, never another folder.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from bottle.errors import PathTooLong
from bottle.text import shortened

# Bytes of a path that programs which open by name can reach, wherever below a folder of theirs it comes to lie:
# PATH_MAX less a name and what an engine's folders take. Docker leaves what is deeper out of its tars without a word.
OPENABLE = 3_500

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HANDLE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC  # to a folder that may not be read, too
_VANISHED = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
# Non-blocking: what was a file a moment ago may be a pipe now, and opening that would wait for a writer.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN = 32  # descriptors of folders on the way down that are kept; the others are found again by `..`


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
            return _reading(self.name, self.folder)
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
        descent = _Descent(top)
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
                try:
                    if ahead:
                        descent.up()
                except OSError as exc:
                    lost(path, exc)
                    return  # where the rest of it is cannot be known
                path = path.rpartition("/")[0]
                continue
            here = f"{path}/{name}" if path else name
            try:
                facts = os.stat(name, dir_fd=descent.folder, follow_symlinks=False)
            except OSError as exc:
                lost(here, exc)
                continue
            node = Node(here, name, descent.folder, facts)
            yield node
            if node.is_folder and entered(node):
                try:
                    descent.down(name)
                except OSError as exc:
                    lost(here, exc)
                    continue
                path = here
                ahead.append(_names(descent, path, lost))


def remove(top: Path, *, lost: Callable[[str, OSError], None] = raise_it) -> None:
    """Delete `top` with all that is below it, whatever it is. `lost` is told of what cannot be deleted.

    Folders of this user's that may not be written, as Go's module cache is full of, go too.
    """
    try:
        if not stat.S_ISDIR(top.lstat().st_mode):
            top.unlink()
            return
        _open_up(top)
        descent = _Descent(top, link=False)
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
    descriptor = os.open(top, _FOLDER)
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


def require_openable(path: str, what: str, *, left: str) -> None:
    """Refuse a path that programs which open by name may fail to reach. Raises PathTooLong."""
    if len(os.fsencode(path)) > OPENABLE:
        raise PathTooLong(
            f"{what} has a path of more than {OPENABLE} bytes, which Docker and tar cannot carry: {shortened(path)}",
            left=left,
            next_step="remove or rename some of the folders that lie in each other there",
        )


class Tree:
    """A folder that is open, and all that is below it, by relative paths as `Node` has them; `.` is the folder.

    Neighbours in turn are cheap, at any depth: the way from one to the next is all that is walked. Parents that are
    missing are made, of this user alone.
    """

    def __init__(self, top: Path) -> None:
        self._descent = _Descent(top)
        self._path = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the folder go."""
        self._descent.close()

    def folder(self, path: str, *, make: bool = False) -> int:
        """A descriptor of a folder, good until the next call of any kind."""
        path = "" if path == "." else path
        while self._path and not _is_within(path, self._path):
            self._descent.up()
            self._path = self._path.rpartition("/")[0]
        rest = path[len(self._path) :].lstrip("/")
        for name in rest.split("/") if rest else ():
            try:
                self._descent.down(name)
            except FileNotFoundError:
                if not make:
                    raise
                os.mkdir(name, 0o700, dir_fd=self._descent.folder)
                self._descent.down(name)
            self._path = f"{self._path}/{name}" if self._path else name
        return self._descent.folder

    def open(self, path: str) -> BinaryIO:
        """The content of a file."""
        folder, _, name = path.rpartition("/")
        return _reading(name, self.folder(folder))

    def create(self, path: str) -> BinaryIO:
        """A new file, of this user alone, to be written."""
        folder, _, name = path.rpartition("/")
        return os.fdopen(os.open(name, _CREATE, 0o600, dir_fd=self.folder(folder, make=True)), "wb")

    def clear(self, path: str) -> None:
        """Make room for something new: a file or a link goes. Raises OSError where there is a folder."""
        folder, _, name = path.rpartition("/")
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.folder(folder))

    def symlink(self, path: str, target: str) -> None:
        """A new symlink."""
        folder, _, name = path.rpartition("/")
        os.symlink(target, name, dir_fd=self.folder(folder, make=True))

    def link(self, path: str, original: str) -> None:
        """One more name for a file."""
        above, _, first = original.rpartition("/")
        source = os.dup(self.folder(above))
        try:
            folder, _, name = path.rpartition("/")
            at = self.folder(folder, make=True)
            os.link(first, name, src_dir_fd=source, dst_dir_fd=at, follow_symlinks=False)
        finally:
            os.close(source)

    def dress(self, path: str, *, mode: int | None, owner: tuple[int, int] | None, mtime_ns: int) -> None:
        """Give something its owner, its mode (a symlink has none) and its time, in this order."""
        folder, _, name = path.rpartition("/")
        if path == ".":
            folder, name = ".", "."
        at = self.folder(folder)
        if owner is not None:
            os.chown(name, *owner, dir_fd=at, follow_symlinks=False)
        if mode is not None:
            os.chmod(name, mode, dir_fd=at)
        os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=at, follow_symlinks=False)


class _Descent:
    """Stands in one folder of a tree. Only so many descriptors are open, however deep that is."""

    def __init__(self, top: Path | int, *, link: bool = True) -> None:
        if isinstance(top, int):
            self._open = [os.open(".", _FOLDER, dir_fd=top)]
        else:
            self._open = [os.open(top, _FOLDER & ~os.O_NOFOLLOW if link else _FOLDER)]
        self._way: list[tuple[int, int]] = []  # device and inode of each folder above this one
        self._here = self._identity()

    @property
    def folder(self) -> int:
        return self._open[-1]

    def down(self, name: str) -> None:
        self._open.append(os.open(name, _FOLDER, dir_fd=self.folder))
        self._way.append(self._here)
        self._here = self._identity()
        if len(self._open) > _OPEN:
            os.close(self._open.pop(0))

    def up(self) -> None:
        self._here = self._way.pop()
        if len(self._open) == 1:
            self._open.insert(0, os.open("..", _FOLDER, dir_fd=self.folder))
        os.close(self._open.pop())
        if self._identity() != self._here:
            raise OSError(errno.ESTALE, "a folder was moved away while it was looked at")

    def close(self) -> None:
        while self._open:
            os.close(self._open.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _identity(self) -> tuple[int, int]:
        facts = os.fstat(self.folder)
        return facts.st_dev, facts.st_ino


def _names(descent: _Descent, path: str, lost: Callable[[str, OSError], None]) -> Iterator[str]:
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


def _emptied(descent: _Descent, lost: Callable[[str, OSError], None]) -> list[str]:
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


def _try(lost: Callable[[str, OSError], None], path: str, do: Callable[[], None]) -> None:
    try:
        do()
    except OSError as exc:
        lost(path, exc)


def _is_within(path: str, folder: str) -> bool:
    return path == folder or (len(path) > len(folder) and path.startswith(folder) and path[len(folder)] == "/")


def _reading(name: str, folder: int) -> BinaryIO:
    descriptor = os.open(name, _READ, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", name)
    return os.fdopen(descriptor, "rb")


def _sync(node: Node) -> None:
    descriptor = os.open(node.name, _READ, dir_fd=node.folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
