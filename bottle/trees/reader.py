"""Reads what a delta names out of a folder: each thing as it stands in a layer, head and content, and nothing twice."""

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

from bottle.files.flags import flags_of
from bottle.files.opentree import OpenTree
from bottle.files.regular import OPEN_FILE
from bottle.trees.attributes import DEFAULT_ACL, NONE, attributes_of, own_acls
from bottle.trees.delta import FolderDelta
from bottle.trees.index import Entry, Folder
from bottle.trees.member import FILE, FOLDER, HARD_LINK, SYMLINK, head, join, kind_of, marks, padding

_PIECE = 1 << 20
_HOLES = 1 << 20  # bytes that a file must have in holes to be called sparse: small files end in the middle of a block
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.ESTALE}


@dataclass(frozen=True, slots=True)
class Member:
    """What a layer says of a folder, as it stands in a tar: `size` bytes, all of them in `chunks`.

    `name` is that of something in it, empty for the folder itself, and None for the marks of what is gone.
    """

    folder: bytes
    name: bytes | None
    size: int
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Lost:
    """What a tar does not hold of the files that were read, by inode: flags, and the holes of sparse ones.

    What is read once more is as it was found then. `omitted` is what was not read, as it was something else by then, or
    gone: folder and name, empty for the folder and all that is in it.
    """

    flagged: dict[int, tuple[str, ...]] = field(default_factory=dict)
    sparse: set[int] = field(default_factory=set)
    omitted: set[tuple[bytes, bytes]] = field(default_factory=set)

    def see(self, descriptor: int, facts: os.stat_result) -> None:
        """One more file or folder, which is open."""
        self.flagged.pop(facts.st_ino, None)
        self.sparse.discard(facts.st_ino)
        if flags := flags_of(descriptor):
            self.flagged[facts.st_ino] = flags
        if stat.S_ISREG(facts.st_mode) and facts.st_size - 512 * facts.st_blocks > _HOLES:
            self.sparse.add(facts.st_ino)

    def still_there(self, folders: Iterable[Folder]) -> Iterator[tuple[bytes, int]]:
        """Of the files and folders that lack something, those in an index: path and inode, once each.

        What has become something else since it was read may have the inode of what is gone, but was read itself.
        """
        left = self.sparse | self.flagged.keys()
        for folder in folders if left else ():
            for entry in folder.entries():
                if entry.inode in left and (entry.is_folder or stat.S_ISREG(entry.mode)):
                    left.discard(entry.inode)
                    yield join(folder.path, entry.name), entry.inode


def members(top: Path, deltas: Iterable[FolderDelta], lost: Lost) -> Iterator[Member]:
    """What `deltas` name below `top`, in their order; of a file's names the first one has the content.

    A member's chunks are read before the next one is asked for. What is something else by now, or gone, is left out; a
    file that has become shorter ends in zeros. `lost` sees them all. Raises TreeUnfit for what cannot be told in a
    layer, or OSError.
    """
    linked: dict[int, bytes] = {}
    passing_on: set[bytes] = set()  # folders whose ACL for what is made in them an engine will give to all in them
    with _Way(top) as way:
        for delta in deltas:
            folder = way.folder(delta.path)
            facts = os.fstat(folder) if folder is not None else None
            if folder is None or facts is None or (delta.entry is not None and facts.st_ino != delta.entry.inode):
                lost.omitted.add((delta.path, b""))
                continue
            if delta.entry is not None:
                attributes = attributes_of(folder)
                lost.see(folder, facts)
                if DEFAULT_ACL in attributes:
                    passing_on.add(delta.path)
                given = delta.path.rpartition(b"/")[0] in passing_on
                yield _folder(delta.path, delta.entry, own_acls(attributes, delta.entry.mode) if given else attributes)
            if delta.opaque or delta.gone:
                yield marks_of(delta)
            for leaf in delta.leaves:
                member = _leaf(folder, delta.path, leaf, linked, lost, given=delta.path in passing_on)
                if member is not None:
                    yield member
                else:
                    lost.omitted.add((delta.path, leaf.name))


