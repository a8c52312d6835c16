"""Tars of what belongs to a bottle besides its image: state, workspace, volumes. They are spooled as layers are."""

import hashlib
import os
import posixpath
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from bottle.errors import PathTooLong, PreflightRefused
from bottle.files.paths import require_openable
from bottle.files.tree import Node, ignore_gone, raise_it, walk
from bottle.losses import Account, Way
from bottle.tar.chunks import CHUNK, ChunkReader, reading
from bottle.tar.items import LONGEST_PATH, MOST_NAMES, set_time
from bottle.tar.reader import TarStream, given_out
from bottle.text import shortened
from migrate.image.spool import DirectorySpool
from migrate.model import Blob

_OURS = "this host still owns the bottle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tarball:
    """A spooled tar and how to prove that it was unpacked whole.

    `sums` is a line `SHA256  ./PATH` for each file, as sha256sum reads it; names that sha256sum cannot spell plainly
    are counted only. `breaks` are the line feeds in the names of `entries`. `content` is the sha256, in hex, of the
    contents of all files, one after the other in the tar's order. `skipped` are sockets, fifos and devices: they hold
    no content. `lost` is what else the tar does not hold of what was packed, a line for each kind. `members` are the
    files, links and folders in it, by relative path (`.` for the top), with their types as `stat.S_IFMT` gives them.
    """

    blob: Blob
    files: int = 0
    links: int = 0
    folders: int = 0
    entries: int = 0
    breaks: int = 0
    sums: bytes = b""
    content: str = ""
    skipped: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    members: Mapping[str, int] = field(default_factory=dict)


_KINDS = {
    tarfile.REGTYPE: stat.S_IFREG,
    tarfile.AREGTYPE: stat.S_IFREG,
    tarfile.LNKTYPE: stat.S_IFREG,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.DIRTYPE: stat.S_IFDIR,
}

# sha256sum escapes the first two, which not every implementation reads, and takes the last for a line's end.
_UNSPELT = frozenset("\n\\\r")


class _Hashing:
    """A file that is hashed as it is read, so that what was packed is what is promised."""

    def __init__(self, file: "BinaryIO | Exactly") -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        return data

    @property
    def hex(self) -> str:
        return self._digest.hexdigest()


