"""Receive a tar that nobody vouches for: own parser of members, nothing followed, nothing created but plain files.

`tarfile`'s extraction filters have known holes, so nothing here calls an extract function: members are read as a
stream, checked against an allow-list, and their contents are written by this module under names it has checked, at any
depth (`bottle.files.opentree`).
"""

import errno
import hashlib
import os
import posixpath
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO, Generic, TypeVar

from bottle.errors import VerificationFailed
from bottle.files.atomic import cannot_write
from bottle.files.chunks import SealedReader, reading
from bottle.files.limits import LONGEST_PATH, MOST_NAMES
from bottle.files.opentree import OpenTree

_CHUNK = 1024 * 1024
_HEADERS = 4 * 1024 * 1024  # more than that in front of one member are no names and times
_TIME = re.compile(r"(-?)([0-9]{1,20})\.([0-9]{1,100})")
_NO_NAME = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EEXIST, errno.ENOTDIR, errno.EISDIR}
_UNCHANGED = "what was there before is unchanged"
T = TypeVar("T")


class EntryType(Enum):
    """What may be received. Sockets, devices and fifos may not."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that was received. `path` is relative, in posix form; digests are hex sha256.

    `mtime` is in seconds, `nanoseconds` what there is of it beyond those.
    """

    path: str
    type: EntryType
    mode: int
    uid: int
    gid: int
    mtime: int
    nanoseconds: int = 0
    size: int = 0
    sha256: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may be received before it counts as an attack, or as a mistake."""

    entries: int = 500_000
    size: int = 8 * 1024**3


class _Metered(SealedReader):
    """A reader that gives no more than was granted: tarfile holds all headers of a member in memory, however long."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        super().__init__(chunks)
        self._granted = _HEADERS

    def grant(self, size: int) -> None:
        """Allow `size` bytes of content, and the headers of what follows."""
        self._granted = size + _HEADERS

    def read(self, size: int = -1) -> bytes:
        """As ChunkReader does. Raises VerificationFailed past the grant."""
        data = super().read(size)
        self._granted -= len(data)
        if self._granted < 0:
            raise VerificationFailed("an archive holds a header that is too long", left=_UNCHANGED)
        return data


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
            raise VerificationFailed(f"{self._what} holds {path[:200]!r} twice", left=_UNCHANGED)
        above = posixpath.dirname(path)
        while above and above not in self._types:  # what is above a known one is known too
            self._note(above, self._folder)
            above = posixpath.dirname(above)
        if above and self._types[above] != self._folder:
            raise VerificationFailed(f"{self._what} holds {path[:200]!r} below what is no folder", left=_UNCHANGED)
        self._note(path, type_)

    def _note(self, path: str, type_: T) -> None:
        self._types[path] = type_
        self._size += len(path)
        if len(path) > LONGEST_PATH or self._size > MOST_NAMES:
            raise VerificationFailed(
                f"{self._what} holds a path of more than {LONGEST_PATH} bytes, or paths of more than {MOST_NAMES} in "
                f"all: {path[:80]!r}",
                left=_UNCHANGED,
            )


