"""To stand in one folder of a tree, at any depth, and to go down and up from there, following no symlink."""

import errno
import os
from pathlib import Path
from typing import Self

OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN = 32  # descriptors of folders on the way down that are kept; the others are found again by `..`


class Descent:
    """Stands in one folder of a tree. Only so many descriptors are open, however deep that is."""

    def __init__(self, top: Path | int, *, link: bool = True) -> None:
        if isinstance(top, int):
            self._open = [os.open(".", OPEN_FOLDER, dir_fd=top)]
        else:
            self._open = [os.open(top, OPEN_FOLDER & ~os.O_NOFOLLOW if link else OPEN_FOLDER)]
        self._way: list[tuple[int, int]] = []  # device and inode of each folder above this one
        self._here = self._identity()

    @property
    def folder(self) -> int:
        return self._open[-1]

    def down(self, name: str) -> None:
        self._open.append(os.open(name, OPEN_FOLDER, dir_fd=self.folder))
        self._way.append(self._here)
        self._here = self._identity()
        if len(self._open) > _OPEN:
            os.close(self._open.pop(0))

    def up(self) -> None:
        self._here = self._way.pop()
        if len(self._open) == 1:
            self._open.insert(0, os.open("..", OPEN_FOLDER, dir_fd=self.folder))
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