class Exactly:
    """A file of which exactly `size` bytes are read, zeros behind its end: how long it is, its header has said."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        size = self._left if size < 0 else min(size, self._left)
        data = self._file.read(size)
        self._left -= size
        return data + bytes(size - len(data))


def pack_folder(
    folder: Path,
    spool: DirectorySpool,
    *,
    leave_out: frozenset[str] = frozenset(),
    instead: Mapping[str, bytes] = {},
    wanted: frozenset[str] | None = None,
    live: bool = False,
    exchanged: Mapping[str, Path] = {},
    top: str = ".",
) -> Tarball:
    """Spool all that is in `folder`: files with modes, owners, times and links, folders, symlinks.

    The relative paths in `leave_out` stay behind; the names in `instead` travel with the content given here. In the
    place of the paths in `exchanged` travels the only thing that is in the folder given here. Where `wanted` is given,
    only those relative paths travel. In a `live` folder others may work: what vanishes is not in the tarball, what
    changes while it is read is in there somehow. `top` is what the folder is called in the tar. Raises PreflightRefused
    when something cannot be read.
    """
    packing = _Packing(
        folder=folder,
        leave_out=leave_out | instead.keys(),
        instead=instead,
        wanted=wanted,
        live=live,
        exchanged=exchanged,
        top=top,
    )
    with spool.writer() as writer:
        try:
            with tarfile.open(  # type: ignore[call-overload]
                mode="w|", fileobj=writer, format=tarfile.PAX_FORMAT, bufsize=CHUNK
            ) as archive:
                packing.run(archive)
        except OSError as exc:
            raise PreflightRefused(
                f"{folder} cannot be packed: {exc}",
                left=_OURS,
                next_step=f"let nobody write to {folder}, and see that it can be read: ls -la {folder}",
            ) from exc
        return packing.tarball(writer.keep())


@dataclass(slots=True, kw_only=True)
class _Packing:
    """`pack_folder` on its way, with what it was given."""

    folder: Path
    leave_out: frozenset[str]
    instead: Mapping[str, bytes]
    wanted: frozenset[str] | None
    live: bool
    exchanged: Mapping[str, Path]
    top: str
    members: dict[str, int] = field(default_factory=dict)
    inodes: dict[tuple[int, int], tuple[str, str]] = field(default_factory=dict)
    sums: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    files: int = 0
    links: int = 0
    folders: int = 0
    names: int = 0
    account: Account = field(default_factory=lambda: Account(Way.TAR))

    def run(self, archive: tarfile.TarFile) -> None:
        # The notes of a move change the top folder's time, and what is packed once more is to be the same.
        top = self._member(self.top, self.folder.stat(), timeless=bool(self.leave_out))
        top.type = tarfile.DIRTYPE
        if self._is_wanted("."):
            archive.addfile(top)
            self.folders += 1
            self.members["."] = stat.S_IFDIR
        for node in self._nodes():
            if node.path not in self.leave_out and self._is_wanted(node.path):
                try:
                    self._add(archive, node)
                except OSError as exc:  # nothing of what is gone is written yet when that shows
                    self._lost(node.path, exc)
        for name, content in sorted(self.instead.items()):
            member = tarfile.TarInfo(f"./{name}")
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, ChunkReader((content,)))
            self._count_file(member.name, hashlib.sha256(content).hexdigest())

    def _nodes(self) -> Iterator[Node]:
        for node in walk(self.folder, lost=self._lost, entered=lambda node: node.path not in self.leave_out):
            place = self.exchanged.get(node.path)
            if place is None:
                yield node
                continue
            above = posixpath.dirname(node.path)
            for each in walk(place, lost=self._lost):
                yield replace(each, path=posixpath.join(above, each.path))

    def _is_wanted(self, path: str) -> bool:
        return self.wanted is None or path in self.wanted

    @property
    def _lost(self) -> Callable[[str, OSError], None]:
        return ignore_gone if self.live else raise_it

    def tarball(self, blob: Blob) -> Tarball:
        return Tarball(
            blob=blob,
            files=self.files,
            links=self.links,
            folders=self.folders,
            sums="".join(self.sums).encode("utf-8", "surrogateescape"),
            skipped=tuple(self.skipped),
            lost=self.account.lines(),
            members=self.members,
        )

    def _add(self, archive: tarfile.TarFile, node: Node) -> None:
        self._require_short(node.path)
        if not (node.is_file or node.is_folder or node.is_symlink):
            self.skipped.append(str(self.folder / node.path))
            return
        self.account.see(node, node.path)
        member = self._member(f"{self.top}/{node.path}", node.facts)
        if node.is_file:
            self._add_file(archive, node, member)
            self.members[node.path] = stat.S_IFREG
            return
        if node.is_symlink:
            member.type, member.linkname = tarfile.SYMTYPE, node.target()
            self.links += 1
        else:
            member.type = tarfile.DIRTYPE
            self.folders += 1
        archive.addfile(member)
        self.members[node.path] = stat.S_IFMT(node.facts.st_mode)

    @staticmethod
    def _member(name: str, facts: os.stat_result, *, timeless: bool = False) -> tarfile.TarInfo:
        member = tarfile.TarInfo(name)
        member.mode, member.uid, member.gid = stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid
        set_time(member, 0 if timeless else facts.st_mtime_ns)
        return member

    def _require_short(self, path: str) -> None:
        size = len(os.fsencode(path))
        self.names += size
        if size > LONGEST_PATH or self.names > MOST_NAMES:
            raise PathTooLong(
                f"{self.folder} cannot be packed: a tar of bottle's holds no path of more than {LONGEST_PATH} bytes, "
                f"and no more than {MOST_NAMES} of all paths: {shortened(path)}",
                left=_OURS,
                next_step=f"remove or rename some of the folders that lie in each other in {self.folder}",
            )

    def _add_file(self, archive: tarfile.TarFile, node: Node, member: tarfile.TarInfo) -> None:
        if node.identity in self.inodes:
            original, digest = self.inodes[node.identity]
            member.type, member.linkname = tarfile.LNKTYPE, original
            archive.addfile(member)
        else:
            with node.open() as file:
                member.size = os.fstat(file.fileno()).st_size if self.live else node.facts.st_size
                hashing = _Hashing(Exactly(file, member.size) if self.live else file)
                archive.addfile(member, hashing)
            digest = hashing.hex
            if node.facts.st_nlink > 1:
                self.inodes[node.identity] = (member.name, digest)
        self._count_file(f"./{node.path}", digest)

    def _count_file(self, name: str, digest: str) -> None:
        self.files += 1
        if not _UNSPELT.intersection(name):
            self.sums.append(f"{digest}  {name}\n")


def pack_stream(tar: Iterable[bytes], spool: DirectorySpool, what: str) -> Tarball:
    """Spool a tar of `what` that the engine makes, as it is, counting its entries and hashing what is in them.

    Raises VerificationFailed where it is torn, PathTooLong where the engine may have left out what lies too deep for
    it, which it does without a word.
    """
    entries, breaks, content = 0, 0, hashlib.sha256()
    members: dict[str, int] = {}
    with reading(tar), spool.writer() as writer:

        def passing() -> Iterator[bytes]:
            for chunk in tar:
                writer.write(chunk)
                yield chunk

        stream = TarStream(passing())
        with given_out(what, left=_OURS, next_step="look at Docker's log and disk: bottle doctor"):
            for member in stream.members():
                name = member.name.rstrip("/")
                entries += 1
                breaks += name.count("\n")
                require_openable(name, what, left=_OURS)
                if kind := _KINDS.get(member.type):
                    members[name.partition("/")[2] or "."] = kind
                for data in stream.data():
                    content.update(data)
        return Tarball(blob=writer.keep(), entries=entries, breaks=breaks, content=content.hexdigest(), members=members)
