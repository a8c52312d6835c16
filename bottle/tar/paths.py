"""The paths that a tar names: which are safe, which fit together, and how long they may be. Pure."""

import posixpath
from typing import Generic, TypeVar

from bottle.errors import VerificationFailed

LONGEST_PATH = 1 << 16  # bytes of a path below a folder that travels; a tar repeats it for each entry
MOST_NAMES = 1 << 28  # bytes of all paths of one tree that travels: what has to be known of it is kept in memory

T = TypeVar("T")


def relative(name: str) -> str:
    """A member's name as a safe relative path. Raises VerificationFailed."""
    path = posixpath.normpath(name)
    if not name or "\0" in name or path.startswith("/") or ".." in path.split("/"):
        raise VerificationFailed(
            f"an archive holds a path that escapes: {name[:80]!r}", left="nothing was taken from it"
        )
    return path


class Paths(Generic[T]):
    """The paths that a tar has named so far, with what is there; the folders above each are among them.

    `what` is what the tar is called, `folder` what stands for a folder.
    """

    def __init__(self, what: str, folder: T) -> None:
        self._what = what
        self._folder = folder
        self._types: dict[str, T] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._types)

    def get(self, path: str) -> T | None:
        """What is at `path`, if anything."""
        return self._types.get(path)

    def put(self, path: str, type_: T) -> None:
        """One more. Raises VerificationFailed for what comes twice, or below what is no folder, or is too much."""
        if path in self._types and not type_ == self._types[path] == self._folder:
            raise VerificationFailed(f"{self._what} holds {path[:200]!r} twice")
        above = posixpath.dirname(path)
        while above and above not in self._types:  # what is above a known one is known too
            self._note(above, self._folder)
            above = posixpath.dirname(above)
        if above and self._types[above] != self._folder:
            raise VerificationFailed(f"{self._what} holds {path[:200]!r} below what is no folder")
        self._note(path, type_)

    def _note(self, path: str, type_: T) -> None:
        self._types[path] = type_
        self._size += len(path)
        if self._size > MOST_NAMES:
            raise VerificationFailed(f"{self._what} holds paths of more than {MOST_NAMES} bytes in all: {path[:80]!r}")
