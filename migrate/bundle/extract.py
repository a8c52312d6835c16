"""Put a checked tar of a bundle onto the disk: into a new folder that nobody else may enter, through no link."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from bottle.files.atomic import cannot_write
from bottle.files.opentree import OpenTree
from bottle.files.tree import top_down
from migrate.admission.tar_rules import Rules, admitted
from migrate.tar.entries import InnerTar, Item, ItemType

_SET_IDS = 0o6000


def receive_state(tar: InnerTar, folder: Path, rules: Rules, wanted: Callable[[str], bool]) -> None:
    """Write files and folders below the new `folder`, all of this user alone, leaving out those not `wanted`.

    Raises VerificationFailed, or StateDamaged where `folder` cannot be written.
    """
    with _Writing(folder) as writing:
        for item in admitted(tar, rules):
            if item.path == "." or not wanted(item.path):
                continue
            if item.type is ItemType.FOLDER:
                writing.folder(item.path)
            elif item.type is ItemType.HARDLINK:
                writing.link(item)
            else:
                writing.file(item, tar.data())


def receive_workspace(tar: InnerTar, folder: Path, rules: Rules) -> tuple[str, ...]:
    """Write everything below the new `folder` with its mode and time, and, for root, with its owner.

    Links are made last, so nothing is ever written through one. Files get no set-id bits, which would lend this host's
    users each other's rights; the paths of those that had some are returned.
    """
    lent: list[str] = []
    folders: list[Item] = []
    links: list[Item] = []
    with _Writing(folder) as writing:
        for item in admitted(tar, rules):
            match item.type:
                case ItemType.FOLDER:
                    writing.folder(item.path)
                    folders.append(item)
                case ItemType.SYMLINK:
                    links.append(item)
                case ItemType.HARDLINK:
                    writing.link(item)
                case _:
                    writing.file(item, tar.data())
                    writing.dress(item, item.mode & ~_SET_IDS)
                    lent += [item.path] if item.mode & _SET_IDS else []
        for item in links:
            writing.symlink(item)
        for item in sorted(folders, key=lambda item: top_down(item.path), reverse=True):
            writing.dress(item, item.mode)
    return tuple(lent)


class _Writing:
    """Writes below a folder, at any depth. What the operating system refuses becomes StateDamaged."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owners = os.geteuid() == 0

    def __enter__(self) -> "_Writing":
        try:
            self._below = OpenTree(self._folder)
        except OSError as exc:
            raise cannot_write(self._folder, exc) from exc
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._below.close()
        if isinstance(error, OSError):
            raise cannot_write(self._folder, error) from error

    def folder(self, path: str) -> None:
        self._below.folder(path, make=True)

    def file(self, item: Item, data: Iterator[bytes]) -> None:
        with self._below.create(item.path) as file:
            for piece in data:
                file.write(piece)

    def link(self, item: Item) -> None:
        self._below.link(item.path, item.link)

    def symlink(self, item: Item) -> None:
        self._below.symlink(item.path, item.link)
        self.dress(item, None)

    def dress(self, item: Item, mode: int | None) -> None:
        owner = (item.uid, item.gid) if self._owners else None
        self._below.dress(item.path, mode=mode, owner=owner, mtime_ns=int(item.mtime * 1_000_000_000))
