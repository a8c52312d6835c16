"""A tree of files that is open: read and written by relative paths, at any depth."""

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self

from bottle.files.descent import Descent
from bottle.files.regular import open_regular_in

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class OpenTree:
    """A folder that is open, and all that is below it, by relative paths as `Node` has them; `.` is the folder.

    Neighbours in turn are cheap, at any depth: the way from one to the next is all that is walked. Parents that are
    missing are made, of this user alone.
    """

    def __init__(self, top: Path) -> None:
        self._descent = Descent(top)
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

    def open(self, path: str, *, buffering: int = -1) -> BinaryIO:
        """The content of a file. `buffering` is that of the function `open`: 0 is the quick way to many small files."""
        folder, _, name = path.rpartition("/")
        return open_regular_in(self.folder(folder), name, buffering=buffering)

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


def _is_within(path: str, folder: str) -> bool:
    return path == folder or (len(path) > len(folder) and path.startswith(folder) and path[len(folder)] == "/")
