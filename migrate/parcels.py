"""Tars of what belongs to a bottle besides its image: state, workspace, volumes. They are spooled as layers are."""

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bottle.errors import PreflightRefused
from bottle.regular import open_regular
from bottle.unpack import ChunkReader
from migrate.model import Blob
from migrate.spool import DirectorySpool

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A spooled tar and how to prove that it was unpacked whole.

    `sums` is a line `SHA256  ./PATH` for each file, as sha256sum reads it; names that sha256sum cannot spell plainly
    are counted only. `content` is the sha256, in hex, of the contents of all files, one after the other in the tar's
    order. `skipped` are sockets, fifos and devices: they hold no content. `attributed` counts files and folders
    with extended attributes or ACLs, which are not in the tar.
    """

    blob: Blob
    files: int = 0
    links: int = 0
    folders: int = 0
    entries: int = 0
    sums: bytes = b""
    content: str = ""
    skipped: tuple[str, ...] = ()
    attributed: int = 0


# sha256sum escapes the first two, which not every implementation reads, and takes the last for a line's end.
_UNSPELT = frozenset("\n\\\r")


class _Writer:
    """What tarfile needs of a file to write a stream to."""

    def __init__(self, write: object) -> None:
        self.write = write


class _Hashing:
    """A file that is hashed as it is read, so that what was packed is what is promised."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        return data

    @property
    def hex(self) -> str:
        return self._digest.hexdigest()


def pack_folder(
    folder: Path, spool: DirectorySpool, *, leave_out: frozenset[str] = frozenset(), instead: Mapping[str, bytes] = {}
) -> Parcel:
    """Spool all that is in `folder`: files with modes, owners, times and links, folders, symlinks.

    Top-level names in `leave_out` stay behind; those in `instead` travel with the content given here. Raises
    PreflightRefused when something cannot be read, or changes while it is read.
    """
    packing = _Packing(folder, leave_out, instead)
    with spool.writer() as writer:
        try:
            with tarfile.open(  # type: ignore[call-overload]
                mode="w|", fileobj=_Writer(writer.write), format=tarfile.PAX_FORMAT, bufsize=_CHUNK
            ) as archive:
                packing.run(archive)
        except OSError as exc:
            raise PreflightRefused(
                f"{folder} cannot be packed: {exc}",
                left="this host still owns the bottle",
                next_step=f"let nobody write to {folder}, and see that it can be read: ls -la {folder}",
            ) from exc
        return packing.parcel(writer.keep())


class _Packing:
    def __init__(self, folder: Path, leave_out: frozenset[str], instead: Mapping[str, bytes]) -> None:
        self._folder = folder
        self._leave_out = leave_out | instead.keys()
        self._instead = instead
        self._inodes: dict[tuple[int, int], tuple[str, str]] = {}
        self._sums: list[str] = []
        self._skipped: list[str] = []
        self._files = self._links = 0
        self._folders = self._attributed = 0

    def run(self, archive: tarfile.TarFile) -> None:
        self._add(archive, self._folder, ".")
        for name, content in sorted(self._instead.items()):
            member = tarfile.TarInfo(f"./{name}")
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, ChunkReader((content,)))
            self._count_file(member.name, hashlib.sha256(content).hexdigest())

    def parcel(self, blob: Blob) -> Parcel:
        return Parcel(
            blob=blob,
            files=self._files,
            links=self._links,
            folders=self._folders,
            sums="".join(self._sums).encode("utf-8", "surrogateescape"),
            skipped=tuple(self._skipped),
            attributed=self._attributed,
        )

    def _add(self, archive: tarfile.TarFile, path: Path, name: str) -> None:
        facts = path.lstat()
        kind = stat.S_IFMT(facts.st_mode)
        if kind not in {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}:
            self._skipped.append(str(path))
            return
        self._attributed += _has_attributes(path)
        member = tarfile.TarInfo(name)
        member.mode, member.uid, member.gid = stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid
        # The notes of a move change the top folder's time, and what is packed once more is to be the same.
        member.mtime = 0 if name == "." and self._leave_out else facts.st_mtime
        if kind == stat.S_IFLNK:
            member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
            archive.addfile(member)
            self._links += 1
        elif kind == stat.S_IFREG:
            self._add_file(archive, path, member, facts)
        else:
            member.type = tarfile.DIRTYPE
            archive.addfile(member)
            self._folders += 1
            for entry in sorted(path.iterdir()):
                if name != "." or entry.name not in self._leave_out:
                    self._add(archive, entry, f"{name}/{entry.name}")

    def _add_file(self, archive: tarfile.TarFile, path: Path, member: tarfile.TarInfo, facts: os.stat_result) -> None:
        inode = (facts.st_dev, facts.st_ino)
        if inode in self._inodes:
            original, digest = self._inodes[inode]
            member.type, member.linkname = tarfile.LNKTYPE, original
            archive.addfile(member)
        else:
            member.size = facts.st_size
            with open_regular(path) as file:
                hashing = _Hashing(file)
                archive.addfile(member, hashing)
            digest = hashing.hex
            if facts.st_nlink > 1:
                self._inodes[inode] = (member.name, digest)
        self._count_file(member.name, digest)

    def _count_file(self, name: str, digest: str) -> None:
        self._files += 1
        if not _UNSPELT.intersection(name):
            self._sums.append(f"{digest}  {name}\n")


def _has_attributes(path: Path) -> bool:
    """Whether a file has extended attributes or ACLs of its own; SELinux labels every file, as its host sees fit."""
    try:
        return any(key != "security.selinux" for key in os.listxattr(path, follow_symlinks=False))
    except OSError:
        return False  # a filesystem that has none


def pack_stream(tar: Iterable[bytes], spool: DirectorySpool) -> Parcel:
    """Spool a tar that the engine makes, as it is, counting its entries and hashing what is in them."""
    entries, content = 0, hashlib.sha256()
    with spool.writer() as writer:

        def passing() -> Iterator[bytes]:
            for chunk in tar:
                writer.write(chunk)
                yield chunk

        source = ChunkReader(passing())
        with tarfile.open(mode="r|", fileobj=source) as archive:  # type: ignore[call-overload]
            for member in archive:
                entries += 1
                file = archive.extractfile(member) if member.isreg() else None
                while file is not None and (data := file.read(_CHUNK)):
                    content.update(data)
        while source.read(_CHUNK):
            pass
        return Parcel(blob=writer.keep(), entries=entries, content=content.hexdigest())
