"""Where what is copied into a bottle, or out of one, comes to lie: the rules of `docker cp`. Pure.

https://docs.docker.com/reference/cli/docker/container/cp/
"""

import posixpath
from dataclasses import dataclass

from bottle.errors import UsageError
from bottle.tar.items import ItemType

CONTENTS = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is copied: its name, whether it is a folder, and whether only what is in that is meant, as `DIR/.` says."""

    name: str
    is_folder: bool
    contents: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """The folder that something is copied into, and what it is called there; CONTENTS where that is many things."""

    folder: str
    name: str

    @property
    def path(self) -> str:
        """Where it is then."""
        return posixpath.normpath(posixpath.join(self.folder, self.name))


def means_contents(path: str) -> bool:
    """Whether a folder called so is meant for what is in it: `.`, `DIR/.`, and the root, which has no name."""
    return posixpath.basename(path) == CONTENTS or path.strip("/") == ""


def landing(source: Source, place: str, there: ItemType | None) -> Landing:
    """Where `source` lands that is copied to `place`; `there` is what that is now, through links. Raises UsageError."""
    if there is ItemType.FOLDER:
        return Landing(folder=place, name=CONTENTS if source.is_folder and source.contents else source.name)
    if there is not None and source.is_folder:
        raise UsageError(f"{place} is a file, and a folder cannot be copied onto it", left="nothing was copied")
    if not source.is_folder and means_folder(place):
        what = "is no folder" if there is not None else "is not there"
        raise UsageError(f"{place} {what}, and a file is to be copied into it", left="nothing was copied")
    folder, name = posixpath.split(posixpath.normpath(place))
    return Landing(folder=folder or ".", name=name)


def means_folder(path: str) -> bool:
    """Whether a path can only be a folder's."""
    return path.endswith("/") or posixpath.basename(path) == CONTENTS
