"""What a container has written on top of its image, read while it runs: the layer that a commit would make of it."""

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from bottle.errors import NotFound
from bottle.files import tree
from bottle.launch import is_below
from bottle.model import Change, ChangeKind, ContainerFacts
from bottle.ports import Contents
from bottle.tar.items import Item, ItemReader, ItemType, item_header, write_tar
from migrate.contents.archive import Exactly

_PIECE = 1 << 20
_WHITEOUT = ".wh."
_FILES = (ItemType.FILE, ItemType.HARDLINK)

_Entry = tuple[bytes, Iterable[bytes], int]


def written_layer(engine: Contents, container: ContainerFacts) -> Iterator[bytes]:
    """A tar of the files that a container has written, and of what it has deleted, as layers have it.

    What changes meanwhile is in it somehow, so it is good for a look, and for nothing else. Raises EngineError,
    NotFound, VerificationFailed or OSError.
    """
    changes = engine.changes(container.id)
    folder = engine.writable_layer(container.id)
    deleted = (_whiteout(change.path) for change in changes if change.kind is ChangeKind.DELETED)
    files = _in_folder(folder) if folder is not None else _in_archives(engine, container, changes)
    return write_tar(chain(deleted, files))


def roots(changes: Sequence[Change], targets: Sequence[str]) -> tuple[tuple[str, bool], ...]:
    """The paths to ask an engine for to have all that was written, but for what is mounted at `targets`.

    With each, whether all below it was written too. Else it may be a folder of which only that was changed, such as its
    time: what is in it is the image's.
    """
    written = {
        change.path: change.kind
        for change in changes
        if change.kind is not ChangeKind.DELETED and not any(is_below(change.path, target) for target in targets)
    }
    folders = {above for path in (*(change.path for change in changes), *targets) for above in _above(path)}
    whole = {
        path
        for path, kind in written.items()
        if kind is ChangeKind.ADDED and not any(is_below(target, path) for target in targets)
    }
    return tuple(
        (path, path in whole)
        for path in sorted(written)
        if (path in whole or path not in folders) and not any(above in whole for above in _above(path))
    )


def _above(path: str) -> Iterator[str]:
    while (path := posixpath.dirname(path)) != "/":
        yield path


def _whiteout(path: str) -> _Entry:
    folder, _, name = path.strip("/").rpartition("/")
    return _file(posixpath.join(folder, _WHITEOUT + name), 0), (), 0


def _file(path: str, size: int) -> bytes:
    item = Item(path=path, type=ItemType.FILE, mode=0o600, uid=0, gid=0, mtime_ns=0, size=size)
    return item_header(item, path, "")


def _in_folder(folder: Path) -> Iterator[_Entry]:
    """Overlay's upper folder has what was written by its path."""
    for node in tree.walk(folder, lost=tree.ignore_gone):
        if not node.is_file:
            continue
        try:
            file = node.open()
        except FileNotFoundError:
            continue
        with file:
            size = node.facts.st_size
            yield _file(node.path, size), _pieces(file, size), size


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    reader = Exactly(file, size)
    return iter(partial(reader.read, _PIECE), b"")


def _in_archives(engine: Contents, container: ContainerFacts, changes: Sequence[Change]) -> Iterator[_Entry]:
    """Every engine gives the files of a container out, by path."""
    for root, whole in roots(changes, tuple(mount.target for mount in container.mounts)):
        above = posixpath.dirname(root).strip("/")
        try:
            tar = ItemReader(engine.read_archive(container.id, root))
            for item in tar.items():
                if not whole and item.type is ItemType.FOLDER:
                    break
                if item.type in _FILES:
                    path, link = (posixpath.join(above, each) if each else "" for each in (item.path, item.link))
                    yield item_header(replace(item, path=path), path, link), tar.data(), item.size
        except NotFound:
            continue  # it has vanished since
