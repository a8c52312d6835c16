"""Who reads a folder that a container writes into: this process, where it may, or somebody who does it for this one."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from bottle.trees import walk
from bottle.trees.delta import FolderDelta
from bottle.trees.index import Folder
from bottle.trees.reader import Lost, Member, members


class TreeReader(Protocol):
    """A folder on the engine's machine, and what a commit asks of it. All raise TreeUnfit or OSError."""

    @property
    def place(self) -> Path:
        """Where it is, on the engine's machine."""

    @property
    def way(self) -> str:
        """By whom it is read, as a rest of a sentence; empty where it is this process."""

    def inode(self) -> int:
        """The number of the folder itself, by which it is known again."""

    def filesystem(self) -> str | None:
        """As `walk.filesystem`."""

    def sync(self) -> int:
        """As `walk.sync`."""

    def folders(self, *, whole: bool = False) -> Iterator[Folder]:
        """As `walk.folders`."""

    def members(self, deltas: Iterable[FolderDelta], lost: Lost) -> Iterator[Member]:
        """As `reader.members`; `lost` has it all once the last one was read."""


class DirectReader:
    """Implements `TreeReader` in this process."""

    way = ""

    def __init__(self, place: Path) -> None:
        self.place = place

    def inode(self) -> int:
        """As `TreeReader.inode`."""
        return self.place.stat().st_ino

    def filesystem(self) -> str | None:
        """As `TreeReader.filesystem`."""
        return walk.filesystem(self.place)

    def sync(self) -> int:
        """As `TreeReader.sync`."""
        return walk.sync(self.place)

    def folders(self, *, whole: bool = False) -> Iterator[Folder]:
        """As `TreeReader.folders`."""
        return walk.folders(self.place, whole=whole)

    def members(self, deltas: Iterable[FolderDelta], lost: Lost) -> Iterator[Member]:
        """As `TreeReader.members`."""
        return members(self.place, deltas, lost)


def can_read(place: Path) -> bool:
    """Whether this process may look into a folder of the engine's, and is shown all that overlay notes there."""
    effective = os.access in os.supports_effective_ids
    return walk.shows_marks() and os.access(place, os.R_OK | os.X_OK, effective_ids=effective)