def receive(
    chunks: Iterable[bytes],
    folder: Path,
    prefix: str,
    limits: Limits,
    *,
    hard_links: bool = False,
    special: bool = True,
    replace: bool = False,
    renamed: Callable[[str], str] = lambda path: path,
) -> Iterator[Entry]:
    """Write the files of a tar below `folder`, and tell of every entry, its path behind `prefix`, as `renamed`.

    The folder is new or empty; with `replace`, files and links in it that have an entry's path give way.

    Folders and symlinks are told of; only what files need is created. Hard links become copies, or links
    to what the archive holds, where `hard_links` says so; these are told of without size and digest. Fifos and devices
    are left out; without `special` there may be none. Raises VerificationFailed for a name that escapes, comes twice or
    cannot be a file's, past `limits`, and where a tar is torn; StateDamaged when `folder` cannot be written.
    """
    source = _Metered(chunks)
    with _as_damaged(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (
            reading(chunks),
            OpenTree(folder) as below,
            tarfile.open(mode="r|", fileobj=source) as archive,  # type: ignore[call-overload]
        ):
            receiver = _Receiver(below, prefix, limits, hard_links=hard_links, replace=replace, renamed=renamed)
            for member in archive:
                source.grant(max(0, member.size))
                entry = receiver.take(archive, member)
                if entry is not None:
                    yield entry
                elif not special:
                    raise VerificationFailed(
                        f"an archive holds a fifo or a device: {member.name[:80]!r}", left=_UNCHANGED
                    )
        source.finish(archive.offset)


@contextmanager
def _as_damaged(folder: Path) -> Iterator[None]:
    """Say of what goes wrong whether the archive is to blame, or the folder that it is received in."""
    try:
        yield
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as exc:
        raise VerificationFailed(f"an archive is damaged: {exc}", left=_UNCHANGED) from exc
    except OSError as exc:
        if exc.errno in _NO_NAME:
            what = f"an archive holds a name that no file can have here: {exc.strerror}"
            raise VerificationFailed(what, left=_UNCHANGED) from exc
        raise cannot_write(folder, exc) from exc


class _Receiver:
    def __init__(
        self,
        below: OpenTree,
        prefix: str,
        limits: Limits,
        *,
        hard_links: bool,
        replace: bool,
        renamed: Callable[[str], str],
    ) -> None:
        self._below = below
        self._hard_links = hard_links
        self._replace = replace
        self._renamed = renamed
        self._prefix = prefix
        self._limits = limits
        self._seen = Paths("an archive", EntryType.FOLDER)
        self._count = 0
        self._total = 0

    def take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> Entry | None:
        path = self._path(member.name.rstrip("/"))
        self._count += 1
        self._total += max(0, member.size)
        self._require_room()
        type_ = _type(member)
        if type_ is None:
            return None
        self._seen.put(path, type_)
        if self._replace and type_ is not EntryType.FOLDER:
            self._below.clear(path)
        size, digest = self._store(archive, member, path) if type_ is EntryType.FILE else (0, "")
        mtime, nanoseconds = divmod(_nanoseconds(member), 10**9)
        return Entry(
            path=path,
            type=type_,
            mode=member.mode & 0o7777,
            uid=member.uid,
            gid=member.gid,
            mtime=mtime,
            nanoseconds=nanoseconds,
            size=size,
            sha256=digest,
            target=member.linkname if type_ is EntryType.SYMLINK else "",
        )

    def _store(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> tuple[int, str]:
        if member.islnk():
            original = self._path(member.linkname)
            if original == path or self._seen.get(original) is not EntryType.FILE:
                raise VerificationFailed(
                    f"an archive holds a hard link to something it does not hold: {path[:80]!r}", left=_UNCHANGED
                )
            if self._hard_links:
                self._below.link(path, original)
                return 0, ""
            with self._below.open(original) as source:
                self._total += os.fstat(source.fileno()).st_size
                self._require_room()
                return self._store_as(path, source)
        content = archive.extractfile(member)
        assert content is not None  # a regular file always has one
        size, digest = self._store_as(path, content)
        if size != member.size:
            raise VerificationFailed(f"an archive ends in the middle of {path[:80]!r}", left=_UNCHANGED)
        return size, digest

    def _store_as(self, path: str, source: IO[bytes]) -> tuple[int, str]:
        """Write a new file, never through a link. Returns its size and its sha256."""
        digest, size = hashlib.sha256(), 0
        with self._below.create(path) as file:
            while chunk := source.read(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        return size, digest.hexdigest()

    def _require_room(self) -> None:
        if self._count > self._limits.entries or self._total > self._limits.size:
            raise VerificationFailed(
                f"an archive is larger than allowed: {self._limits.entries} entries or {self._limits.size} bytes",
                left=_UNCHANGED,
            )

    def _path(self, name: str) -> str:
        return relative(posixpath.join(self._prefix, self._renamed(relative(name))))


def _type(member: tarfile.TarInfo) -> EntryType | None:
    """What a member is; None for a fifo or a device, which are no agent's data."""
    if member.isdir():
        return EntryType.FOLDER
    if member.issym():
        return EntryType.SYMLINK
    return EntryType.FILE if member.isreg() or member.islnk() else None


def _nanoseconds(member: tarfile.TarInfo) -> int:
    """A member's time, as it is spelt: tarfile makes a float of it, which is good for some hundred nanoseconds."""
    spelt = _TIME.fullmatch(member.pax_headers.get("mtime", ""))
    if spelt is None:
        return int(member.mtime) * 10**9
    size = int(spelt[2]) * 10**9 + int(spelt[3][:9].ljust(9, "0"))
    return -size if spelt[1] else size
