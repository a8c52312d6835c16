"""Put a checked tar of a bundle onto the disk: into a new folder that nobody else may enter, through no link."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from bottle.atomic import cannot_write
from migrate.innertar import InnerTar, Item, ItemType
from migrate.scrutiny import Rules, Scrutiny

_SET_IDS = 0o6000


def receive_state(tar: InnerTar, folder: Path, rules: Rules, wanted: Callable[[str], bool]) -> None:
    """Write files and folders below the new `folder`, all of this user alone, leaving out those not `wanted`.

    Raises VerificationFailed, or StateDamaged where `folder` cannot be written.
    """
    with _Writing(folder) as writing:
        for item in _admitted(tar, rules):
            if item.path == "." or not wanted(item.path):
                continue
            if item.type is ItemType.FOLDER:
                writing.folder(item.path)
            elif item.type is ItemType.HARDLINK:
                writing.copy(item)
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
        for item in _admitted(tar, rules):
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
        for item in sorted(folders, key=lambda item: item.path.count("/") if item.path != "." else -1, reverse=True):
            writing.dress(item, item.mode)
    return tuple(lent)


def _admitted(tar: InnerTar, rules: Rules) -> Iterator[Item]:
    scrutiny = Scrutiny(rules)
    for item in tar.items():
        yield scrutiny.admit(item)
    scrutiny.finish()


class _Writing:
    """Writes below a folder. What the operating system refuses becomes StateDamaged."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owners = os.geteuid() == 0

    def __enter__(self) -> "_Writing":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise cannot_write(self._folder, error) from error

    def folder(self, path: str) -> None:
        (self._folder / path).mkdir(mode=0o700, parents=True, exist_ok=True)

    def file(self, item: Item, data: Iterator[bytes]) -> None:
        with os.fdopen(self._create(item.path), "wb") as file:
            for piece in data:
                file.write(piece)

    def copy(self, item: Item) -> None:
        source = os.open(self._folder / item.link, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(source, "rb") as original, os.fdopen(self._create(item.path), "wb") as file:
            while piece := original.read(1 << 20):
                file.write(piece)

    def link(self, item: Item) -> None:
        target = self._folder / item.path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.link(self._folder / item.link, target, follow_symlinks=False)

    def symlink(self, item: Item) -> None:
        target = self._folder / item.path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.symlink_to(item.link)
        self._own(target, item)
        os.utime(target, ns=_times(item), follow_symlinks=False)

    def dress(self, item: Item, mode: int) -> None:
        target = self._folder / item.path
        self._own(target, item)
        target.chmod(mode)
        os.utime(target, ns=_times(item))

    def _create(self, path: str) -> int:
        target = self._folder / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def _own(self, target: Path, item: Item) -> None:
        if self._owners:
            os.lchown(target, item.uid, item.gid)


def _times(item: Item) -> tuple[int, int]:
    moment = int(item.mtime * 1_000_000_000)
    return (moment, moment)
