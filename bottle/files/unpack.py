"""Unpack a tar that nobody vouches for: nothing is followed, and nothing is made but files, folders and links.

`tarfile`'s extraction filters have known holes, so nothing here calls an extract function: the entries come from the
strict reader, are held to rules, and are made by this module at any depth (`bottle.files.opentree`).
"""

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bottle.errors import VerificationFailed
from bottle.files.atomic import cannot_write
from bottle.files.opentree import OpenTree
from bottle.files.tree import top_down
from bottle.tar.chunks import CHUNK
from bottle.tar.items import Item, ItemReader, ItemType
from bottle.tar.rules import SPECIAL, Rules, admitted, too_large

_NO_NAME = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EEXIST, errno.ENOTDIR, errno.EISDIR}
_UNCHANGED = "what was there before is unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How what a tar holds comes to lie in a folder. Fifos and devices do not.

    `bare`: nothing is made but files, of this user alone, and the folders that they need; else all have their times,
    and, unless they are to be `private` to this user, their modes. With `owners` they belong to whom the tar says. A
    file has no set-id and no sticky bit, and a folder what `folder_bits` leaves it. Hard links become links, or copies.
    With `replace`, files and links that have an entry's path give way.
    """

    bare: bool = False
    private: bool = False
    owners: bool = False
    folder_bits: int = 0o777
    hard_links: bool = True
    replace: bool = False


def unpack(
    tar: ItemReader, folder: Path, rules: Rules, policy: Policy, *, wanted: Callable[[str], bool] = lambda _: True
) -> Iterator[Item]:
    """Make what a tar holds below `folder`, leaving out what is not `wanted`; each entry is told of on its way.

    A file's has the sha256 of its content. A folder gets its mode when all is in it, and a symlink is made when all
    else is there. Raises VerificationFailed for what breaks the rules or cannot be a file's name, and where the tar is
    torn; StateDamaged when `folder` cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with OpenTree(folder) as below:
            yield from _Unpacking(tar, below, rules, policy).run(wanted)
    except VerificationFailed as exc:
        if exc.left:
            raise
        raise VerificationFailed(exc.what, left=_UNCHANGED) from exc
    except OSError as exc:
        if exc.errno in _NO_NAME:
            what = f"{rules.what} holds a name that no file can have here: {exc.strerror}"
            raise VerificationFailed(what, left=_UNCHANGED) from exc
        raise cannot_write(folder, exc) from exc


class _Unpacking:
    def __init__(self, tar: ItemReader, below: OpenTree, rules: Rules, policy: Policy) -> None:
        self._tar = tar
        self._below = below
        self._rules = rules
        self._policy = policy
        self._size = 0

    def run(self, wanted: Callable[[str], bool]) -> Iterator[Item]:
        late: list[Item] = []
        for item in admitted(self._tar, self._rules):
            if item.type in SPECIAL or not wanted(item.path):
                continue
            if item.type in {ItemType.FOLDER, ItemType.SYMLINK}:
                late.append(item)
                if item.type is ItemType.FOLDER and not self._policy.bare:
                    self._below.folder(item.path, make=True)
                yield item
            else:
                yield self._file(item)
        if not self._policy.bare:
            self._finish(late)

    def _file(self, item: Item) -> Item:
        if self._policy.replace:
            self._below.clear(item.path)
        if item.type is ItemType.FILE:
            return self._written(item, self._tar.data())
        if self._policy.hard_links:
            self._below.link(item.path, item.link)
            return item
        with self._below.open(item.link) as original:
            copy = replace(item, type=ItemType.FILE, link="", size=os.fstat(original.fileno()).st_size)
            return self._written(copy, iter(lambda: original.read(CHUNK), b""))

    def _written(self, item: Item, data: Iterable[bytes]) -> Item:
        """Write a new file, never through a link."""
        self._size += item.size
        if self._size > self._rules.limits.size:  # no hard link has a size, and its copy has
            raise too_large(self._rules)
        digest = hashlib.sha256()
        with self._below.create(item.path) as file:
            for piece in data:
                file.write(piece)
                digest.update(piece)
        if not self._policy.bare:
            self._dress(item)
        return replace(item, sha256=digest.hexdigest())

    def _finish(self, late: list[Item]) -> None:
        """What is in a folder first: one that nobody may write is made so when all is in it."""
        for item in sorted(late, key=lambda each: top_down(each.path), reverse=True):
            if item.type is ItemType.SYMLINK:
                if self._policy.replace:
                    self._below.clear(item.path)
                self._below.symlink(item.path, item.link)
            self._dress(item)

    def _dress(self, item: Item) -> None:
        policy = self._policy
        self._below.dress(
            item.path,
            mode=_mode(item, policy),
            owner=(item.uid, item.gid) if policy.owners else None,
            mtime_ns=item.mtime_ns,
        )


def _mode(item: Item, policy: Policy) -> int | None:
    match item.type:
        case ItemType.SYMLINK:
            return None
        case ItemType.FOLDER:
            return 0o700 if policy.private else item.mode & policy.folder_bits
        case _:
            return 0o600 if policy.private else item.mode & 0o777
