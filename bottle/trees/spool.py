"""A layer while it is written: its tar in a file without a name, which vanishes with whoever writes it."""

import hashlib
import os
import struct
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Self, cast

from bottle.errors import TreeUnfit
from bottle.trees.delta import FolderDelta
from bottle.trees.index import sort_key
from bottle.trees.reader import Member, marks_of

_PIECE = 1 << 20
_END = bytes(1024)
_ROW = struct.Struct("<IiQ")  # length of the folder's path, of the name (-1: none), of the member
_NO_NAME = -1


class LayerSpool:
    """The tar of one layer, and where in it each member is. Memory is a chunk; `folder` is where the file lies."""

    def __init__(self, folder: Path) -> None:
        self._hash = hashlib.sha256()
        self.size = 0
        with ExitStack() as stack:
            self._tar = stack.enter_context(unnamed(folder))
            self._rows = stack.enter_context(unnamed(folder))
            self._open = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let it go, and with it the file."""
        self._open.close()

    def add(self, member: Member) -> None:
        """The next member. Raises OSError, or what its chunks raise."""
        before = self.size
        for chunk in member.chunks:
            self._write(chunk)
        name = member.name or b""
        length = _NO_NAME if member.name is None else len(name)
        self._rows.write(_ROW.pack(len(member.folder), length, self.size - before) + member.folder + name)

    def finish(self) -> None:
        """Nothing more comes: the end mark. All of it is in its file then, so that nothing fails when it is let go."""
        self._write(_END)
        self._tar.flush()
        self._rows.flush()

    @property
    def diff_id(self) -> str:
        """The layer's digest, once it is finished."""
        return f"sha256:{self._hash.hexdigest()}"

    @property
    def path(self) -> Path:
        """A name by which this process can open the file once more, while the spool is open."""
        return Path(f"/proc/self/fd/{self._tar.fileno()}")

    def rows(self) -> Iterator[tuple[bytes, bytes | None, int, int]]:
        """Folder, name, offset and size of each member; nothing is added any more."""
        self._tar.flush()
        self._rows.seek(0)
        offset = 0
        while head := self._rows.read(_ROW.size):
            folder, name, size = _ROW.unpack(head)
            yield self._rows.read(folder), None if name == _NO_NAME else self._rows.read(name), offset, size
            offset += size

    def read(self, offset: int, size: int) -> Iterator[bytes]:
        """Bytes of the tar."""
        while size:
            piece = os.pread(self._tar.fileno(), min(size, _PIECE), offset)
            if not piece:
                raise TreeUnfit("what was read of the container's files has been cut off")
            yield piece
            offset, size = offset + len(piece), size - len(piece)

    def _write(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self._tar.write(chunk)
        self.size += len(chunk)


class _Finder:
    """The members of a spool, asked for in the order in which they stand."""

    def __init__(self, spool: LayerSpool) -> None:
        self._spool = spool
        self._rows = ((sort_key(row[0]), *row[1:]) for row in spool.rows() if row[1] is not None)
        self._row = next(self._rows, None)

    def member(self, folder: bytes, name: bytes) -> Member | None:
        wanted = (sort_key(folder), name)
        while self._row is not None and (self._row[0], self._row[1] or b"") < wanted:
            self._row = next(self._rows, None)
        if self._row is None or (self._row[0], self._row[1]) != wanted:
            return None
        _, _, offset, size = self._row
        return Member(folder, name, size, self._spool.read(offset, size))


def assembled(deltas: Iterable[FolderDelta], spools: Sequence[LayerSpool]) -> Iterator[Member]:
    """The members of the layer that `deltas` are, out of what was read before; the first spool that has one counts.

    Raises TreeUnfit for something that was not read.
    """
    finders = tuple(map(_Finder, spools))

    def find(folder: bytes, name: bytes) -> Member:
        found = [each for each in (finder.member(folder, name) for finder in finders) if each is not None]
        if not found:
            raise TreeUnfit("something in the container changed without leaving a trace, and was not read")
        return found[0]

    for delta in deltas:
        if delta.entry is not None:
            yield find(delta.path, b"")
        if delta.opaque or delta.gone:
            yield marks_of(delta)
        yield from map(partial(find, delta.path), (leaf.name for leaf in delta.leaves))


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a layer that was cut between folders: `last` is the last folder in it."""

    spool: LayerSpool
    last: bytes


def pieces(members: Iterable[Member], folder: Path, sizes: Iterable[int] = ()) -> Iterator[Piece]:
    """Members in several layers, each with the folders on the way to its first one.

    They have about `sizes` bytes, and there is one more with what is left. Whoever takes one closes it. They are not
    finished.
    """
    most = iter(sizes)
    spool, way, path, end = LayerSpool(folder), list[tuple[bytes, bytes]](), b"", next(most, None)
    try:
        for member in members:
            if member.name == b"":
                way = [(above, data) for above, data in way if member.folder.startswith(above + b"/")]
                if end is not None and spool.size >= end:
                    yield Piece(spool, path)
                    spool, end = LayerSpool(folder), next(most, None)
                    for above, data in way:
                        spool.add(_of_folder(above, data))
                way.append((member.folder, b"".join(member.chunks)))
                spool.add(_of_folder(*way[-1]))
            else:
                spool.add(member)
            path = member.folder
    except BaseException:
        spool.close()
        raise
    yield Piece(spool, path)


def _of_folder(path: bytes, data: bytes) -> Member:
    return Member(path, b"", len(data), iter((data,)))


def unnamed(folder: Path) -> BinaryIO:
    """A file in a folder that has no name there, and is gone when it is closed, or its process is."""
    return cast("BinaryIO", tempfile.TemporaryFile(dir=folder, buffering=_PIECE))