class _Way:
    """From one folder of a tree to the next; where one was moved away meanwhile, again from the top."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._tree = OpenTree(top)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tree.close()

    def folder(self, path: bytes) -> int | None:
        """A descriptor of a folder, None where it is gone."""
        for _ in range(2):
            try:
                return self._tree.folder(os.fsdecode(path))
            except OSError as exc:
                if exc.errno not in _GONE:
                    raise
            self._tree.close()  # where it stands is not certain any more
            self._tree = OpenTree(self._top)
        return None


def marks_of(delta: FolderDelta) -> Member:
    """What a delta says of a folder by marks."""
    data = marks(delta.path, opaque=delta.opaque, gone=delta.gone)
    return Member(delta.path, None, len(data), iter((data,)))


def _folder(path: bytes, entry: Entry, attributes: Mapping[bytes, bytes]) -> Member:
    data = _head(path + b"/", FOLDER, entry, attributes=attributes)
    return Member(path, b"", len(data), iter((data,)))


def _leaf(
    folder: int, path: bytes, entry: Entry, linked: dict[int, bytes], lost: Lost, *, given: bool
) -> Member | None:
    """Something in a folder, if it is what the index has; `linked` are the first names of files that have several.

    `given`: the folder gives it an ACL, which it may not have.
    """
    name = join(path, entry.name)
    try:
        if (not stat.S_ISREG(entry.mode) or entry.is_linked) and not _is_there(folder, entry):
            return None
        if entry.is_linked and (first := linked.setdefault(entry.inode, name)) != name:
            return _hard_link(folder, path, entry, first)
        if stat.S_ISREG(entry.mode):
            return _file(folder, path, entry, lost, given=given)
        return _special(folder, path, entry, given=given)
    except OSError as exc:
        if exc.errno not in _GONE:
            raise
        return None


def _is_there(folder: int, entry: Entry) -> bool:
    return os.stat(entry.name, dir_fd=folder, follow_symlinks=False).st_ino == entry.inode


def _hard_link(folder: int, path: bytes, entry: Entry, first: bytes) -> Member:
    """One more name, with all that the file has: engines give each name its owner, which takes the capability away."""
    attributes = attributes_of(_by_descriptor(folder, entry.name))
    data = _head(join(path, entry.name), HARD_LINK, entry, link=first, attributes=attributes)
    return Member(path, entry.name, len(data), iter((data,)))


def _file(folder: int, path: bytes, entry: Entry, lost: Lost, *, given: bool) -> Member | None:
    descriptor = os.open(entry.name, OPEN_FILE, dir_fd=folder)
    try:
        facts = os.fstat(descriptor)
        if facts.st_ino != entry.inode:
            os.close(descriptor)
            return None
        lost.see(descriptor, facts)
        _wait_for_writer(descriptor)
        attributes = attributes_of(descriptor)
        if given:
            attributes = own_acls(attributes, entry.mode)
        data = _head(join(path, entry.name), FILE, entry, size=entry.size, attributes=attributes)
    except BaseException:
        os.close(descriptor)
        raise
    size = len(data) + entry.size + -entry.size % 512
    return Member(path, entry.name, size, _content(descriptor, data, entry.size))


def _wait_for_writer(descriptor: int) -> None:
    """Let a write to the file that has begun come to its end: its ctime was set when it began, and not since.

    Asking for the first byte that is no hole takes the lock that writers hold (Linux, ext4_llseek, xfs_seek_data).
    """
    try:  # `suppress` costs as much as the call, and each file is asked
        if os.lseek(descriptor, 0, os.SEEK_DATA) != 0:
            os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError:
        pass  # ENXIO: it is all holes


def _content(descriptor: int, before: bytes, size: int) -> Iterator[bytes]:
    """The head, and exactly `size` bytes of a file, in full blocks; closes it."""
    try:
        left = size
        piece = os.read(descriptor, min(left, _PIECE)) if left else b""
        left -= len(piece)
        if not left:
            yield b"".join((before, piece, padding(size)))
            return
        yield before
        yield piece
        for piece in iter(partial(os.read, descriptor, _PIECE), b""):
            yield piece[:left]
            left -= min(left, len(piece))
            if not left:
                break
        while left:
            yield bytes(min(left, _PIECE))
            left -= min(left, _PIECE)
        yield padding(size)
    finally:
        os.close(descriptor)


def _special(folder: int, path: bytes, entry: Entry, *, given: bool) -> Member:
    """A symlink, fifo or device."""
    link = os.readlink(entry.name, dir_fd=folder) if stat.S_ISLNK(entry.mode) else b""
    attributes = attributes_of(_by_descriptor(folder, entry.name))
    if given and not link:
        attributes = own_acls(attributes, entry.mode)
    device = (os.major(entry.device), os.minor(entry.device))
    kind = SYMLINK if link else kind_of(entry.mode)
    data = _head(join(path, entry.name), kind, entry, link=link, device=device, attributes=attributes)
    return Member(path, entry.name, len(data), iter((data,)))


def _by_descriptor(folder: int, name: bytes) -> bytes:
    """There is no listxattrat, and the descriptor's entry in /proc is a short path."""
    return b"/proc/self/fd/%d/%b" % (folder, name)


def _head(
    path: bytes,
    kind: bytes,
    entry: Entry,
    *,
    size: int = 0,
    link: bytes = b"",
    device: tuple[int, int] = (0, 0),
    attributes: Mapping[bytes, bytes] = NONE,
) -> bytes:
    return head(
        path,
        kind,
        mode=entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        size=size,
        mtime=entry.mtime,
        link=link,
        device=device,
        attributes=attributes,
    )
